package main

import (
	"cmp"
	"errors"
	"slices"
	"testing"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// A client is in the midst of a message when its session ends. Between two frames, a library
// reads the close frame. Within a frame, which leaves no room for that, it reads the cause.
func TestLibrariesEndWithinAMessage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		sent  []byte
		cause bool
	}{
		{name: "between two fragments", sent: masked(0x01, []byte("half"))},
		{name: "within a frame", sent: masked(0x81, []byte("half"))[:8], cause: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			all := slices.DeleteFunc(variants(), func(v *variant) bool { return v.hello != "" }) // it knows nothing of the socket before
			w := newWorld(t, "TLS", session.Config{}, live.Config{}, func(s *site) {
				for _, v := range all {
					v.bind(t, s)
				}
			})
			for _, v := range all {
				cookie := w.login(v.path)
				client := w.dial(t, w.opening(v.path, cookie), 0)
				if _, err := client.Write(append(masked(0x89, nil), test.sent...)); err != nil {
					t.Fatal(v.path, err)
				}
				if f, err := client.read(); f.first != 0x8a { // a pong
					t.Fatal(v.path, f, err)
				}
				if v.path == "/xnet" && !test.cause { // it takes fragments for messages
					if f, err := client.read(); f.first != 0x81 {
						t.Fatal(v.path, f, err)
					}
				}
				w.logout(cookie)
				f, err := client.read()
				if !f.isClose(3000, "revoked") {
					t.Errorf("%s: the client has read %#x %q, %v", v.path, f.first, f.payload, err)
				}
				_ = client.Close()
				err = received(t, v.path, v.ended)
				frame := toldOf(err) == cmp.Or(lost(v.name, 3000), "3000 revoked")
				switch {
				case v.name == "gobwas/ws" && frame: // it may not have read the frame's first byte yet
				case errors.Is(err, live.Revoked) != test.cause, frame == test.cause:
					t.Errorf("%s: the handler has read %v", v.path, err)
				}
				w.settled(v.path)
			}
		})
	}
}
