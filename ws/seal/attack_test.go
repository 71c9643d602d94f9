package seal

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

// Without an attacker, both ends read everything and know that it was complete.
func TestSuites(t *testing.T) {
	for _, s := range defaultSuites() {
		t.Run(s.String(), func(t *testing.T) {
			lab{keys: []Key{must(GenerateKey(s, day(30)))}}.run(t).wantSuccess(t)
		})
	}
}

// Attacks on a record in transit, by the rule they violate. The first data record is number
// 1 of the client's messages, after its hello, and number 2 of the server's, after its hello
// and the ready record.
func TestAttackRecords(t *testing.T) {
	var held message
	attacks := []struct {
		name string
		at   int // counted from the first data record
		do   func(message) []message
		read int // number of messages that the victim has read before
	}{
		{"replay: a record counts once", 1, func(m message) []message {
			return []message{m, {m.typ, bytes.Clone(m.p)}}
		}, 2},
		{"drop: the next record has the wrong number", 1, func(message) []message { return nil }, 1},
		{"type: text is not binary", 0, edit(func(p []byte) []byte { p[0] = byte(recordBinary); return p }), 0},
		{"type: data is not control", 0, edit(func(p []byte) []byte { p[0] = byte(recordControl); return p }), 0},
		{"type: data is not a key update", 1, edit(func(p []byte) []byte { p[0] = byte(recordUpdate); return p }), 1},
		{"type: data is not a close notify", 1, edit(func(p []byte) []byte { p[0] = byte(recordClose); return p }), 1},
		{"type: 0 is none", 1, edit(func(p []byte) []byte { p[0] = 0; return p }), 1},
		{"epoch: the next one needs a key update", 1, edit(func(p []byte) []byte { p[1]++; return p }), 1},
		{"epoch: the one before is over", 0, edit(func(p []byte) []byte { p[1]--; return p }), 0},
		{"cut: a record without its last byte", 1, edit(func(p []byte) []byte { return p[:len(p)-1] }), 1},
		{"cut: a record that is a tag", 1, edit(func(p []byte) []byte { return p[:Overhead] }), 1},
		{"cut: a record shorter than a tag", 1, edit(func(p []byte) []byte { return p[:Overhead-1] }), 1},
		{"cut: one byte", 1, edit(func(p []byte) []byte { return p[:1] }), 1},
		{"cut: nothing", 1, edit(func([]byte) []byte { return nil }), 1},
		{"longer: a byte behind the tag", 1, edit(func(p []byte) []byte { return append(p, 0) }), 1},
		{"insert: a made-up record", 1, func(m message) []message {
			return []message{{m.typ, make([]byte, 40)}, m}
		}, 1},
		{"insert: plain text", 1, func(m message) []message {
			return []message{{websocket.MessageText, []byte("c1")}, m}
		}, 1},
		{"type: a record that comes as text", 1, func(m message) []message {
			return []message{{websocket.MessageText, m.p}}
		}, 1},
		{"a record is a binary message", 1, func(m message) []message {
			return []message{{websocket.MessageText, []byte("0123456789abcdef0123")}}
		}, 1},
	}
	for _, a := range attacks {
		for _, n := range []int{1, 2} {
			t.Run(map[int]string{1: "c2s ", 2: "s2c "}[n]+a.name, func(t *testing.T) {
				if n == 1 {
					lab{up: at(n+a.at, a.do)}.run(t).wantServerRefusal(t, []string{"c0", "c1", "c2"}[:a.read]...)
				} else {
					lab{down: at(n+a.at, a.do)}.run(t).wantClientRefusal(t, []string{"s0", "s1", "s2"}[:a.read]...)
				}
			})
		}
	}

	swap := func(first int) func(int, message) []message {
		return func(i int, m message) []message {
			switch i {
			case first:
				held = m
				return nil
			case first + 1:
				return []message{m, held}
			}
			return []message{m}
		}
	}
	t.Run("c2s reorder: the second record comes first", func(t *testing.T) {
		lab{up: swap(1)}.run(t).wantServerRefusal(t)
	})
	t.Run("s2c reorder: the second record comes first", func(t *testing.T) {
		lab{down: swap(2)}.run(t).wantClientRefusal(t)
	})
	t.Run("s2c reorder: data before the ready record", func(t *testing.T) {
		lab{down: swap(1)}.run(t).wantClientRefusal(t)
	})
	t.Run("s2c drop: nothing is accepted before the ready record", func(t *testing.T) {
		lab{down: at(1, func(message) []message { return nil })}.run(t).wantClientRefusal(t)
	})

	t.Run("s2c type: the server's hello comes as text", func(t *testing.T) {
		lab{down: at(0, func(m message) []message { return []message{{websocket.MessageText, m.p}} })}.run(t).wantClientRefusal(t)
	})
	t.Run("c2s type: the client's hello comes as text", func(t *testing.T) {
		lab{up: at(0, func(m message) []message { return []message{{websocket.MessageText, m.p}} })}.run(t).wantServerRefusal(t)
	})

	t.Run("reflect: what the server said comes back to it", func(t *testing.T) {
		var first message
		lab{
			down: at(2, func(m message) []message { first = message{m.typ, bytes.Clone(m.p)}; return []message{m} }),
			up: func(i int, m message) []message {
				if i == 4 { // the close notify, when the server's records have been seen
					return []message{first}
				}
				return []message{m}
			},
		}.run(t).wantServerRefusal(t, "c0", "c1", "c2")
	})
	t.Run("reflect: what the client said comes back to it", func(t *testing.T) {
		var first message
		lab{
			up:   at(1, func(m message) []message { first = message{m.typ, bytes.Clone(m.p)}; return []message{m} }),
			down: at(4, func(message) []message { return []message{first} }),
		}.run(t).wantClientRefusal(t, "s0", "s1")
	})
	t.Run("reflect: the client's hello comes back as the server's", func(t *testing.T) {
		var hello message
		lab{
			up:   at(0, func(m message) []message { hello = m; return []message{m} }),
			down: at(1, func(message) []message { return []message{hello} }),
		}.run(t).wantClientRefusal(t)
	})
}

// Every single bit matters: each byte of a record is flipped in turn.
func TestAttackFlipRecord(t *testing.T) {
	for i := range len("c1") + Overhead {
		t.Run(fmt.Sprint("byte ", i), func(t *testing.T) {
			flip := edit(func(p []byte) []byte { p[i] ^= 1 << (i % 8); return p })
			lab{up: at(2, flip)}.run(t).wantServerRefusal(t, "c0")
			lab{down: at(3, flip)}.run(t).wantClientRefusal(t, "s0")
		})
	}
}

// The same for both hellos, with two keys offered: version, reserved, random, every
// kid and algorithm, the count, enc and its length.
func TestAttackFlipHello(t *testing.T) {
	keys := []Key{must(GenerateKey(X25519, day(30))), must(GenerateKey(P256, day(30)))}
	flip := func(i int) func(message) []message {
		return edit(func(p []byte) []byte { p[i] ^= 1 << (i % 8); return p })
	}
	for i := range serverHelloHead + 2*offerSize {
		t.Run(fmt.Sprint("ServerHello byte ", i), func(t *testing.T) {
			lab{keys: keys, down: at(0, flip(i))}.run(t).wantRefusal(t)
		})
	}
	for i := range clientHelloHead + 32 {
		if i == clientHelloHead+31 {
			continue // X25519 masks the highest bit; see the next test
		}
		t.Run(fmt.Sprint("ClientHello byte ", i), func(t *testing.T) {
			lab{keys: keys, up: at(0, flip(i))}.run(t).wantRefusal(t)
		})
	}
}

// X25519 ignores the highest bit of a point (RFC 7748 §5), the transcript does not.
func TestAttackMaskedBit(t *testing.T) {
	lab{up: at(0, edit(func(p []byte) []byte { p[len(p)-1] ^= 0x80; return p }))}.run(t).wantClientRefusal(t)
}

// A hello must have the right type and the exact length, and answer the one before it.
func TestAttackHello(t *testing.T) {
	low := make([]byte, 32) // the point of order 1: the shared secret would be 0 (RFC 7748 §6.1)
	off := append([]byte{4}, bytes.Repeat([]byte{1}, 64)...)
	setEnc := func(enc []byte) func(message) []message {
		return edit(func(p []byte) []byte { return append(p[:clientHelloHead], enc...) })
	}
	keys := []Key{must(GenerateKey(X25519, day(30))), must(GenerateKey(P256, day(30)))}
	cases := []struct {
		name string
		l    lab
	}{
		{"ClientHello one byte short", lab{up: at(0, edit(func(p []byte) []byte { return p[:len(p)-1] }))}},
		{"ClientHello with a byte behind it", lab{up: at(0, edit(func(p []byte) []byte { return append(p, 0) }))}},
		{"ClientHello without enc", lab{up: at(0, setEnc(nil))}},
		{"ClientHello empty", lab{up: at(0, edit(func([]byte) []byte { return nil }))}},
		{"ClientHello of 60 KiB", lab{up: at(0, edit(func(p []byte) []byte { return append(p, make([]byte, 60<<10)...) }))}},
		{"ClientHello as text", lab{up: at(0, func(message) []message { return []message{{websocket.MessageText, []byte("hello")}} })}},
		{
			"ClientHello is a ServerHello",
			lab{up: at(0, edit(func([]byte) []byte { return serverHello{offers: make([]offer, 1)}.bytes() }))},
		},
		{"ServerHello one byte short", lab{down: at(0, edit(func(p []byte) []byte { return p[:len(p)-1] }))}},
		{"ServerHello with a byte behind it", lab{down: at(0, edit(func(p []byte) []byte { return append(p, 0) }))}},
		{"ServerHello without offers", lab{down: at(0, edit(func(p []byte) []byte { p[36] = 0; return p[:37] }))}},
		{"ServerHello empty", lab{down: at(0, edit(func([]byte) []byte { return nil }))}},
		{"ServerHello of 60 KiB", lab{down: at(0, edit(func(p []byte) []byte { return append(p, make([]byte, 60<<10)...) }))}},
		{"ServerHello as text", lab{down: at(0, func(message) []message { return []message{{websocket.MessageText, []byte("hello")}} })}},
		{"enc is a point of low order", lab{up: at(0, setEnc(low))}},
		{"enc is not a point of P-256", lab{keys: keys[1:], up: at(0, setEnc(off))}},
		{"enc is P-256's point at infinity", lab{keys: keys[1:], up: at(0, setEnc(make([]byte, 65)))}},
		{"enc is compressed", lab{keys: keys[1:], up: at(0, setEnc(append([]byte{2}, make([]byte, 64)...)))}},
		{"enc is of another suite", lab{keys: keys, up: at(0, setEnc(make([]byte, 65)))}},
		{
			"enc of X-Wing is not an encapsulation",
			lab{keys: []Key{must(GenerateKey(XWing, day(30)))}, up: at(0, setEnc(bytes.Repeat([]byte{7}, 1120)))},
		},
		{
			"enc of X-Wing with a point of low order",
			lab{keys: []Key{must(GenerateKey(XWing, day(30)))}, up: at(0, setEnc(make([]byte, 1120)))},
		},
		{"suite: the preferred one is taken out of the ServerHello", lab{keys: keys, down: at(0, edit(func(p []byte) []byte {
			p[36]--
			return slices.Delete(p, serverHelloHead, serverHelloHead+offerSize)
		}))}},
		{"suite: the order in the ServerHello is turned round", lab{keys: keys, down: at(0, edit(func(p []byte) []byte {
			a, b := p[serverHelloHead:][:offerSize], p[serverHelloHead+offerSize:]
			return slices.Concat(p[:serverHelloHead], b, a)
		}))}},
		{"suite: a key of the attacker's is put first", lab{keys: keys, down: at(0, edit(func(p []byte) []byte {
			p[36]++
			return slices.Insert(p, serverHelloHead, must(GenerateKey(X25519, day(1))).Public().offer().append(nil)...)
		}))}},
		{"suite: the other AEAD under the same key", lab{keys: keys, down: at(0, edit(func(p []byte) []byte {
			binary.BigEndian.PutUint16(p[serverHelloHead+12:], 2)
			return p
		}))}},
		{"random: that of another connection", lab{down: at(0, edit(func(p []byte) []byte { copy(p[4:36], make([]byte, 32)); return p }))}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.l.run(t).wantRefusal(t) })
	}
	if _, err := ecdh.X25519().NewPublicKey(low); err != nil {
		t.Error("the point of low order was refused for another reason:", err)
	}
}

// Both ends must agree on all parameters.
func TestAttackBinding(t *testing.T) {
	subject := func(p middleware.Principal) string { return p.Subject }
	psk, other := PSK(bytes.Repeat([]byte{1}, 32)), PSK(bytes.Repeat([]byte{2}, 32))
	stranger := must(GenerateKey(X25519, day(30)))
	own, hybrid := must(GenerateKey(X25519, day(30))), must(GenerateKey(XWing, day(30)))
	cases := []struct {
		name string
		l    lab
	}{
		{"another audience", lab{client: ClientConfig{Audience: "mail.example"}}},
		{"another origin", lab{client: ClientConfig{Origin: "https://other.example"}}},
		{"another principal", lab{server: Config{Principal: subject}, client: ClientConfig{Principal: "mallory"}}},
		{"a principal that the server does not bind", lab{client: ClientConfig{Principal: "alice"}}},
		{"a principal that the client does not bind", lab{server: Config{Principal: subject}}},
		{"another PSK", lab{server: Config{PSK: psk}, client: ClientConfig{PSK: other}}},
		{"a PSK at the server alone", lab{server: Config{PSK: psk}}},
		{"a PSK at the client alone", lab{client: ClientConfig{PSK: psk}}},
		{"a server that does not hold the pinned key", lab{client: ClientConfig{Keys: []PublicKey{stranger.Public()}}}},
		{"no suite in common", lab{keys: []Key{own}, client: ClientConfig{
			Suites: []Suite{XWing}, Keys: []PublicKey{own.Public(), hybrid.Public()},
		}}},
		{"stripped: the client requires what the server does not select", lab{
			offered: []string{"chat"}, ws: ws.Config{Subprotocols: []string{"chat"}}, server: Config{Policy: DangerouslyOptional},
		}},
		{"stripped: no subprotocol at all", lab{offered: []string{}, server: Config{Policy: DangerouslyOptional}}},
		{"stripped: another application's", lab{offered: []string{"hpke1.other"}}},
		{"stripped: the server requires what the client does not offer", lab{
			offered: []string{"chat"}, ws: ws.Config{Subprotocols: []string{"chat"}}, client: ClientConfig{Policy: DangerouslyOptional},
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := c.l.run(t)
			if s.serverErr != ErrDecrypt && s.clientErr != ErrDecrypt {
				t.Errorf("errors are %v and %v, want ErrDecrypt", s.serverErr, s.clientErr)
			}
			if s.serverCode != decryptCode && s.clientCode != decryptCode {
				t.Errorf("close is %v and %v, want 1008 decrypt", &s.serverCode, &s.clientCode)
			}
			if s.client != nil {
				t.Errorf("the client read %q", s.client)
			}
		})
	}
	t.Run("the same of all", func(t *testing.T) {
		lab{
			server: Config{Principal: subject, PSK: psk},
			client: ClientConfig{Principal: "alice", PSK: slices.Clone(psk)},
		}.run(t).wantSuccess(t)
	})
}

// A record is valid only on the connection it was sealed on, even if all parameters agree.
func TestAttackOtherConnection(t *testing.T) {
	keys := []Key{must(GenerateKey(X25519, day(30)))}
	var hello, first message
	lab{keys: keys, up: func(i int, m message) []message {
		switch i {
		case 0:
			hello = message{m.typ, bytes.Clone(m.p)}
		case 1:
			first = message{m.typ, bytes.Clone(m.p)}
		}
		return []message{m}
	}}.run(t).wantSuccess(t)

	t.Run("a record", func(t *testing.T) {
		lab{keys: keys, up: at(1, func(message) []message { return []message{first} })}.run(t).wantServerRefusal(t)
	})
	t.Run("the hello", func(t *testing.T) {
		lab{keys: keys, up: at(0, func(message) []message { return []message{hello} })}.run(t).wantClientRefusal(t)
	})
	t.Run("the hello and all records, without a client", func(t *testing.T) {
		s := lab{keys: keys, up: func(i int, m message) []message {
			if i == 0 {
				return []message{hello, first}
			}
			return nil
		}}.run(t)
		if s.serverErr != ErrDecrypt || s.clientErr != ErrDecrypt || s.server != nil {
			t.Errorf("the server's error is %v, the client's %v; the server read %q", s.serverErr, s.clientErr, s.server)
		}
	})
}

// A key ends at its notAfter, also for an end that still has it.
func TestAttackRetiredKey(t *testing.T) {
	old, current := must(GenerateKey(X25519, day(1))), must(GenerateKey(X25519, day(30)))
	t.Run("the server has put it out of its ring", func(t *testing.T) {
		lab{keys: []Key{current}, client: ClientConfig{Keys: []PublicKey{old.Public()}}}.run(t).wantClientRefusal(t)
	})
	t.Run("a client that chooses it all the same", func(t *testing.T) {
		lab{keys: []Key{current}, up: at(0,
			edit(func(p []byte) []byte { return append(p[:4], append(old.Public().offer().append(nil), p[18:]...)...) }))}.
			run(t).wantServerRefusal(t)
	})
	t.Run("its time is over at the server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			old, current := must(GenerateKey(X25519, day(1))), must(GenerateKey(X25519, day(30)))
			pinned := must(ParsePublicKey(X25519, old.Public().Bytes(), time.Time{}))
			l := lab{keys: []Key{old, current}, client: ClientConfig{Keys: []PublicKey{pinned}}}
			l.fill()
			l.connect(t).wantSuccess(t)
			time.Sleep(24 * time.Hour)
			l.connect(t).wantClientRefusal(t)
		})
	})
	t.Run("its time is over at the client", func(t *testing.T) {
		past := must(ParsePublicKey(X25519, current.Public().Bytes(), time.Unix(1, 0)))
		lab{keys: []Key{current}, client: ClientConfig{Keys: []PublicKey{past}}}.run(t).wantClientRefusal(t)
	})
	t.Run("within the overlap it opens", func(t *testing.T) {
		lab{keys: []Key{old, current}, client: ClientConfig{Keys: []PublicKey{old.Public()}}}.run(t).wantSuccess(t)
	})
}

// sayThree sends three messages and closes.
func sayThree(c *Conn) error {
	for _, s := range []string{"s0", "s1", "s2"} {
		if err := c.Write(websocket.MessageText, []byte(s)); err != nil {
			return err
		}
	}
	return nil
}

func readAll(_ context.Context, c *Conn) error {
	for {
		if _, _, err := c.Read(); err != nil {
			return err
		}
	}
}
