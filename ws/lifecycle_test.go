package ws_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// ASVS 7.3.1, 7.3.2, 7.4.1: the connection ends with its credential.
func TestConnectionEndsWithItsDeadlines(t *testing.T) {
	const long = 100 * time.Hour
	tests := []struct {
		name             string
		expires          time.Duration
		idle             time.Duration
		maxAge           time.Duration
		code             websocket.StatusCode
		reason           string
		earliest, latest time.Duration
	}{
		{
			name: "at the credential's end", expires: time.Hour,
			idle: long, maxAge: long, code: 3000, reason: "expired", earliest: time.Hour, latest: time.Hour + time.Second,
		},
		{
			name: "at its maximum age, less up to a tenth of jitter",
			idle: long, maxAge: 2 * time.Hour, code: 3000, reason: "reauth", earliest: 108 * time.Minute,
			latest: 2*time.Hour + time.Second,
		},
		{
			name: "after the default maximum age of 24 h", idle: long,
			code: 3000, reason: "reauth", earliest: 24 * 54 * time.Minute, latest: 24*time.Hour + time.Second,
		},
		{
			name: "when idle, though it answers heartbeats", idle: 10 * time.Minute,
			code: 3008, reason: "idle", earliest: 10 * time.Minute, latest: 10*time.Minute + time.Second,
		},
		{
			name: "never because it is idle, by default", code: 3000,
			reason: "reauth", earliest: 24 * 54 * time.Minute, latest: 24*time.Hour + time.Second,
		},
		{
			name: "at the earliest of them", expires: 5 * time.Minute,
			idle: 6 * time.Minute, maxAge: 7 * time.Minute, code: 3000, reason: "expired", earliest: 5 * time.Minute,
			latest: 5*time.Minute + time.Second,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				of := live.Config{Timeouts: live.Timeouts{MaxAge: tt.maxAge}}
				n := startLive(t, of, ws.Config{
					Timeouts: ws.Timeouts{Idle: tt.idle},
					Auth: auth(t, user{func(name string) (middleware.Principal, error) {
						p := middleware.Principal{Issuer: "test", Subject: name}
						if tt.expires > 0 {
							p.Expires = time.Now().Add(tt.expires)
						}
						return p, nil
					}}),
				})
				wantEnding(t, n.connect("ann"), tt.code, tt.reason, tt.earliest, tt.latest)
			})
		})
	}
}

func TestMessagesKeepAConnectionFromBeingIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Timeouts: ws.Timeouts{Idle: time.Minute}})
		c := n.connect("ann")
		go func() {
			for range 60 {
				time.Sleep(50 * time.Second)
				if err := c.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
					t.Error(err)
				}
			}
		}()
		wantEnding(t, c, 3008, "idle", 51*time.Minute, 51*time.Minute+time.Second)
	})
}

// A half-open peer is gone after interval + timeout, 25 + 10 s.
func TestHalfOpenPeerIsGoneAfterAHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ended := make(chan time.Duration, 2)
		n := start(t, ws.Config{Serve: func(ctx context.Context, c *ws.Conn) error {
			_, _, err := c.Read()
			if !errors.Is(err, ws.ErrTimeout) || !errors.Is(context.Cause(ctx), ws.ErrTimeout) {
				t.Errorf("read ends with %v, context with %v, want timeout", err, context.Cause(ctx))
			}
			ended <- time.Since(begun)
			return err
		}})
		n.connect("ann")
		for _, c := range n.Listener.Conns() {
			c.Blackhole()
		}
		if d := <-ended; d < 25*time.Second || d > 35*time.Second {
			t.Errorf("noticed after %v, want 25 s to 35 s", d)
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		n.shutdown()
		if s := n.logs.String(); strings.Count(s, "websocket closed") != 1 {
			t.Errorf("want one line for the ending:\n%s", s)
		}
	})
}

func TestAnsweringPeerLivesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Timeouts: ws.Timeouts{Idle: 9 * time.Hour}})
		wantEnding(t, n.connect("ann"), 3008, "idle", 9*time.Hour, 9*time.Hour+time.Second)
	})
}

// ASVS 7.4.2, 7.4.3, W9: revocation reaches live sockets, and only those it names.
func TestRevocationClosesItsConnections(t *testing.T) {
	tests := []struct {
		name   string
		revoke middleware.Revocation
		closed string // whose connections
	}{
		{"of a session", middleware.Revocation{SessionHandle: "s-ann"}, "ann"},
		{"of a token", middleware.Revocation{TokenHandle: "t-bob"}, "bob"},
		{"of a subject", middleware.Revocation{Issuer: "test", Subject: "ann"}, "ann"},
		{"of a subject under any issuer", middleware.Revocation{Subject: "ann"}, "ann"},
		{"of another issuer's subject", middleware.Revocation{Issuer: "other", Subject: "ann"}, ""},
		{"of a subject before it signed in", middleware.Revocation{
			Subject: "ann",
			Before:  time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC),
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				revocations := middleware.NewRevocations()
				n := start(t, ws.Config{Auth: revokedBy(t, revocations), Timeouts: ws.Timeouts{Idle: time.Hour}})
				ends := map[string]chan ended{"ann": n.watch("ann"), "bob": n.watch("bob")}
				time.Sleep(time.Minute)
				revoke(t, revocations, tt.revoke)
				for name, end := range ends {
					want := ended{websocket.CloseError{Code: 3008, Reason: "idle"}, time.Hour}
					if name == tt.closed {
						want = ended{websocket.CloseError{Code: 3000, Reason: "revoked"}, time.Minute}
					}
					got := <-end
					got.after = got.after.Truncate(time.Second)
					if got != want {
						t.Errorf("%s ended with %v, want %v", name, got, want)
					}
				}
				if _, res, err := n.try(tt.closed); tt.revoke.Subject == "" && (err == nil || res.StatusCode != 401) {
					t.Errorf("a new handshake of %s is answered %v, want 401", tt.closed, res)
				}
			})
		})
	}
}

// A logout during the upgrade wins.
func TestRevocationDuringTheUpgradeWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revocations := middleware.NewRevocations()
		var served atomic.Bool
		n := start(t, ws.Config{
			Auth: revokedBy(t, revocations),
			Authorize: func(r *http.Request, p middleware.Principal) (any, error) {
				return nil, revocations.Revoke(r.Context(), middleware.Revocation{SessionHandle: p.SessionHandle})
			},
			Serve: func(context.Context, *ws.Conn) error { served.Store(true); return nil },
		})
		if _, res, err := n.try("ann"); err == nil || res.StatusCode != 401 {
			t.Errorf("answered %v, want 401", res)
		}
		if served.Load() {
			t.Error("Serve ran for a revoked session")
		}
	})
}

// unreachable is a revocation store that cannot be asked.
type unreachable struct{ middleware.Revocations }

func (unreachable) Revoked(context.Context, middleware.Principal) (bool, error) {
	return false, errors.New("store: connection refused at 10.0.0.7")
}

// A store that cannot be reached admits no request: fail closed.
func TestUnknownRevocationRefusesTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Auth: revokedBy(t, unreachable{middleware.NewRevocations()})})
		_, res, err := n.try("ann")
		if err == nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
			t.Fatalf("answered %v, %v, want 503 with Retry-After", res, err)
		}
	})
}

// ASVS 8.3.2: permission changes reach live sockets; so does a lost session.
func TestRecheckDecides(t *testing.T) {
	const minute = time.Minute
	tests := []struct {
		name             string
		answer           error
		code             websocket.StatusCode
		reason           string
		earliest, latest time.Duration
	}{
		{
			name: "a lost session ends it", answer: &middleware.Refusal{Status: 401, Reason: middleware.ReasonNoCredential},
			code: 3000, reason: "expired",
			earliest: 4 * minute, latest: 5*minute + time.Second,
		},
		{
			name: "a revoked session ends it", answer: &middleware.Refusal{Status: 401, Reason: middleware.ReasonCredentialRevoked},
			code: 3000, reason: "revoked",
			earliest: 4 * minute, latest: 5*minute + time.Second,
		},
		{
			name: "a lost permission ends it", answer: &middleware.Refusal{Status: 403, Reason: middleware.ReasonForbidden},
			code: 3003, reason: "forbidden",
			earliest: 4 * minute, latest: 5*minute + time.Second,
		},
		{
			name:   "a close error, which is not an answer, is endured for Stale",
			answer: &ws.CloseError{Code: 4001, Reason: "banned"}, code: 1013, reason: "later",
			earliest: 15 * minute, latest: 15*minute + 11*time.Second,
		},
		{
			name:   "a store that is down is endured for Stale",
			answer: errors.New("down"), code: 1013, reason: "later", earliest: 15 * minute, latest: 15*minute + 11*time.Second,
		},
		{
			name: "so is a nil *Refusal, which says nothing", answer: (*middleware.Refusal)(nil),
			code: 1013, reason: "later", earliest: 15 * minute, latest: 15*minute + 11*time.Second,
		},
		{
			name: "so is one that refuses with 503", answer: &middleware.Refusal{Status: 503, Reason: middleware.ReasonUnavailable},
			code: 1013, reason: "later",
			earliest: 15 * minute, latest: 15*minute + 11*time.Second,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				users := &revocable{alive: func(context.Context, middleware.Principal) error { return tt.answer }}
				n := start(t, ws.Config{Auth: auth(t, users), Timeouts: ws.Timeouts{Idle: 10 * time.Hour}})
				c := n.connect("ann")
				users.earnest.Store(true)
				wantEnding(t, c, tt.code, tt.reason, tt.earliest, tt.latest)
			})
		})
	}
}

func TestServeDecidesHowAConnectionEnds(t *testing.T) {
	tests := []struct {
		name   string
		serve  func(context.Context, *ws.Conn) error
		code   websocket.StatusCode
		reason string
	}{
		{"nil is a normal end", func(context.Context, *ws.Conn) error { return nil }, 1000, ""},
		{"an error is ours, and stays with us", func(context.Context,
			*ws.Conn,
		) error {
			return errors.New("pq: password authentication failed")
		}, 1011, "internal"},
		{
			"a CloseError is sent", func(context.Context, *ws.Conn) error { return &ws.CloseError{Code: 4000, Reason: "game over"} },
			4000, "game over",
		},
		{"one that may not be sent is not", func(context.Context, *ws.Conn) error { return &ws.CloseError{Code: 1015} }, 1011, "internal"},
		{"a panic is contained", func(context.Context, *ws.Conn) error { panic("secret payload") }, 1011, "internal"},
		{
			"Close wins over what follows", func(_ context.Context, c *ws.Conn) error { _ = c.Close(4002, "kicked"); return nil },
			4002, "kicked",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := start(t, ws.Config{Serve: tt.serve})
				wantEnding(t, n.connect("ann"), tt.code, tt.reason, 0, 0)
			})
		})
	}
}

// ASVS 16.5.4.
func TestPanicHarmsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startLive(t, live.Config{Limits: live.Limits{Connections: 2}}, ws.Config{Serve: func(ctx context.Context, c *ws.Conn) error {
			if c.Principal().Subject == "eve" {
				_, p, err := c.Read()
				if err == nil {
					panic(string(p))
				}
				return err
			}
			return echo(ctx, c)
		}})
		ann := n.connect("ann")
		for range 3 { // the place is given back each time
			eve := n.connect("eve")
			if err := eve.Write(t.Context(), websocket.MessageText, []byte("hunter2")); err != nil {
				t.Fatal(err)
			}
			wantEnding(t, eve, 1011, "internal", 0, 0)
			synctest.Wait()
		}
		if err := ann.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := ann.Read(t.Context()); err != nil || string(p) != "still here" {
			t.Errorf("read %q, %v", p, err)
		}
		if s := n.logs.String(); strings.Count(s, "stack=") != 3 || strings.Contains(s, "hunter2") {
			t.Errorf("want three stacks and no payload:\n%s", s)
		}
	})
}

// The close handshake may stall, the connection may not.
func TestPeerThatNeverAnswersTheCloseIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Serve: func(context.Context, *ws.Conn) error { return nil }})
		begun := time.Now()
		n.connect("ann") // never reads
		synctest.Wait()
		n.shutdown()
		if d := time.Since(begun); d < time.Second || d > 5*time.Second {
			t.Errorf("gone after %v, want about 2 s", d)
		}
	})
}

// A message is due, to its last byte, Timeouts.Message after its first.
func TestMessageThatIsNeverFinishedIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{})
		c := n.connect("ann")
		w, err := c.Writer(t.Context(), websocket.MessageText)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		defer func() { <-done }()
		go func() {
			defer close(done)
			for range 14 { // in time for no write or heartbeat to be missed
				if _, err := w.Write(make([]byte, 4100)); err != nil {
					return
				}
				time.Sleep(2500 * time.Millisecond)
			}
		}()
		wantEnding(t, c, 3008, "timeout", 30*time.Second, 31*time.Second)
	})
}

// One stalled reader is cut and the others lose nothing.
func TestSlowConsumerIsCutAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		hub := map[string]*ws.Conn{}
		slow := make(chan error, 1)
		n := start(t, ws.Config{Serve: func(ctx context.Context, c *ws.Conn) error {
			mu.Lock()
			hub[c.Principal().Subject] = c
			mu.Unlock()
			err := c.PushOnly()
			if c.Principal().Subject == "slow" {
				slow <- context.Cause(ctx)
			}
			return err
		}})
		fast := n.connect("fast")
		n.connect("slow") // never reads
		synctest.Wait()
		payload := bytes.Repeat([]byte("x"), 8<<10)
		got := make(chan int)
		go func() {
			count := 0
			for ; count < 500; count++ {
				if _, _, err := fast.Read(t.Context()); err != nil {
					t.Error(err)
					break
				}
			}
			got <- count
		}()
		for range 500 {
			mu.Lock()
			for _, c := range hub {
				_ = c.Send(websocket.MessageBinary, payload)
			}
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
		}
		if count := <-got; count != 500 {
			t.Errorf("the fast one got %d of 500", count)
		}
		if err := <-slow; !errors.Is(err, ws.ErrSlow) {
			t.Errorf("the slow one ended with %v, want slow", err)
		}
	})
}

func TestWriteToAStalledPeerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := make(chan error, 1)
		n := start(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			for {
				if err := c.Write(websocket.MessageBinary, make([]byte, 60<<10)); err != nil {
					result <- err
					return err
				}
			}
		}})
		begun := time.Now()
		n.connect("ann")
		if err := <-result; !errors.Is(err, ws.ErrSlow) {
			t.Errorf("write ends with %v, want slow", err)
		}
		if d := time.Since(begun); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("after %v, want 10 s", d)
		}
	})
}

// A shutdown admits no request, spreads its closes, and does not wait for a silent peer.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startLive(t, live.Config{Limits: live.Limits{PerPrincipal: 1000}}, ws.Config{Timeouts: ws.Timeouts{Idle: time.Hour}})
		const count = 200
		var ends []chan ended
		for range count {
			ends = append(ends, n.watch("ann"))
		}
		n.connect("silent") // never answers
		synctest.Wait()
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		drained := make(chan error, 1)
		go func() { drained <- n.live.Shutdown(ctx) }()
		synctest.Wait()
		if _, res, err := n.try("late"); err == nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
			t.Errorf("a late handshake is answered %v, %v, want 503 with Retry-After", res, err)
		}
		perSecond := map[int]int{}
		for _, end := range ends {
			e := <-end
			if e.Code != 1012 || e.Reason != "restart" {
				t.Errorf("closed with %v, want 1012 restart", e.CloseError)
			}
			perSecond[int(e.after/time.Second)]++
		}
		for s, k := range perSecond {
			if s > 5 || k > count/2 {
				t.Errorf("%d closed in second %d, want them spread over 5 s", k, s)
			}
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if d := time.Since(begun); d > 10*time.Second {
			t.Errorf("drained after %v", d)
		}
	})
}

func TestDrainCutsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startLive(t, live.Config{Timeouts: live.Timeouts{Spread: time.Hour}}, ws.Config{Timeouts: ws.Timeouts{Close: time.Hour}})
		n.connect("silent")
		n.connect("too")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		shutdown(ctx, t, n.live)
		if d := time.Since(begun); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("drained after %v, want 10 s", d)
		}
	})
}

func TestDrainNamesAServeThatDoesNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		n := start(t, ws.Config{Serve: func(context.Context, *ws.Conn) error { <-stuck; return nil }})
		c := n.connect("ann")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		defer close(stuck)
		go ending(c)
		if err := n.live.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 members") {
			t.Errorf("got %v", err)
		}
	})
}

// Queued messages precede the close frame of an end in good order.
func TestWhatWasSentPrecedesTheClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			for i := range 100 {
				if err := c.Send(websocket.MessageBinary, bytes.Repeat([]byte{byte(i)}, 4<<10)); err != nil {
					t.Error(err)
				}
			}
			return nil
		}})
		c := n.connect("ann")
		for i := range 100 {
			_, p, err := c.Read(t.Context())
			if err != nil || p[0] != byte(i) {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		wantEnding(t, c, 1000, "", 0, 0)
	})
}

func TestConnIsOfNoUseAfterServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := make(chan *ws.Conn, 1)
		n := start(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error { kept <- c; return nil }})
		wantEnding(t, n.connect("ann"), 1000, "", 0, 0)
		c := <-kept
		synctest.Wait()
		_, _, readErr := c.Read()
		for name, err := range map[string]error{
			"Read": readErr, "Write": c.Write(websocket.MessageText, nil), "Send": c.Send(websocket.MessageText, nil),
		} {
			if !errors.Is(err, ws.ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", name, err)
			}
		}
	})
}

// The request's context ends with the handler; the connection's
// carries the principal and ends with the connection.
func TestContextOutlivesTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		checked := make(chan struct{})
		h := handler(t, ws.Config{Auth: auth(t, user{}), Serve: func(ctx context.Context, c *ws.Conn) error {
			defer close(checked)
			time.Sleep(time.Minute)
			if ctx.Err() != nil {
				t.Error("the context ended with the request")
			}
			if p, ok := middleware.FromContext(ctx); !ok || p.Subject != "ann" {
				t.Errorf("principal %v, %v", p, ok)
			}
			if ctx.Value(key{}) != nil {
				t.Error("the request's other values crossed the upgrade")
			}
			return nil
		}})
		srv := wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "route context")))
		}))
		c, _, err := srv.Dial(t.Context(), "/", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {wstest.URL}, "X-User": {"ann"}}})
		if err != nil {
			t.Fatal(err)
		}
		wantEnding(t, c, 1000, "", time.Minute, time.Minute)
		<-checked
	})
}
