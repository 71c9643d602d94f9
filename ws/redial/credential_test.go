package redial_test

import (
	"context"
	"encoding/json"
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
	"github.com/securews/securews/ws/wstest"
)

// give is a source of one credential.
func give(c redial.Credential) redial.Source {
	return func(context.Context, bool) (redial.Credential, error) { return c, nil }
}

func TestWhereACredentialGoes(t *testing.T) {
	tests := map[string]struct {
		credential redial.Credential
		header     string // of Authorization
		protocols  string
		query      string
	}{
		"Authorization (RFC 6750 §2.1)": {redial.BearerToken("a.b-c_d~e+f/g="), "Bearer a.b-c_d~e+f/g=", "chat.v1,chat.v2", "room=1"},
		"a ticket as subprotocol":       {redial.TicketSubprotocol("tick"), "", "chat.v1,chat.v2,ticket.tick", "room=1"},
		"a ticket in the query":         {redial.TicketQuery("tick"), "", "chat.v1,chat.v2", "room=1&ticket=tick"},
		"a token as subprotocol": {
			redial.BearerSubprotocol("a.b"), "", "chat.v1,chat.v2,base64url.bearer.authorization.securews.YS5i", "room=1",
		},
		"none": {redial.Credential{}, "", "chat.v1,chat.v2", "room=1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					got := [...]string{
						r.Header.Get("Authorization"),
						r.Header.Get("Sec-WebSocket-Protocol"), r.URL.RawQuery, r.Header.Get("Origin"), r.Header.Get("X-App"),
					}
					if want := [...]string{tt.header, tt.protocols, tt.query, "https://app.example", "1"}; got != want {
						t.Errorf("got  %q\nwant %q", got, want)
					}
					refusingWith(403, "forbidden").ServeHTTP(w, r)
				}))
				r := start(t, s, redial.Config{
					URL: wss + "?room=1", Origin: "https://app.example", Header: http.Header{"X-App": {"1"}},
					Subprotocols: []string{"chat.v1", "chat.v2"}, Credential: give(tt.credential),
				}, nil)
				<-r.done
			})
		})
	}
}

func TestCredentialsThatCannotBeSentEndRun(t *testing.T) {
	for name, c := range map[string]redial.Credential{
		"empty": redial.BearerToken(""), "a line break": redial.BearerToken("a\r\nX: y"), "a comma": redial.TicketSubprotocol("a,b"),
		"no real subprotocol beside": redial.TicketSubprotocol("secret"), "not a token": redial.TicketSubprotocol("a/b="),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				unused := &refusing{}
				r := start(t, nil, redial.Config{HTTPClient: &http.Client{Transport: unused}, Credential: give(c)}, nil)
				if err := <-r.done; err == nil || unused.dials != 0 || strings.Contains(err.Error(), "secret") {
					t.Errorf("Run: %v after %d dials", err, unused.dials)
				}
			})
		})
	}
}

func TestServerThatSelectsWhatItMustNot(t *testing.T) {
	for name, selected := range map[string]string{"the ticket": "ticket.secret", "another letter case": "CHAT.v1", "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dials := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					c, err := websocket.Accept(&selecting{w, selected}, r, nil)
					if err == nil {
						_ = c.CloseNow()
					}
				}))
				r := start(t, s, redial.Config{Subprotocols: []string{"chat.v1"}, Credential: give(redial.TicketSubprotocol("secret"))},
					nil)
				err := <-r.done
				if err == nil || strings.Contains(err.Error(), "secret") || dials.Load() != 1 {
					t.Errorf("Run: %v after %d dials", err, dials.Load())
				}
			})
		})
	}
}

// selecting names a subprotocol in the 101.
type selecting struct {
	http.ResponseWriter
	subprotocol string
}

func (w *selecting) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *selecting) WriteHeader(status int) {
	if w.subprotocol != "" {
		w.Header().Set("Sec-WebSocket-Protocol", w.subprotocol)
	}
	w.ResponseWriter.WriteHeader(status)
}

func TestCredentialIsNeverShown(t *testing.T) {
	for _, c := range []redial.Credential{
		redial.BearerToken("secret"), redial.TicketSubprotocol("secret"), redial.TicketQuery("secret"), redial.BearerSubprotocol("secret"),
	} {
		j, _ := json.Marshal(c)
		var b strings.Builder
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "c", c)
		if all := fmt.Sprintf("%v %+v %#v %s %s %s", c, c, c, c, j, &b); strings.Contains(all, "secret") {
			t.Errorf("shown: %s", all)
		}
	}
	synctest.Test(t, func(t *testing.T) { // net/http quotes the URL in its errors
		r := start(t, nil, redial.Config{
			HTTPClient: &http.Client{Transport: &refusing{}}, Credential: give(redial.TicketQuery("secret")),
		}, nil)
		synctest.Wait()
		if cause := r.phases(redial.Waiting)[0].Cause.Error(); strings.Contains(cause, "secret") || !strings.Contains(cause, "refused") {
			t.Errorf("cause: %s", cause)
		}
		r.stop()
	})
}

func TestSourceErrors(t *testing.T) {
	passing, final := errors.New("passing"), errors.New("final")
	tests := map[string]struct {
		err   error
		calls int
	}{
		"any error is tried again": {passing, 5},
		"a permanent one is not":   {redial.Permanent(final), 1},
		"a 401 once":               {&redial.HandshakeError{Status: 401}, 2},
		"one with Retry-After is":  {&redial.HandshakeError{Status: 401, RetryAfter: time.Second}, 5},
		"a 403 is not":             {&redial.HandshakeError{Status: 403}, 1},
		"a 503 is":                 {&redial.HandshakeError{Status: 503}, 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				r := start(t, nil, redial.Config{
					HTTPClient: &http.Client{Transport: &refusing{}},
					Credential: func(context.Context, bool) (redial.Credential, error) {
						if calls++; calls == 5 {
							return redial.Credential{}, redial.Permanent(final)
						}
						return redial.Credential{}, tt.err
					},
				}, nil)
				if err := <-r.done; err == nil || calls != tt.calls {
					t.Errorf("Run: %v after %d calls, want %d", err, calls, tt.calls)
				}
			})
		})
	}
}

func TestExpiredIsAnsweredWithANewCredentialOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var served atomic.Int64
		_, s := server(t, ws.Config{Serve: func(ctx context.Context, c *ws.Conn) error {
			served.Add(1)
			return lasting(time.Minute, ws.ErrExpired)(ctx, c)
		}})
		var asked []bool
		r := start(t, s, redial.Config{Credential: func(_ context.Context, renew bool) (redial.Credential, error) {
			asked = append(asked, renew)
			return redial.Credential{}, nil
		}}, nil)
		time.Sleep(10*time.Minute + 30*time.Second)
		r.stop()
		// Every connection lived, so each has its own once.
		if n := served.Load(); n < 10 || n > 11 {
			t.Errorf("%d connections in ten minutes of one each", n)
		}
		for i, renew := range asked {
			if renew != (i > 0) {
				t.Errorf("credential %d: renew %v", i, renew)
			}
		}
	})
}

// A server that asks for a new credential each time is not dialed in a tight loop.
func TestServerThatNeverTakesACredential(t *testing.T) {
	tests := []struct {
		sentence string
		server   func(t *testing.T) http.Handler
		most     int64 // dials in ten minutes
	}{
		{
			sentence: "expired, at once", most: 2,
			server: func(t *testing.T) http.Handler { return closing(t, 3000, "expired") },
		},
		{
			sentence: "expired, after a second", most: 600,
			server: func(t *testing.T) http.Handler {
				return handler(t, ws.Config{Serve: lasting(time.Second, ws.ErrExpired)})
			},
		},
		{
			sentence: "401", most: 2,
			server: func(*testing.T) http.Handler { return refusingWith(401, "credential_invalid") },
		},
		{
			sentence: "401 with Retry-After", most: 100,
			server: func(*testing.T) http.Handler {
				return refusingWith(401, "credential_expired", "Retry-After", "1")
			},
		},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			s, dials := counted(t, tt.server(t))
			r := start(t, s, redial.Config{}, nil)
			select {
			case <-r.done:
			case <-time.After(10 * time.Minute):
				r.stop()
			}
			if n := dials.Load(); n < 2 || n > tt.most {
				t.Errorf("%s: %d dials in ten minutes, want 2 to %d", tt.sentence, n, tt.most)
			}
		})
	}
}

func TestSharedTokenSourceIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, inFlight atomic.Int64
		source := redial.Bearer(func(ctx context.Context, _ bool) (string, time.Time, error) {
			calls.Add(1)
			if inFlight.Add(1) > 1 {
				t.Error("two calls at a time")
			}
			defer inFlight.Add(-1)
			time.Sleep(time.Second)
			return "t", time.Time{}, ctx.Err()
		})
		ask := func(n int, renew bool) {
			var all sync.WaitGroup
			for range n {
				all.Go(func() {
					if _, err := source(t.Context(), renew); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		ask(100, false)
		if calls.Swap(0) != 1 {
			t.Error("100 clients at a time: not one call")
		}
		time.Sleep(time.Second)
		ask(1, false)
		if calls.Swap(0) != 1 {
			t.Error("a later one is not answered anew")
		}
		var all sync.WaitGroup
		all.Go(func() { ask(50, false) })
		synctest.Wait()
		all.Go(func() { ask(50, true) })
		all.Wait()
		if n := calls.Load(); n > 3 || n < 2 {
			t.Errorf("50 more who need a new one: %d calls, want 2: a token of before will not do", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		all.Go(func() { ask(1, false) })
		synctest.Wait()
		cancel()
		if _, err := source(ctx, false); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller whose context has ended: %v", err)
		}
		all.Wait()
	})
}
