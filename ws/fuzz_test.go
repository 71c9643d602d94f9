package ws

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// verdict judges a whole stream, straight from RFC 6455 §5: the offset at which the
// offending frame begins, the offset at which its verdict is due, and the code of the close frame;
// 0: none offends.
func verdict(p []byte, limits Limits, control int) (at, due, code int, idle bool) {
	fragments, size := 0, uint64(0)
	for i := 0; ; {
		rest := p[i:]
		if len(rest) == 0 {
			return len(p), 0, 0, fragments == 0
		}
		if len(rest) < 2 {
			return len(p), 0, 0, false
		}
		fin, reserved, opcode := rest[0]>>7 == 1, rest[0]>>4&7, rest[0]&15
		masked, length, header := rest[1]>>7 == 1, uint64(rest[1]&127), 2
		if !masked {
			return i, i + 2, 1002, false
		}
		minimal := true
		switch {
		case length == 126 && len(rest) >= 8:
			length, header = uint64(binary.BigEndian.Uint16(rest[2:])), 4
			minimal = length > 125
		case length == 127 && len(rest) >= 3 && rest[2] >= 0x80:
			return i, i + 3, 1002, false
		case length == 127 && len(rest) >= 14:
			length, header = binary.BigEndian.Uint64(rest[2:]), 10
			minimal = length > 65535
		case length > 125, len(rest) < 6:
			return len(p), 0, 0, false // more header to come
		}
		header += 4
		isControl, isData := opcode >= 8, opcode == 1 || opcode == 2
		switch {
		case reserved != 0, !minimal, opcode > 10, opcode > 2 && opcode < 8:
			return i, i + header, 1002, false
		case isControl && (!fin || length > 125):
			return i, i + header, 1002, false
		case isData && fragments > 0, opcode == 0 && fragments == 0:
			return i, i + header, 1002, false
		case opcode == 9 || opcode == 10:
			if control--; control < 0 {
				return i, i + header, 1008, false
			}
		case opcode != 8:
			fragments, size = fragments+1, size+length
			if length > uint64(limits.Message) || size > uint64(limits.Message) || fragments > limits.Frames {
				return i, i + header, 1009, false
			}
		}
		if uint64(len(rest)) < uint64(header)+length {
			return len(p), 0, 0, false
		}
		i += header + int(length)
		if opcode == 8 {
			return len(p), 0, 0, fragments == 0
		}
		if !isControl && fin {
			fragments, size = 0, 0
		}
	}
}

// FuzzFrames compares the follower, fed in chunks, with the reading above of the
// whole stream.
func FuzzFrames(f *testing.F) {
	for i, tt := range frameTable {
		f.Add(stream(tt.before, tt.offending), uint64(i))
	}
	f.Fuzz(func(t *testing.T, p []byte, seed uint64) {
		const control = 3
		at, due, code, idle := verdict(p, frameLimits, control)
		random := rand.New(rand.NewPCG(seed, 1))
		var cuts []int
		for at := random.IntN(8); at < len(p); at += 1 + random.IntN(8) {
			cuts = append(cuts, at)
		}
		chunk := 0 // offset of the chunk in which the verdict is due
		for _, cut := range cuts {
			if cut < due {
				chunk = cut
			}
		}
		sound, cause, fr := follow(p, frameLimits, newBucket(1, control), cuts...)
		got := 0
		if cause != nil {
			got = int(cause.Code)
		}
		if got != code || sound != max(at, chunk) && code != 0 || code == 0 && (sound != len(p) || fr.idle() != idle) {
			t.Errorf("% x cut at %d: %d bytes, code %d, idle %v; want %d bytes, code %d, idle %v", p, cuts, sound, got, fr.idle(),
				max(at, chunk), code, idle)
		}
	})
}

// The grammars, written once more: RFC 9110 §5.6.1, §5.6.2, RFC 6455 §4.3, RFC 4648 §4.
var (
	tokenGrammar = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9A-Za-z]+$")
	keyGrammar   = regexp.MustCompile("^[A-Za-z0-9+/]{21}[A-Za-z0-9+/]==$")
)

func elements(lines []string) []string {
	var all []string
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		all = append(all, strings.Trim(element, " \t"))
	}
	return all
}

// FuzzHandshakeHeaders: a value that the grammars refuse is never accepted, and a
// subprotocol that is selected was offered and is spoken.
func FuzzHandshakeHeaders(f *testing.F) {
	const key = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455 §1.3
	f.Add("chat, superchat", "", key, "keep-alive, Upgrade", "websocket", "13")
	f.Add("superchat", "chat", key, "upgrade", "WebSocket", "13")
	f.Add("chat,chat", "chat", "dGhlIHNhbXBsZSBub25jZR==", "Upgrade,", "websocket/13", "013")
	f.Add(",", "\x00", "dGhlIHNhbXBsZSBub25jZQ=\n", "upgraded", "web socket", "13, 8")
	f.Add("CHAT", "ünicode", "AAAA\nAAAAAAAAAAAAAAAAA==", "up,grade", "h2c, websocket", "+13")
	h := &Handler{cfg: Config{Subprotocols: []string{"chat", "superchat"}}}
	f.Fuzz(func(t *testing.T, offer, offer2, key, connection, upgrade, version string) {
		r := httptest.NewRequest("GET", "https://app.example/ws", nil)
		r.Header = http.Header{
			"Sec-Websocket-Protocol": {offer, offer2}, "Sec-Websocket-Key": {key},
			"Connection": {connection}, "Upgrade": {upgrade}, "Sec-Websocket-Version": {version},
		}
		if checkHandshake(r) == nil {
			names := slices.ContainsFunc(elements([]string{connection}), func(s string) bool { return strings.EqualFold(s, "upgrade") })
			if !names || !strings.EqualFold(strings.TrimSpace(upgrade), "websocket") || version != "13" ||
				!keyGrammar.MatchString(strings.Trim(key, " \t")) {
				t.Errorf("accepted: Connection %q, Upgrade %q, version %q, key %q", connection, upgrade, version, key)
			}
			if p, err := base64.StdEncoding.DecodeString(strings.Trim(key, " \t")); err != nil || len(p) != 16 {
				t.Errorf("accepted a key of %d bytes: %q", len(p), key)
			}
		}
		chosen, err := h.cfg.selectSubprotocol(r)
		offered := elements([]string{offer, offer2})
		wellFormed := !slices.ContainsFunc(offered, func(s string) bool { return !tokenGrammar.MatchString(s) }) &&
			len(slices.Compact(slices.Sorted(slices.Values(offered)))) == len(offered) && len(offered) <= 64
		want := ""
		for _, s := range offered {
			if want == "" && (s == "chat" || s == "superchat") {
				want = s
			}
		}
		if err == nil != (wellFormed && want != "") || err == nil && chosen != want {
			t.Errorf("offered %q: selected %q, %v; want %q of a well-formed list (%v)", offered, chosen, err, want, wellFormed)
		}
	})
}

// FuzzBucket: under every pattern no more than the burst and the events that the rate adds.
func FuzzBucket(f *testing.F) {
	f.Add(uint16(10), uint16(5), []byte{0, 0, 0, 0, 0, 0, 255, 1, 1})
	f.Add(uint16(1), uint16(1), []byte{255, 0, 255, 0})
	f.Fuzz(func(t *testing.T, perSecond, burst uint16, steps []byte) {
		if perSecond == 0 || burst == 0 {
			return
		}
		b := newBucket(int(perSecond), int(burst))
		every := int64(1e9) / int64(perSecond)
		now, first, n := int64(1), int64(0), int64(0)
		for _, step := range steps {
			now += int64(step) * every / 16
			if !b.take(now) {
				continue
			}
			if n == 0 {
				first = now
			}
			if n++; n > int64(burst)+(now-first)/every {
				t.Fatalf("%d events in %d ns at %d a second and bursts of %d", n, now-first, perSecond, burst)
			}
		}
	})
}
