package providers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// site serves sockets on a real connection to those with a token of the provider.
type site struct {
	t      testing.TB
	srv    *httptest.Server
	client *http.Client
	at     string
	log    lines
}

// lines are those of the log, in JSON.
type lines chan []byte

func (l lines) Write(p []byte) (int, error) {
	l <- append([]byte(nil), p...)
	return len(p), nil
}

// authenticator accepts the tokens of the provider, and asks for its keys each second.
func authenticator(t testing.TB, p provider, revocations middleware.Revocations) *bearer.Authenticator {
	t.Helper()
	cfg := p.config()
	cfg.Issuer, cfg.Discovery, cfg.HTTPClient, cfg.Revocations = p.issuer(), true, client(t), revocations
	cfg.Refresh, cfg.CoolDown, cfg.MaxStale, cfg.Leeway = time.Second, time.Second, time.Minute, time.Nanosecond
	cfg.DangerouslyAllowLocalHTTP = strings.HasPrefix(cfg.Issuer, "http:")
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	tokens, err := bearer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tokens.Close() })
	return tokens
}

func newSite(t testing.TB, p provider) *site {
	t.Helper()
	s := listen(t)
	s.serve(nil, authenticator(t, p, nil))
	return s
}

// listen returns a site that has an address, and does not serve yet.
func listen(t testing.TB) *site {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.TLS = serverTLS(t)
	t.Cleanup(srv.Close)
	return &site{t: t, srv: srv, at: "https://" + srv.Listener.Addr().String(), client: client(t), log: make(lines, 1<<10)}
}

// serve serves sockets to the principals of the authenticators, about which it asks each second,
// and further routes.
func (s *site) serve(routes map[string]http.Handler, list ...middleware.Authenticator) {
	t := s.t
	t.Helper()
	log := slog.New(slog.NewJSONHandler(s.log, nil))
	auth, errAuth := middleware.NewAuth(list...)
	origins, errOrigins := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}, AllowMissing: true})
	registry, errLive := live.New(live.Config{Log: log, Timeouts: live.Timeouts{Recheck: time.Second, Spread: time.Millisecond}})
	h, errSocket := ws.New(ws.Config{Auth: auth, Origins: origins, Live: registry, Log: log, Serve: whoami})
	if err := errors.Join(errAuth, errOrigins, errLive, errSocket); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", h)
	for pattern, route := range routes {
		mux.Handle(pattern, route)
	}
	s.srv.Config.Handler = mux
	s.srv.StartTLS()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := registry.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
}

// user is a principal, as whoami tells it.
type user struct{ Subject, Client, Session, Scopes string }

// whoami answers each message with the principal.
func whoami(_ context.Context, c *ws.Conn) error {
	for {
		if _, _, err := c.Read(); err != nil {
			return err
		}
		p := c.Principal()
		if err := c.WriteJSON(user{p.Subject, p.Attributes["client_id"], p.SessionHandle, strings.Join(p.Scopes, " ")}); err != nil {
			return err
		}
	}
}

func bearing(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// dial returns the socket, or the status and reason of the refusal.
func (s *site) dial(credential http.Header) (c *websocket.Conn, refused string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, answer, err := websocket.Dial(ctx, s.at, &websocket.DialOptions{HTTPClient: s.client, HTTPHeader: credential})
	if err == nil {
		s.t.Cleanup(func() { _ = c.CloseNow() })
		return c, ""
	}
	if answer == nil {
		s.t.Fatal(err)
	}
	var problem struct{ Reason string }
	_ = json.NewDecoder(answer.Body).Decode(&problem)
	return nil, strings.TrimSpace(fmt.Sprint(answer.StatusCode, " ", problem.Reason))
}

func (s *site) opensWith(credential http.Header) *websocket.Conn {
	s.t.Helper()
	c, refused := s.dial(credential)
	if c == nil {
		s.t.Fatalf("the handshake is refused: %s, %s", refused, s.cause())
	}
	return c
}

// opens opens a socket with the token, and returns its user.
func (s *site) opens(token string) (c *websocket.Conn, who user) {
	s.t.Helper()
	c = s.opensWith(bearing(token))
	return c, s.who(c)
}

// refuses checks the answer to a handshake with the token, and the cause in the log.
func (s *site) refuses(what, token, want, cause string) {
	s.t.Helper()
	c, got := s.dial(bearing(token))
	if c != nil || got != want {
		s.t.Errorf("%s: %q, want %s", what, got, want)
		return
	}
	if is := s.cause(); !strings.Contains(is, cause) || strings.Contains(is, token) {
		s.t.Errorf("%s: the cause is %q, want %q in it", what, is, cause)
	}
}

func (s *site) who(c *websocket.Conn) (who user) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte("?")); err != nil {
		s.t.Fatal(err)
	}
	_, text, err := c.Read(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &who); err != nil {
		s.t.Fatal(err)
	}
	return who
}

// ends returns how the socket ends.
func ends(c *websocket.Conn) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, _, err := c.Read(ctx)
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		return fmt.Sprint(int(closed.Code), " ", closed.Reason)
	}
	return fmt.Sprint("no close frame: ", err)
}

// cause returns the cause of the next refusal in the log.
func (s *site) cause() string {
	s.t.Helper()
	end := time.After(patience)
	for {
		select {
		case text := <-s.log:
			var line struct {
				Status int
				Cause  string
			}
			if err := json.Unmarshal(text, &line); err != nil {
				s.t.Fatal(err)
			}
			if line.Status >= 400 {
				return line.Cause
			}
		case <-end:
			s.t.Fatal("no refusal in the log")
		}
	}
}
