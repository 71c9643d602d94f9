package seal

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/outqueue"
	"github.com/securews/securews/ws"
)

// With concurrent writes and sends, the records arrive in the order of their numbers, and
// each sender's messages in the order in which it sent them.
func TestOutboxOrder(t *testing.T) {
	server, client, _ := linked(t, X25519)
	const senders, each = 8, 300
	var sending sync.WaitGroup
	for n := range senders {
		sending.Go(func() {
			for i := range each {
				p := binary.BigEndian.AppendUint32([]byte{byte(n)}, uint32(i))
				send := client.Write
				if (i+n)%3 == 0 {
					send = client.Send
				}
				if err := send(websocket.MessageBinary, p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() {
		sending.Wait()
		_ = client.Close(websocket.StatusNormalClosure, "")
	}()
	var next [senders]uint32
	for {
		_, p, err := server.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := binary.BigEndian.Uint32(p[1:]); got != next[p[0]] {
			t.Fatalf("sender %d: message %d, want %d", p[0], got, next[p[0]])
		}
		next[p[0]]++
	}
	for n, got := range next {
		if got != each {
			t.Errorf("sender %d: %d messages of %d", n, got, each)
		}
	}
}

// A peer that does not read never blocks a Send, and is closed with 1013 `slow` when the
// queue is full.
func TestSendSlow(t *testing.T) {
	for _, c := range []struct {
		name                  string
		bytes, messages, want int
	}{
		{"by messages", 1 << 20, 5, 6}, // one more is being written
		{"by bytes", 5 * (100 + Overhead), 1000, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, _, below := linked(t, X25519)
				below.writeBlocks = make(chan struct{})
				server.out.most = outqueue.Load{Messages: c.messages, Bytes: c.bytes}
				for n := 0; ; n++ {
					err := server.Send(websocket.MessageBinary, make([]byte, 100))
					synctest.Wait()
					if err == nil {
						continue
					}
					if err != ws.ErrSlow || n != c.want {
						t.Errorf("message %d: %v, want %d: slow", n, err, c.want)
					}
					break
				}
				if *below.code != (ws.CloseError{Code: 1013, Reason: "slow"}) {
					t.Errorf("close %v", below.code)
				}
				if err := server.Write(websocket.MessageBinary, nil); err != ws.ErrSlow {
					t.Errorf("Write: %v", err)
				}
			})
		})
	}
}

// A message that can never be queued changes nothing; so does one that may not be sent.
func TestWriteRefusals(t *testing.T) {
	server, client, _ := linked(t, X25519)
	client.out.most.Bytes = 100
	if err := client.Send(websocket.MessageBinary, make([]byte, 100-Overhead+1)); err == nil || errors.Is(err, ws.ErrSlow) {
		t.Errorf("too long: %v", err)
	}
	for _, send := range []func(websocket.MessageType, []byte) error{client.Send, client.Write} {
		if err := send(websocket.MessageText, []byte("\xff")); err != errTextNotUTF8 {
			t.Error(err)
		}
		if err := send(0, nil); err != errMessageType {
			t.Error(err)
		}
	}
	if err := client.Send(websocket.MessageBinary, make([]byte, 100-Overhead)); err != nil {
		t.Error(err)
	}
	if _, p, err := server.Read(); err != nil || len(p) != 100-Overhead {
		t.Errorf("%d bytes, %v", len(p), err)
	}
}

// A network failure is reported to every waiting call, and to later ones.
func TestWriteFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client, below := linked(t, X25519)
		down := errors.New("down")
		other := client.m.(*pipe)
		other.writeBlocks, other.failWrites = make(chan struct{}), down
		results := make(chan error, 3)
		for range 3 {
			go func() { results <- client.Write(websocket.MessageText, nil) }()
		}
		synctest.Wait()
		close(other.writeBlocks)
		for range 3 {
			if err := <-results; err != down {
				t.Error(err)
			}
		}
		if err := client.Write(websocket.MessageText, nil); err != down {
			t.Error(err)
		}
		if err := client.Close(1000, ""); err != nil || below.code.Code != 1000 {
			t.Errorf("%v, close %v", err, below.code)
		}
	})
}

// Close waits for the queued messages, but no longer than 5 s.
func TestCloseBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, _, below := linked(t, X25519)
		below.writeBlocks = make(chan struct{})
		_ = server.Send(websocket.MessageText, []byte("never read"))
		began := time.Now()
		_ = server.Close(4001, "later")
		if took := time.Since(began); took != 5*time.Second || below.code.Code != 4001 {
			t.Errorf("%v, close %v", took, below.code)
		}
	})
}

// After Close writes fail, and reading ends without an error for truncation.
func TestAfterClose(t *testing.T) {
	server, client, _ := linked(t, X25519)
	_ = client.Send(websocket.MessageText, []byte("last"))
	_ = client.Close(4001, "enough")
	for _, err := range []error{client.Write(1, nil), client.Send(1, nil), readAll(t.Context(), client)} {
		if err != ws.ErrClosed {
			t.Error(err)
		}
	}
	if _, p, err := server.Read(); err != nil || string(p) != "last" {
		t.Errorf("%q, %v", p, err)
	}
	var end *ws.CloseError
	_, _, err := server.Read()
	if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &end) || end.Code != 4001 ||
		end.Reason != "enough" {
		t.Errorf("%v, want 4001 enough and io.EOF", err)
	}
	if _, _, again := server.Read(); again != err {
		t.Errorf("then %v", again)
	}
}

// JSON there and back, and messages that are not JSON.
func TestJSON(t *testing.T) {
	server, client, _ := linked(t, X25519)
	type point struct{ X, Y int }
	_ = client.WriteJSON(point{1, 2})
	_ = client.Write(websocket.MessageText, []byte("{"))
	_ = client.Write(websocket.MessageBinary, []byte("{}"))
	_ = client.WriteJSON(point{3, 4})
	var got point
	if err := server.ReadJSON(&got); err != nil || got != (point{1, 2}) {
		t.Error(got, err)
	}
	for range 2 {
		if err := server.ReadJSON(&got); !errors.Is(err, ws.ErrInvalid) {
			t.Error(err)
		}
	}
	if err := server.ReadJSON(&got); err != nil || got != (point{3, 4}) {
		t.Error(got, err)
	}
	if err := client.WriteJSON(make(chan int)); err == nil || !strings.Contains(err.Error(), "json") {
		t.Error(err)
	}
}

// With concurrent calls of Close, the queued messages are sent before any of them closes.
func TestCloseTwiceCutsNothingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client, below := linked(t, X25519)
		below.writeBlocks = make(chan struct{})
		for range 5 {
			if err := server.Send(websocket.MessageText, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			go func() { _ = server.Close(websocket.StatusNormalClosure, "") }()
		}
		synctest.Wait()
		close(below.writeBlocks)
		for n := range 6 {
			_, _, err := client.Read()
			if n < 5 && err != nil || n == 5 && !errors.Is(err, io.EOF) {
				t.Fatalf("message %d: %v", n, err)
			}
		}
		synctest.Wait()
	})
}

// After CloseWrite reading continues, and still detects a truncation.
func TestCloseWrite(t *testing.T) {
	for name, ends := range map[string]struct {
		end  func(peer *Conn)
		want error
	}{
		"the peer sends a close record, too": {func(peer *Conn) { _ = peer.Close(websocket.StatusNormalClosure, "") }, io.EOF},
		"the connection is cut": {
			func(peer *Conn) { _ = peer.m.Close(websocket.StatusNormalClosure, "") }, io.ErrUnexpectedEOF,
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, client, _ := linked(t, X25519)
			if err := client.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if err := client.Write(websocket.MessageText, nil); err != ws.ErrClosed {
				t.Errorf("Write after CloseWrite: %v", err)
			}
			if err := server.Write(websocket.MessageText, []byte("still")); err != nil {
				t.Fatal(err)
			}
			if _, p, err := client.Read(); err != nil || string(p) != "still" {
				t.Fatalf("%q, %v", p, err)
			}
			ends.end(server)
			if _, _, err := client.Read(); !errors.Is(err, ends.want) {
				t.Errorf("%v, want %v", err, ends.want)
			}
		})
	}
}
