package redial

import (
	"net/http"
	"testing"
	"time"

	"github.com/securews/securews/internal/opening"
)

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{
		"", "0", "7", "-1", "1e3", "99999999999999999999",
		"Fri, 31 Dec 1999 23:59:59 GMT", "Friday, 31-Dec-99 23:59:59 GMT",
	} {
		f.Add(s)
	}
	now := time.Date(1999, 12, 31, 23, 59, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if d := retryAfter(s, now); d < 0 {
			t.Errorf("%q: %v", s, d)
		}
		failed := ending{cause: &HandshakeError{Status: 503, RetryAfter: retryAfter(s, now)}}
		then, _ := history{}.follow(failed, &Config{Backoff: defaultBackoff})
		if d := then.delay(); d < 0 || d > defaultBackoff.RetryAfter+defaultBackoff.Min {
			t.Errorf("%q: delay %v", s, d)
		}
	})
}

func FuzzTicketAnswer(f *testing.F) {
	for _, s := range []string{
		`{"ticket":"t","refresh_after":240}`,
		`{"ticket":"a b"}`, `{}`, `[]`, `{"ticket":1}`, `{"ticket":"t","refresh_after":1e300}`,
	} {
		f.Add([]byte(s))
	}
	h := http.Header{"Content-Type": {"application/json"}}
	f.Fuzz(func(t *testing.T, body []byte) {
		cfg := &TicketConfig{}
		c, err := cfg.parse(h, body, time.Now())
		if (err == nil) != (c.way == wayTicketSubprotocol && *c.secret != "") {
			t.Errorf("%q: %v", body, err)
		}
		hs := handshake{subprotocols: []string{"chat.v1"}}
		if err == nil && hs.add(c) == nil && !opening.IsToken(hs.subprotocols[1]) {
			t.Errorf("%q would be offered as %q", body, hs.subprotocols[1])
		}
		refusedBy("ticket", 403, http.Header{"Content-Type": {"application/problem+json"}}, body, secrets{"hush"})
	})
}

// However the bytes are split, the same frame is found to be masked.
func FuzzServerFrames(f *testing.F) {
	for _, s := range []string{
		"\x81\x02hi", "\x81\x82\x01\x02\x03\x04..",
		"\x82\x7e\x00\x01x\x88\x80", "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "",
	} {
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, p []byte, piece uint8) {
		var whole, pieces frames
		want := whole.feed(p)
		if want < len(p)-1 && p[want+1]&0x80 == 0 {
			t.Errorf("%x: at %d there is no mask", p, want)
		}
		got := 0
		for rest := p; len(rest) > 0; {
			next := rest[:min(int(piece)+1, len(rest))]
			sound := pieces.feed(next)
			got += sound
			if sound < len(next) {
				break
			}
			rest = rest[len(next):]
		}
		// If a header is split, its first byte has already passed.
		if got != want && got != want+1 {
			t.Errorf("%x in pieces of %d: %d sound bytes, whole %d", p, piece, got, want)
		}
	})
}
