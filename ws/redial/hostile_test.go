package redial_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

// raw answers every request with the text, and leaves the connection open.
func raw(t *testing.T, answer func(r *http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, answer(r))
	})
}

// A redirect is never followed, because the credential would be sent to its target. It is that
// of a router, and the client comes back later.
func TestRedirectsThatNobodyCanRead(t *testing.T) {
	for _, to := range []string{"", "/elsewhere", "https://evil.example/", "http://[::1", "://", "%zz"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprint(status, " ", to), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, n := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Location", to+"?"+r.URL.RawQuery)
						w.WriteHeader(status)
					}))
					tickets, err := redial.NewTicket(redial.TicketConfig{URL: wstest.URL + "/ticket", HTTPClient: s.Client()})
					must(t, err)
					for name, source := range map[string]redial.Source{
						"handshake": give(redial.TicketQuery("hush-hush")),
						"ticket":    tickets,
					} {
						n.Store(0)
						r := start(t, s, redial.Config{Credential: source, Subprotocols: []string{"a"}}, nil)
						synctest.Wait()
						err := r.phases(redial.Waiting)[0].Cause
						var answered *redial.HandshakeError
						if !errors.As(err, &answered) || answered.Status != status || n.Load() != 1 ||
							strings.Contains(err.Error(), "hush") {
							t.Errorf("%s: %v after %d requests, want %d after one", name, err, n.Load(), status)
						}
						r.stop()
					}
				})
			})
		}
	}
}

// net/http and coder quote answers that echo the request; the credential is redacted.
func TestErrorsDoNotQuoteTheCredential(t *testing.T) {
	answers := map[string]string{
		"no HTTP":         "HTTP/1.1 %s\r\n\r\n",
		"another upgrade": "HTTP/1.1 101 X\r\nUpgrade: %s\r\nConnection: Upgrade\r\n\r\n",
		"another accept":  "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		"the reason of a 503": "HTTP/1.1 503 X\r\nContent-Type: application/problem+json\r\nContent-Length: 200\r\n\r\n" +
			"{\"reason\":\"%s\"}" + strings.Repeat(" ", 200),
		"an unknown encoding":  "HTTP/1.1 503 X\r\nTransfer-Encoding: %s\r\n\r\n",
		"no length":            "HTTP/1.1 503 X\r\nContent-Length: %s\r\n\r\n",
		"a header without end": "HTTP/1.1 503 X\r\n%s\r\n\r\n",
	}
	for name, cred := range map[string]redial.Credential{
		"in the query":          redial.TicketQuery("hush-hush"),
		"in the query, escaped": redial.TicketQuery("hush~hush/+"),
		"as a subprotocol":      redial.TicketSubprotocol("hush-hush"),
		"a token":               redial.BearerToken("hush-hush"),
		"a token, in base64":    redial.BearerSubprotocol("hush-hush"),
		"of the ticket route":   {},
	} {
		for answered, answer := range answers {
			t.Run(name+", "+answered, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, _ := counted(t, raw(t, func(r *http.Request) string {
						_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
						_, offered, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ",")
						return fmt.Sprintf(answer, r.URL.Query().Get("ticket")+token+strings.TrimSpace(offered))
					}))
					source := give(cred)
					if name == "of the ticket route" {
						var err error
						source, err = redial.NewTicket(redial.TicketConfig{
							URL: wstest.URL + "/ticket", HTTPClient: s.Client(),
							Authorize: func(r *http.Request, _ bool) error {
								r.Header.Set("Authorization", "Bearer hush-hush")
								return nil
							},
						})
						must(t, err)
					}
					r := start(t, s, redial.Config{Credential: source, Subprotocols: []string{"a"}}, nil)
					time.Sleep(time.Minute)
					r.cancel()
					text := (<-r.done).Error()
					for _, w := range r.phases(redial.Waiting) {
						text += "\n" + w.Cause.Error()
					}
					if strings.Contains(text, "hush") || strings.Contains(text, "aHVzaC1odXNo") || text == context.Canceled.Error() {
						t.Errorf("Run and its waits: %s", text)
					}
				})
			})
		}
	}
}

// net/http repeats a GET whose reused connection has died. A ticket is sent only once.
func TestACredentialIsWrittenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		used, shown := map[string]bool{}, map[string]int{}
		s, _ := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			shown[r.URL.Query().Get("ticket")]++
			if !used[r.RemoteAddr] {
				used[r.RemoteAddr] = true
				w.WriteHeader(503) // the connection is kept
				return
			}
			conn, _, err := http.NewResponseController(w).Hijack()
			must(t, err)
			_ = conn.Close() // the server dies over the second
		}))
		n := 0
		r := start(t, s, redial.Config{Credential: func(context.Context, bool) (redial.Credential, error) {
			n++
			return redial.TicketQuery(fmt.Sprint("ticket-", n)), nil
		}}, nil)
		time.Sleep(10 * time.Minute)
		r.stop()
		mu.Lock()
		defer mu.Unlock()
		if len(shown) < 10 || len(used) < 5 {
			t.Errorf("%d tickets over %d connections show nothing", len(shown), len(used))
		}
		for ticket, times := range shown {
			if times != 1 {
				t.Errorf("%s was shown %d times", ticket, times)
			}
		}
	})
}

// After an answer that does not switch protocols the client tries again, without delay.
func TestMalformedSwitches(t *testing.T) {
	for name, answer := range map[string]string{
		"without Upgrade and Connection": "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"without an accept":              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dials := make(chan struct{})
				s, _ := counted(t, raw(t, func(*http.Request) string {
					dials <- struct{}{}
					return answer
				}))
				r := start(t, s, redial.Config{Timeouts: redial.Timeouts{Dial: time.Second}}, nil)
				<-dials
				<-dials
				<-dials
				synctest.Wait()
				cancelled := time.Now() // during a dial, if that takes time
				r.stop()
				if took := time.Since(cancelled); took > 0 {
					t.Errorf("Run returned %v after its context had ended", took)
				}
			})
		})
	}
}

// If serve returns nil while the connection lives, Run ends, whether or not the queue could
// be sent.
func TestNilEndsRunThoughTheConnectionIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		s, n := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !first {
				w.WriteHeader(503)
				return
			}
			first = false
			conn := upgrade(t, w, r)
			time.AfterFunc(50*time.Millisecond, func() { _ = conn.Close() })
		}))
		r := prepare(t, s, redial.Config{Limits: redial.Limits{QueueBytes: 64 << 20}})
		const messages = 500
		r.run(func(context.Context, *redial.Conn) error {
			for range messages {
				must(t, r.Send(websocket.MessageBinary, make([]byte, 64<<10)))
			}
			return nil
		})
		if err := <-r.done; err != nil || n.Load() != 1 {
			t.Errorf("Run: %v after %d dials, want nil after one", err, n.Load())
		}
		if len(r.undelivered()) == 0 {
			t.Error("nothing is reported as undelivered")
		}
	})
}

// A success is measured by the life of the connection, not by the time serve takes after it.
func TestSuccessIsTheConnectionsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, n := counted(t, closing(t, 3000, "expired"))
		r := start(t, s, redial.Config{Credential: give(redial.BearerToken("t"))}, func(ctx context.Context, c *redial.Conn) error {
			err := listen(ctx, c)
			time.Sleep(11 * time.Second)
			return err
		})
		if err := <-r.done; !errors.Is(err, ws.ErrExpired) || n.Load() != 2 {
			t.Errorf("Run: %v after %d dials, want expired after two", err, n.Load())
		}
	})
}

func TestServeThatReturnsANilCloseError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := server(t, ws.Config{})
		r := start(t, s, redial.Config{}, func(context.Context, *redial.Conn) error {
			var none *ws.CloseError
			return none
		})
		if err := <-r.done; err == nil || !strings.Contains(err.Error(), "nil *CloseError") {
			t.Errorf("Run: %v", err)
		}
	})
}

// A panic of a Source reaches the caller of Run, on every dial.
func TestPanicInSourcePasses(t *testing.T) {
	for _, call := range []int{1, 2} {
		t.Run(fmt.Sprint("call ", call), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, s := server(t, ws.Config{})
				n := 0
				client := prepare(t, s, redial.Config{Credential: func(context.Context, bool) (redial.Credential, error) {
					if n++; n == call {
						panic("no token")
					}
					c := redial.Credential{Renew: time.Now().Add(time.Minute)}
					return c, nil
				}})
				defer func() {
					if p := recover(); p != "no token" {
						t.Errorf("recovered %v", p)
					}
					if len(client.phases(redial.Closed)) != 1 {
						t.Error("OnState was not called with Closed")
					}
				}()
				t.Errorf("Run: %v", client.Run(t.Context(), listen))
			})
		})
	}
}

// Callers that wait for a call share its failure, unless its own context ended.
func TestSharedTokenSourceSharesItsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away, calls := &net.OpError{Op: "dial", Err: errors.New("away")}, 0
		source := redial.Bearer(func(ctx context.Context, _ bool) (string, time.Time, error) {
			calls++
			select {
			case <-time.After(time.Second):
				return "", time.Time{}, away
			case <-ctx.Done():
				return "", time.Time{}, ctx.Err()
			}
		})
		hasty, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		began := time.Now()
		var asking sync.WaitGroup
		asking.Go(func() {
			if _, err := source(hasty, false); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the hasty one: %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			asking.Go(func() {
				if _, err := source(t.Context(), false); !errors.Is(err, away) {
					t.Error(err)
				}
			})
		}
		asking.Wait()
		if took := time.Since(began); calls != 2 || took != 1500*time.Millisecond {
			t.Errorf("%d calls in %v, want two in 1.5s", calls, took)
		}
	})
}
