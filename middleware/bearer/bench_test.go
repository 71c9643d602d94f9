package bearer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	jwxkey "github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/securews/securews/middleware"
)

func TestAllocations(t *testing.T) {
	if racing {
		t.Skip("allocations are not counted under the race detector")
	}
	cfg := config()
	cfg.Revocations = middleware.NewRevocations()
	a := newAuthenticator(t, cfg)
	seen := request(token(header(), claims()))
	if n := testing.AllocsPerRun(100, func() {
		if _, err := a.Authenticate(seen); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a token seen before: %v allocations", n)
	}
	cfg.CacheSize = 1
	a = newAuthenticator(t, cfg)
	fresh, i := alternating(), 0
	if n := testing.AllocsPerRun(100, func() {
		if _, err := a.Authenticate(fresh[i%len(fresh)]); err != nil {
			t.Fatal(err)
		}
		i++
	}); n > 50 {
		t.Errorf("a token seen first: %v allocations, want at most 50", n)
	}
}

// A token that was seen before costs nothing with any Profile; the first time is bounded.
func TestAllocationsOfProfiles(t *testing.T) {
	if racing {
		t.Skip("allocations are not counted under the race detector")
	}
	for _, p := range documented() {
		cfg := configFor(&p, p.profile)
		cfg.Revocations = middleware.NewRevocations()
		a := newAuthenticator(t, cfg)
		seen := request(signed(p.header, timed(p.access)))
		count := func(requests []*http.Request) float64 {
			i := 0
			return testing.AllocsPerRun(100, func() {
				if _, err := a.Authenticate(requests[i%len(requests)]); err != nil {
					t.Fatal(p.name, err)
				}
				i++
			})
		}
		if n := count([]*http.Request{seen}); n != 0 {
			t.Errorf("%s: a token seen before: %v allocations", p.name, n)
		}
		cfg.CacheSize = 1
		a = newAuthenticator(t, cfg)
		var fresh []*http.Request
		for i := range 3 {
			fresh = append(fresh, request(signed(p.header, timed(p.access).with("n", i))))
		}
		n := count(fresh)
		t.Logf("%s: a token of %d bytes seen first: %v allocations", p.name, len(fresh[0].Header.Get("Authorization")), n)
		if n > 50 {
			t.Errorf("%s: a token seen first: %v allocations, want at most 50", p.name, n)
		}
	}
}

// alternating is requests of tokens that push each other out of a cache of one.
func alternating() []*http.Request {
	var list []*http.Request
	for i := range 3 {
		list = append(list, request(token(header(), claims().with("jti", jsonNumber(int64(i))))))
	}
	return list
}

func BenchmarkSeenBefore(b *testing.B) {
	a := newAuthenticator(b, config())
	r := request(token(header(), claims()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSeenBeforeInParallel(b *testing.B) {
	a := newAuthenticator(b, config())
	r := request(token(header(), claims()))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := a.Authenticate(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkFirstTime prints the time of a token that is seen for the first time beside that of its
// bare signature, which is measured alternately in the same run, and the ratio of the two. Each is
// the fastest of its turns, to exclude other load on the machine. With enough turns it fails above
// the ratio named here.
func BenchmarkFirstTime(b *testing.B) {
	ec, ed, rs := &ecKey().PublicKey, edKey().Public().(ed25519.PublicKey), &rsaKey().PublicKey
	for _, c := range []struct {
		alg    string
		kid    string
		key    any
		most   float64
		verify func(input, sig []byte) bool
	}{
		{alg: "ES256", kid: "ec", key: ecKey(), most: 1.15, verify: func(input, sig []byte) bool {
			digest := sha256.Sum256(input)
			return ecdsa.Verify(ec, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
		}},
		{alg: "EdDSA", kid: "ed", key: edKey(), most: 1.15, verify: func(input, sig []byte) bool {
			return ed25519.Verify(ed, input, sig)
		}},
		{alg: "RS256", kid: "rsa", key: rsaKey(), most: 1.3, verify: func(input, sig []byte) bool {
			digest := sha256.Sum256(input)
			return rsa.VerifyPKCS1v15(rs, crypto.SHA256, digest[:], sig) == nil
		}},
	} {
		b.Run(c.alg, func(b *testing.B) {
			cfg := config()
			cfg.CacheSize = 1
			a := newAuthenticator(b, cfg)
			var fresh []*http.Request // push each other out of the cache
			tok := ""
			for i := range 3 {
				tok = sign(c.key, c.alg, header().with("alg", c.alg).with("kid", c.kid).String(),
					claims().with("jti", fmt.Sprint(i)).String())
				fresh = append(fresh, request(tok))
			}
			dot := strings.LastIndexByte(tok, '.')
			input, sig := []byte(tok[:dot]), decode(tok[dot+1:])
			ours, alone := time.Hour, time.Hour
			slow := func() bool { return float64(ours) > c.most*float64(alone) }
			for n := 0; n < b.N || b.N >= enough && slow() && n < 10*b.N; n += 2 * perTurn {
				alone = min(alone, turn(func(int) error {
					if !c.verify(input, sig) {
						return errors.New("does not verify")
					}
					return nil
				}))
				ours = min(ours, turn(func(i int) error {
					_, err := a.Authenticate(fresh[i%len(fresh)])
					return err
				}))
			}
			if b.N >= enough && slow() {
				b.Errorf("%v for %d tokens beside %v, want at most %v times that", ours, perTurn, alone, c.most)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(ours)/perTurn, "ns/token")
			b.ReportMetric(float64(alone)/perTurn, "ns/signature")
			b.ReportMetric(float64(ours)/float64(alone), "x-signature")
		})
	}
}

const (
	perTurn = 99
	enough  = 10_000 // tokens from which the fastest turn is meaningful
)

func turn(f func(i int) error) time.Duration {
	began := time.Now()
	for i := range perTurn {
		if err := f(i); err != nil {
			panic(err)
		}
	}
	return time.Since(began)
}

func BenchmarkJWXParseES256(b *testing.B) {
	set, err := jwkSet()
	if err != nil {
		b.Fatal(err)
	}
	tok := []byte(token(header(), claims()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jwt.Parse(tok, jwt.WithKeySet(set), jwt.WithIssuer(issuer), jwt.WithAudience(audience)); err != nil {
			b.Fatal(err)
		}
	}
}

func jwkSet() (jwxkey.Set, error) {
	return jwxkey.Parse(keys(jwk("ec", ecKey()).with("alg", "ES256")))
}

func BenchmarkUnknownKid(b *testing.B) {
	a := newAuthenticator(b, config())
	r := request(token(header().with("kid", "new"), claims()))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = a.Authenticate(r)
	}
}
