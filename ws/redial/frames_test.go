package redial_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
)

// A client must close when a server masks a frame (RFC 6455 §5.1), however the bytes are
// split; the messages before it are delivered.
func TestMaskedFrames(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		name string
		sent string
		read []string
	}{
		{"the first", "\x81\x82\x01\x02\x03\x04..", nil},
		{"an empty one", "\x82\x80\x00\x00\x00\x00", nil},
		{"a ping", "\x89\x80\x00\x00\x00\x00", nil},
		{"a close frame", "\x88\x82\x00\x00\x00\x00\x03\xe8", nil},
		{"one of 126 bytes and more", "\x82\xfe\x00\x80\x00\x00\x00\x00", nil},
		{"after a message", "\x81\x02hi\x81\x82\x01\x02\x03\x04..", []string{"hi"}},
		{"after one with a longer length", "\x81\x7e\x01\x2c" + long + "\x81\x82\x01\x02\x03\x04..", []string{long}},
		{
			"after one with the longest",
			"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + strings.Repeat("y", 65536) + "\x81\x80\x00\x00\x00\x00",
			[]string{strings.Repeat("y", 65536)},
		},
		{"in the midst of a message", "\x01\x02hi\x80\x81\x00\x00\x00\x00!", nil},
	} {
		for _, pieces := range []int{1, 3, 1 << 20} {
			synctest.Test(t, func(t *testing.T) {
				answer := make(chan []byte, 1)
				s, _ := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					conn := upgrade(t, w, r)
					go func() {
						got, _ := io.ReadAll(conn)
						answer <- got
					}()
					for rest := []byte(tt.sent); len(rest) > 0; {
						n := min(pieces, len(rest))
						_, _ = conn.Write(rest[:n])
						rest = rest[n:]
					}
				}))
				var read []string
				r := start(t, s, redial.Config{}, func(_ context.Context, c *redial.Conn) error {
					for {
						_, p, err := c.Read()
						if err != nil {
							return err
						}
						read = append(read, string(p))
					}
				})
				select {
				case err := <-r.done:
					if !errors.Is(err, ws.ErrProtocol) {
						t.Errorf("%s, %d at a time: Run: %v, want 1002 protocol", tt.name, pieces, err)
					}
				case <-time.After(time.Minute):
					t.Errorf("%s, %d at a time: it goes on", tt.name, pieces)
					r.stop()
				}
				if strings.Join(read, "|") != strings.Join(tt.read, "|") {
					t.Errorf("%s, %d at a time: read %.40q", tt.name, pieces, read)
				}
				if got := <-answer; len(got) < 8 || got[0] != 0x88 ||
					!bytes.Equal([]byte{got[6] ^ got[2], got[7] ^ got[3]}, []byte{0x03, 0xea}) {
					t.Errorf("%s, %d at a time: the server got %x, want a close frame of 1002", tt.name, pieces, got)
				}
			})
		}
	}
}
