package bearer_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware/bearer"
)

// ASVS 9.2.1.
func TestLeewayIsHonouredExactly(t *testing.T) {
	for _, leeway := range []time.Duration{0, time.Second, 2 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config()
			cfg.Leeway = leeway
			a := newAuthenticator(t, cfg)
			grace := leeway
			if leeway == 0 {
				grace = 30 * time.Second
			}
			now := time.Now().Unix()
			tok := token(header(), claims().with("nbf", now+600).with("exp", now+1200))
			at := func(when time.Duration, want string) {
				t.Helper()
				time.Sleep(time.Until(time.Unix(now, 0).Add(when)))
				if got := outcomeOf(a, tok); got != want {
					t.Errorf("leeway %v, at %v: got %s, want %s", leeway, when, got, want)
				}
			}
			at(0, invalid)
			at(600*time.Second-grace-1, invalid)
			at(600*time.Second-grace, "accepted") // RFC 7519 §4.1.5
			at(1200*time.Second, "accepted")
			at(1200*time.Second+grace-1, "accepted")
			at(1200*time.Second+grace, expired) // RFC 7519 §4.1.4: on or after
			a = newAuthenticator(t, cfg)
			at(1200*time.Second+grace, expired) // not remembered
		})
	}
}

func TestLifetimeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.MaxLifetime, cfg.Leeway = time.Hour, time.Second
		a := newAuthenticator(t, cfg)
		now := time.Now().Unix()
		if got := outcomeOf(a, token(header(), claims().with("exp", now+3601))); got != "accepted" {
			t.Errorf("at the bound: %s", got)
		}
		if got := outcomeOf(a, token(header(), claims().with("exp", now+3602))); got != invalid {
			t.Errorf("beyond it: %s", got)
		}
	})
}

// issuerInMemory answers fetches without a socket, so that time can be fake.
type issuerInMemory struct {
	set     atomic.Pointer[[]byte] // nil: it is down
	header  http.Header
	fetches atomic.Int64
}

func (i *issuerInMemory) RoundTrip(*http.Request) (*http.Response, error) {
	i.fetches.Add(1)
	set := i.set.Load()
	if set == nil {
		return nil, errors.New("down")
	}
	return &http.Response{StatusCode: 200, Header: i.header, Body: io.NopCloser(bytes.NewReader(*set)), ContentLength: -1}, nil
}

func (i *issuerInMemory) serves(set []byte) { i.set.Store(&set) }

func (i *issuerInMemory) config() bearer.Config {
	return bearer.Config{Issuer: issuer, Audience: []string{audience}, JWKS: issuer + "/jwks", HTTPClient: &http.Client{Transport: i}}
}

func TestARemovedKeyIsGoneAfterTheRefresh(t *testing.T) {
	for _, c := range []struct {
		name    string
		control string
		within  time.Duration
	}{
		{"Refresh", "", 5 * time.Minute},
		{"max-age, RFC 9111 §5.2.2.1", "public, max-age=60", time.Minute},
		{"max-age, not under the cool-down", "max-age=1", 10 * time.Second},
		{"max-age beyond Refresh", "max-age=86400", 5 * time.Minute},
		{"max-age that is no number", "max-age=-1", 5 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := &issuerInMemory{header: http.Header{"Cache-Control": {c.control}}}
				i.serves(keys(jwk("ec", ecKey())))
				a := newAuthenticator(t, i.config())
				exp := time.Now().Unix() + 3600
				tok := token(header(), claims().with("exp", exp))
				if err := errOf(a, tok); err != nil {
					t.Fatal(err)
				}
				i.serves(keys(jwk("new", otherEC())))
				time.Sleep(c.within * 3 / 4)
				if err := errOf(a, tok); err != nil {
					t.Errorf("before the refresh: %v", err)
				}
				time.Sleep(c.within / 4)
				synctest.Wait()
				if got := outcomeOf(a, tok); got != invalid {
					t.Errorf("after it: %s", got)
				}
			})
		})
	}
}

func TestTheLastGoodSetServesUntilItIsStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuerInMemory{}
		i.serves(goodKeys())
		a := newAuthenticator(t, i.config())
		tok := token(header(), claims().with("exp", time.Now().Unix()+7200))
		if err := errOf(a, tok); err != nil {
			t.Fatal(err)
		}
		i.set.Store(nil)
		time.Sleep(time.Hour - time.Nanosecond)
		if err := errOf(a, tok); err != nil {
			t.Errorf("just before: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if got := outcomeOf(a, tok); got != unavailable {
			t.Errorf("stale: %s", got)
		}
		if n := i.fetches.Load(); n < 200 || n > 1+360 {
			t.Errorf("%d fetches in an hour of trouble", n)
		}
		i.serves(goodKeys())
		time.Sleep(15 * time.Second) // a cool-down and a half
		synctest.Wait()
		if err := errOf(a, tok); err != nil {
			t.Errorf("recovered: %v", err)
		}
	})
}

func TestNewKidsAreLookedForThreeTimesPerCoolDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuerInMemory{}
		i.serves(keys(jwk("ec", ecKey())))
		a := newAuthenticator(t, i.config())
		fresh := sign(otherEC(), "ES256", header().with("kid", "new").String(), claims().String())
		for range 3 {
			if got := outcomeOf(a, fresh); got != invalid {
				t.Fatalf("got %s", got)
			}
		}
		before := i.fetches.Load()
		i.serves(keys(jwk("new", otherEC())))
		time.Sleep(10*time.Second - time.Nanosecond)
		if got := outcomeOf(a, fresh); got != unavailable || i.fetches.Load() != before {
			t.Errorf("within the cool-down: %s, %d fetches", got, i.fetches.Load()-before)
		}
		time.Sleep(time.Nanosecond)
		if err := errOf(a, fresh); err != nil || i.fetches.Load() != before+1 {
			t.Errorf("after it: %v, %d fetches", err, i.fetches.Load()-before)
		}
	})
}

func TestWithoutAnswerNobodyWaitsLong(t *testing.T) { // 503 within 2 s
	synctest.Test(t, func(t *testing.T) {
		hang := roundTrip(func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
		a := newAuthenticator(t, bearer.Config{
			Issuer:   issuer,
			Audience: []string{audience}, JWKS: issuer, HTTPClient: &http.Client{Transport: hang},
		})
		tok := token(header(), claims())
		answers := make(chan time.Duration, 1000)
		start := time.Now()
		for range 1000 {
			go func() {
				if got := outcomeOf(a, tok); got != unavailable {
					t.Errorf("got %s", got)
				}
				answers <- time.Since(start)
			}()
		}
		atOnce := 0
		for range 1000 {
			switch took := <-answers; {
			case took == 0:
				atOnce++
			case took > time.Second:
				t.Errorf("an answer took %v", took)
			}
		}
		if atOnce != 1000-128 {
			t.Errorf("%d were answered at once", atOnce)
		}
	})
}

// A token of a key that the issuer has withdrawn is refused, also while no fetch is possible: its
// kid was known, and is not new.
func TestAWithdrawnKidIsNotNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuerInMemory{}
		i.serves(keys(jwk("ec", ecKey()), jwk("old", otherEC())))
		a := newAuthenticator(t, i.config())
		old := sign(otherEC(), "ES256", header().with("kid", "old").String(),
			claims().with("exp", time.Now().Add(time.Hour).Unix()).String())
		if got := outcomeOf(a, old); got != "accepted" {
			t.Fatal(got)
		}
		i.serves(keys(jwk("ec", ecKey())))
		for _, kid := range []string{"a", "b", "c"} { // the fetches of the cool-down
			_ = outcomeOf(a, sign(otherEC(), "ES256", header().with("kid", kid).String(), claims().String()))
		}
		before := i.fetches.Load()
		if got := outcomeOf(a, old); got != invalid || i.fetches.Load() != before {
			t.Errorf("the withdrawn kid: %s after %d fetches", got, i.fetches.Load()-before)
		}
		if got := outcomeOf(a, sign(otherEC(), "ES256", header().with("kid", "d").String(), claims().String())); got != unavailable {
			t.Errorf("a kid that may be new: %s", got)
		}
	})
}
