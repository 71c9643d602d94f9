package redial_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
)

func TestARefusedCredentialIsNotShownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var shown []string
		good := handler(t, ws.Config{})
		s, _ := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			mu.Lock()
			shown = append(shown, token)
			mu.Unlock()
			if token == "old" {
				refusingWith(401, "credential_invalid").ServeHTTP(w, r)
				return
			}
			r.Header.Del("Authorization")
			good.ServeHTTP(w, r)
		}))
		cached, failures := "old", 0
		r := start(t, s, redial.Config{Credential: redial.Bearer(func(_ context.Context, renew bool) (string, time.Time, error) {
			if renew {
				if failures++; failures <= 2 {
					return "", time.Time{}, errors.New("the issuer is away")
				}
				cached = "new"
			}
			return cached, time.Time{}, nil
		})}, nil)
		time.Sleep(5 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		select {
		case err := <-r.done:
			t.Fatalf("Run: %v, after %q", err, shown)
		default:
		}
		if len(shown) != 2 {
			t.Errorf("shown: %q", shown)
		}
		r.stop()
	})
}

func TestServeThatReturnsErrRenewedIsNotDialledAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := server(t, ws.Config{})
		var calls atomic.Int64
		r := start(t, s, redial.Config{}, func(_ context.Context, c *redial.Conn) error {
			if calls.Add(1) > 50 {
				return redial.Permanent(errors.New("a tight loop"))
			}
			return redial.ErrRenewed // of another client, say
		})
		if err := <-r.done; calls.Load() != 1 {
			t.Errorf("%d connections, Run: %v", calls.Load(), err)
		}
	})
}

func TestAConnectionDoesNotPrintItsCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		s, _ := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err == nil {
				_ = c.CloseNow()
			}
		}))
		r := start(t, s, redial.Config{Credential: give(redial.BearerToken("hush-hush"))}, func(_ context.Context, c *redial.Conn) error {
			_, _, _ = c.Read()
			fmt.Fprintf(&b, "%v %+v %#v", c, c, c)
			slog.New(slog.NewTextHandler(&b, nil)).Info("x", "conn", c)
			return redial.Permanent(errors.New("done"))
		})
		<-r.done
		bad := "%d" // vet would see it
		fmt.Fprintf(&b, bad, redial.BearerToken("hush-hush"))
		if strings.Contains(b.String(), "hush-hush") {
			t.Error("the token is in the log")
		}
	})
}

func TestDefaultTransportThatSkipsVerification(t *testing.T) {
	old := http.DefaultTransport
	defer func() { http.DefaultTransport = old }()
	http.DefaultTransport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	for name, c := range map[string]*http.Client{"nil": nil, "a nil Transport": {}} {
		if _, err := redial.New(redial.Config{URL: wss, HTTPClient: c}); err == nil {
			t.Errorf("%s: New takes it", name)
		}
		if _, err := redial.NewTicket(redial.TicketConfig{URL: route, HTTPClient: c}); err == nil {
			t.Errorf("%s: NewTicket takes it", name)
		}
	}
}

func TestLogoutWhileARenewalIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, ws.Config{Serve: lasting(2*time.Minute, ws.ErrRevoked)})
		n := 0
		s, _ := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n++; n > 1 {
				refusingWith(403, "forbidden").ServeHTTP(w, r)
				return
			}
			r.Header.Del("Authorization")
			h.ServeHTTP(w, r)
		}))
		c := redial.BearerToken("t")
		c.Renew = time.Now().Add(time.Minute)
		r := start(t, s, redial.Config{Credential: give(c)}, nil)
		if err := <-r.done; codeOf(err) != 3000 {
			t.Errorf("Run: %v, want what the server said", err)
		}
	})
}
