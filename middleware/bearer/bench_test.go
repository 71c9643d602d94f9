package bearer_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"math/big"
	"net/http"
	"strings"
	"testing"

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
	}); n > 80 {
		t.Errorf("a token seen first: %v allocations", n)
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
		t.Logf("%s: a token of %d bytes seen first: %v allocations", p.name, len(fresh[0].Header.Get("Authorization")), count(fresh))
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

func BenchmarkFirstTimeES256(b *testing.B) {
	cfg := config()
	cfg.CacheSize = 1
	a := newAuthenticator(b, cfg)
	list, i := alternating(), 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(list[i%len(list)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// The lower bound for a token that is seen for the first time.
func BenchmarkSignatureAloneES256(b *testing.B) {
	tok := token(header(), claims())
	dot := strings.LastIndexByte(tok, '.')
	sig := decode(tok[dot+1:])
	public := &ecKey().PublicKey
	b.ReportAllocs()
	for b.Loop() {
		digest := sha256.Sum256([]byte(tok[:dot]))
		if !ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
			b.Fatal("does not verify")
		}
	}
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
