package session

import (
	"strings"
	"testing"
)

// RFC 6265bis §5.6, ASVS 3.3.5: name and value are at most 4096 bytes in every
// configuration.
func TestCookieSize(t *testing.T) {
	token, _ := newToken()
	if c := newCookie(Config{Name: strings.Repeat("x", 64), SameSiteLax: true}); len(c.name)+len(token) > 4096 {
		t.Errorf("%d bytes", len(c.name)+len(token))
	}
}

func TestTokensDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		token, handle := newToken()
		if seen[token] || seen[handle] {
			t.Fatal("twice")
		}
		seen[token], seen[handle] = true, true
		if got, ok := parseToken(token); !ok || got != handle {
			t.Fatalf("%q: %q %v, want %q", token, got, ok, handle)
		}
	}
}
