package redial_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

func TestEchoAndNormalEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := server(t, ws.Config{Subprotocols: []string{"chat.v1"}})
		r := start(t, s, redial.Config{Subprotocols: []string{"chat.v1"}}, func(ctx context.Context, c *redial.Conn) error {
			if c.ID() == "" || c.Subprotocol() != "chat.v1" {
				t.Errorf("ID %q, subprotocol %q", c.ID(), c.Subprotocol())
			}
			for i := range 3 {
				text := fmt.Sprint("hello ", i)
				must(t, c.Write(websocket.MessageText, []byte(text)))
				typ, p, err := c.Read()
				if typ != websocket.MessageText || string(p) != text || err != nil {
					t.Errorf("read %v %q %v", typ, p, err)
				}
			}
			must(t, c.WriteJSON(map[string]int{"n": 1}))
			var v struct{ N int }
			if err := c.ReadJSON(&v); err != nil || v.N != 1 {
				t.Errorf("ReadJSON: %v %v", v, err)
			}
			return nil
		})
		if err := <-r.done; err != nil {
			t.Errorf("Run: %v, want nil: serve returned nil", err)
		}
		if got := len(r.phases(redial.Open)); got != 1 {
			t.Errorf("%d connections", got)
		}
	})
}

func TestServersThatStopAClient(t *testing.T) {
	closes := func(code websocket.StatusCode, reason string) func(*testing.T) http.Handler {
		return func(t *testing.T) http.Handler { return closing(t, code, reason) }
	}
	refuses := func(status int, reason string) func(*testing.T) http.Handler {
		return func(*testing.T) http.Handler { return refusingWith(status, reason) }
	}
	tests := map[string]struct {
		server func(*testing.T) http.Handler
		dials  int
		code   websocket.StatusCode // or
		status int
	}{
		"revoked":              {closes(3000, "revoked"), 1, 3000, 0},
		"3000 of another kind": {closes(3000, "who are you"), 1, 3000, 0},
		"expired, twice":       {closes(3000, "expired"), 2, 3000, 0},
		"reauth, twice":        {closes(3000, "reauth"), 2, 3000, 0},
		"forbidden":            {closes(3003, "forbidden"), 1, 3003, 0},
		"normal":               {closes(1000, ""), 1, 1000, 0},
		"protocol":             {closes(1002, ""), 1, 1002, 0},
		"unsupported data":     {closes(1003, ""), 1, 1003, 0},
		"not UTF-8":            {closes(1007, ""), 1, 1007, 0},
		"policy":               {closes(1008, "rate"), 1, 1008, 0},
		"too big":              {closes(1009, ""), 1, 1009, 0},
		"the application's":    {closes(4001, "kicked"), 1, 4001, 0},
		"401, twice":           {refuses(401, "credential_invalid"), 2, 0, 401},
		"403":                  {refuses(403, "forbidden"), 1, 0, 403},
		"400":                  {refuses(400, "subprotocol"), 1, 0, 400},
		"421":                  {refuses(421, "host_not_allowed"), 1, 0, 421},
		"501":                  {refuses(501, "extended_connect"), 1, 0, 501},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dials := counted(t, tt.server(t))
				asked := []bool{}
				r := start(t, s, redial.Config{Credential: func(_ context.Context, renew bool) (redial.Credential, error) {
					asked = append(asked, renew)
					return redial.BearerToken("t"), nil
				}}, nil)
				err := <-r.done
				var closed *ws.CloseError
				var answered *redial.HandshakeError
				switch {
				case tt.code != 0 && (!errors.As(err, &closed) || closed.Code != tt.code):
					t.Errorf("Run: %v, want close code %d", err, tt.code)
				case tt.status != 0 && (!errors.As(err, &answered) || answered.Status != tt.status):
					t.Errorf("Run: %v, want status %d", err, tt.status)
				}
				if int(dials.Load()) != tt.dials || len(asked) != tt.dials {
					t.Errorf("%d dials, %d credentials; want %d", dials.Load(), len(asked), tt.dials)
				}
				for i, renew := range asked {
					if renew != (i > 0) {
						t.Errorf("credential %d: renew %v", i, renew)
					}
				}
				states := r.phases(redial.Closed)
				if len(states) != 1 || states[0].Cause != err {
					t.Errorf("Closed: %v, want once with %v", states, err)
				}
			})
		})
	}
}

func TestServersThatAClientComesBackTo(t *testing.T) {
	tests := map[string]http.Handler{
		"408": answering(408), "425": answering(425), "429": answering(429),
		"500": answering(500), "502": answering(502), "503": answering(503), "504": answering(504),

		// A response without this module's problem+json is that of a router or proxy.
		"a router's 404": answering(404, "Content-Type", "text/html"), "a proxy's 403": answering(403), "a proxy's 421": answering(421),
		"a page with 200": answering(200, "Content-Type", "text/html"), "501 of a cache": answering(501), "505": answering(505),
		"a redirect": answering(302, "Location", "https://evil.example/ws"), "a gateway's 401": answering(401),
		"a problem of another program": refusingWith(403, "RBAC"), "a problem without a reason": refusingWith(404, ""),
		"a reason outside of problem+json": refusingWith(403, "forbidden", "Content-Type", "application/json"),
	}
	for _, code := range []websocket.StatusCode{1001, 1011, 1012, 1013, 1014, 3008} {
		tests[fmt.Sprint("close ", int(code))] = closing(t, code, "later")
	}
	tests["no close frame"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := websocket.Accept(w, r, nil)
		_ = c.CloseNow()
	})
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dials := counted(t, h)
				r := start(t, s, redial.Config{}, nil)
				time.Sleep(time.Hour)
				r.stop()
				// Full jitter with a cap of 30 s: a mean of 15 s, so about 240.
				if n := dials.Load(); n < 120 || n > 480 {
					t.Errorf("%d dials in an hour", n)
				}
			})
		})
	}
}

// A token that was fetched just after a sign-out is refused until the cut-off is past.
func TestARefusalThatSaysWhenAnotherCredentialIsGood(t *testing.T) {
	tooEarly := refusingWith(401, "credential_expired", "Retry-After", "5")
	for name, first := range map[string]http.Handler{
		"of the handshake":   tooEarly,
		"after an open life": closing(t, 3000, "expired"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good := handler(t, ws.Config{})
				began := time.Now()
				var dials, accepted atomic.Int64
				s, _ := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case dials.Add(1) == 1:
						first.ServeHTTP(w, r)
					case time.Since(began) < 4*time.Minute: // twice the longest Leeway
						tooEarly.ServeHTTP(w, r)
					default:
						accepted.Store(int64(time.Since(began)))
						r.Header.Del("Authorization")
						good.ServeHTTP(w, r)
					}
				}))
				var asked []bool
				r := start(t, s, redial.Config{Credential: func(_ context.Context, renew bool) (redial.Credential, error) {
					asked = append(asked, renew)
					return redial.BearerToken("t"), nil
				}}, nil)
				time.Sleep(10 * time.Minute)
				if took := time.Duration(accepted.Load()); took == 0 || took > 4*time.Minute+35*time.Second { // Retry-After and Backoff.Max
					t.Errorf("accepted after %v and %d dials", took, dials.Load())
				}
				for i, renew := range asked {
					if renew != (i > 0) {
						t.Errorf("credential %d: renew %v", i, renew)
					}
				}
				r.stop()
			})
		})
	}
}

// A server that explains refusals to pages sends this client the answer itself, whether or not
// it has an Origin.
func TestRefusalsAreReadFromTheAnswer(t *testing.T) {
	for name, origin := range map[string]string{"without Origin": "", "with Origin": wstest.URL} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				auth, err := middleware.NewAuth(refusingUser{})
				must(t, err)
				_, s := server(t, ws.Config{Auth: auth, ExplainRefusals: true})
				r := start(t, s, redial.Config{Origin: origin}, nil)
				var answered *redial.HandshakeError
				if err := <-r.done; !errors.As(err, &answered) || answered.Status != 401 || answered.Reason != "credential_revoked" {
					t.Errorf("Run: %v", err)
				}
			})
		})
	}
}

// refusingUser refuses each request, as a credential that was revoked.
type refusingUser struct{}

func (refusingUser) Ambient() bool { return false }

func (refusingUser) Authenticate(*http.Request) (middleware.Principal, error) {
	return middleware.Principal{}, middleware.Unauthorized(middleware.ReasonCredentialRevoked, errors.New("revoked"))
}
