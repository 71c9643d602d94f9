package ws_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// A peer that reads steadily and says nothing is asked for a sign of life between two
// messages, and lives.
func TestReceiverOfALongStreamLivesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Serve: func(ctx context.Context, c *ws.Conn) error {
			go func() {
				for ctx.Err() == nil && c.Write(websocket.MessageBinary, make([]byte, 256<<10)) == nil {
				}
			}()
			return c.PushOnly()
		}})
		c := n.connect("ann")
		c.SetReadLimit(-1)
		buf := make([]byte, 16<<10)
		for begun := time.Now(); time.Since(begun) < 5*time.Minute; {
			_, r, err := c.Reader(t.Context())
			for err == nil {
				time.Sleep(100 * time.Millisecond)
				_, err = r.Read(buf)
			}
			if err.Error() != "EOF" {
				t.Fatalf("after %v: %v", time.Since(begun), err)
			}
		}
	})
}

// Stale is kept whether the store answers too late or never.
func TestStaleIsKeptWhenTheStoreHangs(t *testing.T) {
	for sentence, respectsContext := range map[string]bool{"until the question is given up": true, "for ever": false} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				users := &revocable{alive: func(ctx context.Context, _ middleware.Principal) error {
					if respectsContext {
						<-ctx.Done()
					} else {
						<-release
					}
					return errors.New("down")
				}}
				n := startLive(t, live.Config{
					Timeouts: live.Timeouts{Recheck: 10 * time.Second, Stale: 30 * time.Second},
					Limits:   live.Limits{PerPrincipal: 1000},
				}, ws.Config{Serve: pushOnly, Auth: auth(t, users)})
				var ends []chan ended
				for range 300 {
					ends = append(ends, n.watch("ann"))
				}
				users.earnest.Store(true)
				for _, end := range ends {
					if e := <-end; e.Code != 1013 || e.Reason != "later" || e.after < 30*time.Second || e.after > 31*time.Second {
						t.Fatalf("ended with %v after %v, want 1013 later after 30 s", e.CloseError, e.after)
					}
				}
				if lines := strings.Count(n.logs.String(), "could not be asked about"); lines > 6 {
					t.Errorf("%d lines about one store", lines)
				}
				time.Sleep(10 * time.Second) // the questions under way
			})
		})
	}
}

// A handshake does not wait longer than its deadline.
func TestHangingRevocationsAreAnswered503(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Auth: revokedBy(t, hanging{middleware.NewRevocations()})})
		begun := time.Now()
		_, res, err := n.try("ann")
		if err == nil || res.StatusCode != 503 || time.Since(begun) > 2*time.Second {
			t.Errorf("answered %v after %v, want 503 within 2 s", res, time.Since(begun))
		}
	})
}

type hanging struct{ middleware.Revocations }

func (hanging) Revoked(ctx context.Context, _ middleware.Principal) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

// A frame that is being written when Serve returns is finished, and the close frame
// follows it.
func TestServeReturnsWhileAnotherWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			go c.Write(websocket.MessageBinary, make([]byte, 200<<10))
			time.Sleep(500 * time.Millisecond)
			return nil
		}})
		c := n.connect("ann")
		c.SetReadLimit(-1)
		time.Sleep(time.Second)
		if _, p, err := c.Read(t.Context()); err != nil || len(p) != 200<<10 {
			t.Errorf("read %d bytes, %v", len(p), err)
		}
		wantEnding(t, c, 1000, "", 0, 0)
	})
}

// ASVS 7.4.1: after a revocation nothing goes out but the frame already on its way.
func TestNothingFollowsARevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revocations := middleware.NewRevocations()
		n := start(t, ws.Config{Auth: revokedBy(t, revocations), Serve: func(ctx context.Context, c *ws.Conn) error {
			var writers sync.WaitGroup
			for range 20 {
				writers.Go(func() { _ = c.Write(websocket.MessageBinary, make([]byte, 100<<10)) })
			}
			writers.Wait()
			return nil
		}})
		c := n.connect("ann")
		c.SetReadLimit(-1)
		synctest.Wait()
		revoke(t, revocations, middleware.Revocation{SessionHandle: "s-ann"})
		if _, _, err := c.Read(t.Context()); err != nil {
			t.Fatal(err) // the one that was being written
		}
		wantEnding(t, c, 3000, "revoked", 0, time.Second)
	})
}

// Timeouts.Write is the time without progress: a peer that takes a large message steadily
// gets all of it, and one that stops within it is cut.
func TestProgressOfALargeMessageCounts(t *testing.T) {
	const size = 4 << 20
	for sentence, takes := range map[string]int{"all of it, in 35 s": size, "half of it": size / 2} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				n := start(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
					err := c.Write(websocket.MessageBinary, make([]byte, size))
					ended <- err
					return err
				}})
				c := n.connect("ann")
				c.SetReadLimit(-1)
				_, r, err := c.Reader(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got := 0
				for buf := make([]byte, 128<<10); err == nil && got < takes; time.Sleep(1100 * time.Millisecond) {
					var n int
					n, err = io.ReadFull(r, buf)
					got += n
				}
				begun := time.Now()
				err = <-ended
				switch d := time.Since(begun); {
				case takes == size && (err != nil || got != size):
					t.Errorf("%d bytes read, Write: %v", got, err)
				case takes < size && (!errors.Is(err, ws.ErrSlow) || d < 8*time.Second || d > 11*time.Second):
					t.Errorf("Write: %v after %v, want slow after 10 s", err, d)
				}
			})
		})
	}
}

// What Serve leaves queued goes out within one Timeouts.Write, not one per message.
func TestFlushAfterServeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			for range 15 {
				_ = c.Send(websocket.MessageBinary, make([]byte, 64<<10))
			}
			return nil
		}})
		n.connect("ann") // never reads
		synctest.Wait()
		begun := time.Now()
		for !strings.Contains(n.logs.String(), "websocket closed") && time.Since(begun) < time.Minute {
			time.Sleep(time.Second)
		}
		if d := time.Since(begun); d > 14*time.Second {
			t.Errorf("gone after %v, want about 10 s", d)
		}
	})
}

func TestServeThatNeverReturnsProperly(t *testing.T) {
	for sentence, tt := range map[string]struct {
		serve  func(context.Context, *ws.Conn) error
		code   websocket.StatusCode
		reason string
	}{
		"runtime.Goexit ends the connection": {func(context.Context, *ws.Conn) error { runtime.Goexit(); return nil }, 1011, "internal"},
		"a nil *CloseError is an error": {func(context.Context, *ws.Conn) error {
			var e *ws.CloseError
			return e
		}, 1011, "internal"},
		"another connection's 1006 may not be sent": {
			func(context.Context, *ws.Conn) error { return &ws.CloseError{Code: 1006} },
			1011, "internal",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := start(t, ws.Config{Serve: tt.serve})
				wantEnding(t, n.connect("ann"), tt.code, tt.reason, 0, 0)
				n.shutdown()
			})
		})
	}
}

// The application ends a connection by its id with a cause of its own, which is sent if it
// may be (RFC 6455 §7.4).
func TestRegistryEndsWithTheCausesOfTheApplication(t *testing.T) {
	for _, tt := range []struct {
		cause  live.Cause
		code   websocket.StatusCode
		reason string
	}{
		{live.Cause{Code: 4001, Reason: "banned"}, 4001, "banned"},
		{*live.Forbidden, 3003, "forbidden"},
		{live.Cause{}, 1011, "internal"},
		{live.Cause{Code: 1006}, 1011, "internal"},
		{live.Cause{Code: 4000, Reason: strings.Repeat("x", 200)}, 1011, "internal"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := start(t, ws.Config{})
			c, res, err := n.try("ann")
			if err != nil {
				t.Fatal(err)
			}
			id := res.Header.Get("Securews-Connection")
			if n.live.End("test", "bob", id, &tt.cause) || !n.live.End("test", "ann", id, &tt.cause) {
				t.Errorf("it is not ann's connection %q", id)
			}
			wantEnding(t, c, tt.code, tt.reason, 0, 0)
		})
	}
}

// A peer cannot have Serve believe that we revoked it, nor write error lines.
func TestPeerCannotSpeakForUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ends := make(chan error, 2)
		n := start(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			_, _, err := c.Read()
			ends <- err
			return err
		}})
		for code, ours := range map[websocket.StatusCode]*ws.CloseError{3000: ws.ErrRevoked, 1011: ws.ErrInternal} {
			_ = n.connect("eve").Close(code, ours.Reason)
			err := <-ends
			var e *ws.CloseError
			if errors.Is(err, ours) || !errors.As(err, &e) || e.Code != code {
				t.Errorf("got %v", err)
			}
		}
		synctest.Wait()
		if s := n.logs.String(); strings.Contains(s, "level=ERROR") {
			t.Errorf("an error line:\n%s", s)
		}
	})
}

// RFC 6455 §4.2.2: the subprotocol is selected in the letter case of Config.Subprotocols.
func TestSubprotocolIsAnsweredAsItIsSpelt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Subprotocols: []string{"chat"}})
		_, res, err := n.Dial(t.Context(), "/", &websocket.DialOptions{
			Subprotocols: []string{"CHAT", "chat"},
			HTTPHeader:   http.Header{"Origin": {wstest.URL}, "X-User": {"ann"}},
		})
		if err != nil || res.Header.Get("Sec-WebSocket-Protocol") != "chat" {
			t.Errorf("selected %q, %v", res.Header.Get("Sec-WebSocket-Protocol"), err)
		}
	})
}

// Tiny messages in the queue cost little more than their bytes.
func TestQueueOfTinyMessagesIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var before, after runtime.MemStats
		sent := make(chan struct{})
		n := start(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			_ = c.Send(websocket.MessageBinary, bytes.Repeat([]byte("x"), 256<<10)) // stalls
			synctest.Wait()
			runtime.GC()
			runtime.ReadMemStats(&before)
			for range 1000 {
				_ = c.Send(websocket.MessageBinary, []byte("x"))
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			close(sent)
			return c.PushOnly()
		}})
		n.connect("ann") // never reads
		<-sent
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 256<<10 {
			t.Errorf("1,000 messages of a byte hold %d bytes", grown)
		}
	})
}

// After our close frame a peer that keeps sending is not read for as long as it likes.
func TestFloodAfterTheCloseIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{
			Timeouts: ws.Timeouts{Close: time.Hour},
			Serve:    func(context.Context, *ws.Conn) error { return nil },
		})
		c := n.connect("eve")
		sent := 0
		for {
			if c.Write(t.Context(), websocket.MessageBinary, make([]byte, 32<<10)) != nil {
				break
			}
			sent += 32 << 10
		}
		if sent > 2<<20 {
			t.Errorf("%d bytes were taken after the close frame", sent)
		}
	})
}
