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
)

// slowIssuer answers the first fetch and hangs in all that follow.
type slowIssuer struct {
	issuerInMemory
	hanging atomic.Int64 // fetches under way
}

func (i *slowIssuer) RoundTrip(r *http.Request) (*http.Response, error) {
	if i.fetches.Load() == 0 {
		return i.issuerInMemory.RoundTrip(r)
	}
	i.fetches.Add(1)
	i.hanging.Add(1)
	defer i.hanging.Add(-1)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A refresh that hangs delays no request with a known kid: neither while requests with
// unknown kids wait for it nor afterwards.
func TestAHangingRefreshDelaysNoKnownKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &slowIssuer{}
		i.serves(goodKeys())
		cfg := i.config()
		cfg.HTTPClient = &http.Client{Transport: i}
		a := newAuthenticator(t, cfg)
		lasting := claims().with("exp", time.Now().Unix()+7200)
		seen := token(header(), lasting)
		firstSeen := func(n int) string { return token(header(), lasting.with("jti", jsonNumber(int64(n)))) }
		at := func(tok string) {
			t.Helper()
			asked := time.Now()
			if err := errOf(a, tok); err != nil {
				t.Errorf("a good token is refused: %v", err)
			}
			if took := time.Since(asked); took != 0 {
				t.Errorf("a good token waited %v", took)
			}
		}
		if err := errOf(a, seen); err != nil {
			t.Fatal(err)
		}
		for begun := time.Now(); i.hanging.Load() == 0; synctest.Wait() {
			if time.Since(begun) > 5*time.Minute {
				t.Fatal("Refresh has passed and nothing was fetched")
			}
			time.Sleep(time.Second)
		}
		unknown := token(header().with("kid", "new"), claims())
		for range 100 {
			go func() {
				if got := outcomeOf(a, unknown); got != unavailable {
					t.Errorf("an unknown kid: %s", got)
				}
			}()
		}
		synctest.Wait() // they wait for the fetch that hangs
		for n := range 500 {
			at(seen)
			at(firstSeen(n))
		}
		if i.hanging.Load() != 1 {
			t.Error("the refresh has ended meanwhile")
		}
		for n := range 600 {
			time.Sleep(time.Second)
			at(seen)
			at(firstSeen(500 + n))
		}
		if n := i.fetches.Load(); n < 20 {
			t.Errorf("%d fetches: the trouble was none", n)
		}
	})
}

// flapping answers every other fetch well; the faults take turns in between.
func flapping(good *issuerInMemory) roundTrip {
	answer := func(status int, body string) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewBufferString(body)), ContentLength: -1}
	}
	bad := []roundTrip{
		func(*http.Request) (*http.Response, error) { return nil, errors.New("connection reset") },
		func(*http.Request) (*http.Response, error) { return answer(500, ""), nil },
		func(*http.Request) (*http.Response, error) { return answer(200, "<!doctype html>"), nil },
		func(*http.Request) (*http.Response, error) { return answer(200, `{"keys":[]}`), nil },
		func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
	}
	return func(r *http.Request) (*http.Response, error) {
		n := int(good.fetches.Load())
		if n%2 == 0 {
			return good.RoundTrip(r)
		}
		good.fetches.Add(1)
		return bad[n/2%len(bad)](r)
	}
}

func TestAFlappingIssuerRefusesNoGoodToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuerInMemory{header: http.Header{"Cache-Control": {"max-age=10"}}} // as often as the cool-down lets it
		i.serves(goodKeys())
		cfg := i.config()
		cfg.HTTPClient = &http.Client{Transport: flapping(i)}
		a := newAuthenticator(t, cfg)
		lasting := claims().with("exp", time.Now().Unix()+3*3600)
		seen := token(header(), lasting)
		for n := range 2 * 360 { // two hours: twice MaxStale
			for _, tok := range []string{seen, token(header(), lasting.with("jti", jsonNumber(int64(n))))} {
				if err := errOf(a, tok); err != nil {
					t.Errorf("after %d fetches a good token is refused: %v", i.fetches.Load(), err)
				}
			}
			time.Sleep(10 * time.Second)
		}
		if n := i.fetches.Load(); n < 400 {
			t.Errorf("%d fetches: it hardly flapped", n)
		}
	})
}
