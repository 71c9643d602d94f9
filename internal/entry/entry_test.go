package entry_test

import (
	"testing"

	"github.com/securews/securews/internal/entry"
)

// The values are those of package session, which has the kinds.
func TestKinds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, value, want string }{
		{"an absent value", "", "neither"},
		{"the record of a session", "\x01record", "neither"},
		{"no kind", "wsr\x01", "neither"},
		{"an entry of another version", "wsr\x02Emark", "neither"},
		{"the subject of an account", "wsr\x01Pann", "neither"},
		{"a sign-out everywhere", "wsr\x01Emark", "an end of a subject"},
		{"a sign-out of others", "wsr\x01Omark", "an end of a subject"},
		{"a change of roles", "wsr\x01Rmark", "an end of a subject"},
		{"a cut-off of tokens", "wsr\x01Ctime", "an end of a subject"},
		{"a tombstone of a session", "wsr\x01Ttime", "an end"},
		{"a tombstone of a token", "wsr\x01Jtime", "an end"},
	} {
		got := "neither"
		switch b := []byte(tt.value); {
		case entry.IsOfSubject(b):
			got = "an end of a subject"
		case entry.IsEnd(b):
			got = "an end"
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A record of any version of package session is one, and nothing else.
func TestIsRecord(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"wss\x05record": true, "wss\x01": true, "wss": true, "": false, "ws": false, "wsr\x01Emark": false, "\x01record": false,
	} {
		if got := entry.IsRecord([]byte(value)); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
