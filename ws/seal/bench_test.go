package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwe"
)

var sizes = []int{125, 1 << 10, 16 << 10}

// raw is the reference: AES-GCM of the standard library with a counter as nonce.
type raw struct {
	aead  cipher.AEAD
	nonce [12]byte
	seq   uint64
}

func newRaw(keySize int) *raw {
	return &raw{aead: must(cipher.NewGCM(must(aes.NewCipher(seed("raw")[:keySize]))))}
}

func (r *raw) next() []byte {
	binary.BigEndian.PutUint64(r.nonce[4:], r.seq)
	r.seq++
	return r.nonce[:]
}

// rewind uses a direction's key for longer than is permitted, so that key updates, once in
// 2^20 records, do not distort the figure.
func rewind(d *direction) {
	if d.seq == epochRecords {
		d.seq = 0
	}
}

// BenchmarkSeal and BenchmarkOpen print the time of one record beside that of raw
// AES-GCM, which is measured alternately in the same run, and the ratio of the two. Each is
// the fastest of its turns, to exclude other load on the machine. They fail above 1.3 times
// the raw cipher, and with the first allocation.
func BenchmarkSeal(b *testing.B) {
	eachSize(b, func(size, keySize int) (ours, limit func()) {
		d, r := newDirection(seed("bench"), keySize), newRaw(keySize)
		p, buf := make([]byte, size), make([]byte, 0, size+Overhead)
		return func() {
				rewind(d)
				if d.due() {
					b.Fatal("due")
				}
				if _, err := d.seal(buf, recordBinary, p); err != nil {
					b.Fatal(err)
				}
			}, func() {
				r.aead.Seal(buf, r.next(), p, p[:2])
			}
	})
}

func BenchmarkOpen(b *testing.B) {
	eachSize(b, func(size, keySize int) (ours, limit func()) {
		d, r := newDirection(seed("bench"), keySize), newRaw(keySize)
		buf := make([]byte, size+Overhead)
		sealed := must(d.seal(nil, recordBinary, make([]byte, size)))
		rawSealed := r.aead.Seal(nil, make([]byte, 12), make([]byte, size), sealed[:2])
		return func() {
				d.seq = 0
				copy(buf, sealed)
				if _, _, ok := d.open(buf); !ok {
					b.Fatal("not opened")
				}
			}, func() {
				r.seq = 0
				copy(buf, rawSealed)
				if _, err := r.aead.Open(buf[:0], r.next(), buf[:len(rawSealed)], sealed[:2]); err != nil {
					b.Fatal(err)
				}
			}
	})
}

const (
	perTurn  = 100
	mostXRaw = 1.3
	enough   = 20_000 // records from which the fastest turn is meaningful
)

// eachSize measures ours and the reference alternately. On a busy machine it makes ten times
// as many turns before the ratio counts.
func eachSize(b *testing.B, make func(size, keySize int) (ours, limit func())) {
	for _, keySize := range []int{16, 32} {
		for _, size := range sizes {
			b.Run(fmt.Sprintf("AES-%d/%dB", keySize*8, size), func(b *testing.B) {
				ours, limit := make(size, keySize)
				if n := testing.AllocsPerRun(perTurn, ours); n != 0 {
					b.Errorf("%v allocations a record, want none", n)
				}
				a, z := time.Hour, time.Hour
				slow := func() bool { return float64(a) > mostXRaw*float64(z) }
				b.ReportAllocs()
				for n := 0; n < b.N || b.N >= enough && slow() && n < 10*b.N; n += 2 * perTurn {
					z = min(z, turn(limit))
					a = min(a, turn(ours))
				}
				if b.N >= enough && slow() {
					b.Errorf("%v for %d records beside %v, want at most %v times that", a, perTurn, z, mostXRaw)
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(a)/perTurn, "ns/record")
				b.ReportMetric(float64(z)/perTurn, "ns/raw")
				b.ReportMetric(float64(a)/float64(z), "x-raw")
			})
		}
	}
}

func turn(f func()) time.Duration {
	began := time.Now()
	for range perTurn {
		f()
	}
	return time.Since(began)
}

// fastest runs f in turns and reports its fastest, as for the records above.
func fastest(b *testing.B, f func() error) {
	b.ReportAllocs()
	best := time.Hour
	for n := 0; n < b.N; n += perTurn {
		best = min(best, turn(func() {
			if err := f(); err != nil {
				b.Fatal(err)
			}
		}))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(best)/perTurn, "ns/message")
}

// BenchmarkOthers measures the alternatives: HPKE's own Seal, and a JWE for each message.
func BenchmarkOthers(b *testing.B) {
	for _, size := range sizes {
		p := make([]byte, size)
		b.Run(fmt.Sprintf("hpke.Seal/%dB", size), func(b *testing.B) {
			k := must(GenerateKey(X25519, day(1)))
			_, s, err := hpke.NewSender(k.Public().public, hpke.HKDFSHA256(), hpke.AES256GCM(), nil)
			if err != nil {
				b.Fatal(err)
			}
			fastest(b, func() error { return second(s.Seal(p[:2], p)) })
		})
		b.Run(fmt.Sprintf("JWE-dir/%dB", size), func(b *testing.B) {
			key := seed("jwe")
			fastest(b, func() error {
				return second(jwe.Encrypt(p, jwe.WithKey(jwa.DIRECT(), key), jwe.WithContentEncryption(jwa.A256GCM())))
			})
		})
	}
}

// BenchmarkExchange measures both hellos and the ready record, for both sides together.
func BenchmarkExchange(b *testing.B) {
	for _, s := range defaultSuites() {
		b.Run(s.String(), func(b *testing.B) {
			k := must(GenerateKey(s, day(30)))
			fastest(b, func() error {
				linkedBy(b, k)
				return nil
			})
		})
	}
}

// A record causes no allocation, neither in seal and open nor in Write and Read.
func TestNoAllocations(t *testing.T) {
	for _, s := range defaultSuites() {
		server, client, _ := linked(t, s)
		for _, size := range sizes {
			p, buf := make([]byte, size), make([]byte, 0, size+Overhead)
			out, in := client.out.out, server.in
			if n := testing.AllocsPerRun(200, func() {
				record, err := out.seal(buf, recordText, p)
				if err != nil {
					t.Fatal(err)
				}
				if _, _, ok := in.open(record); !ok {
					t.Fatal("not opened")
				}
			}); n != 0 {
				t.Errorf("%v, %d bytes: seal and open allocate %v times", s, size, n)
			}
		}
	}

	b := &loop{}
	server, client := newConn(b, 1<<20, 10), newConn(b, 1<<20, 10)
	client.out.out, server.in = newDirection(seed("loop"), 16), newDirection(seed("loop"), 16)
	p := make([]byte, 1<<10)
	if n := testing.AllocsPerRun(200, func() {
		if err := client.Write(websocket.MessageText, p); err != nil {
			t.Fatal(err)
		}
		if _, _, err := server.Read(); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("Write and Read allocate %v times", n)
	}
}

// loop is a connection that echoes its one message.
type loop struct {
	Messages
	b []byte
}

func (l *loop) Write(_ websocket.MessageType, p []byte) error {
	l.b = append(l.b[:0], p...)
	return nil
}

func (l *loop) Read() (websocket.MessageType, []byte, error) {
	return websocket.MessageBinary, l.b, nil
}
