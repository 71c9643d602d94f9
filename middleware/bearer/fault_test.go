package bearer_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/securews/securews/middleware/bearer"
)

func TestIllEndpointWithASetAtHand(t *testing.T) {
	good, unknown := token(header(), claims()), token(header().with("kid", "new"), claims())
	for name, fault := range faults(t) {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t, serves(goodKeys()))
			a := e.authenticator(t)
			if _, err := a.Authenticate(request(good)); err != nil {
				t.Fatal(err)
			}
			e.becomes(fault)
			if _, err := a.Authenticate(request(unknown)); outcome(err) != unavailable { // asks, waits, learns nothing
				t.Errorf("an unknown kid: got %s", outcome(err))
			}
			if n := e.fetches.Load(); n != 2 {
				t.Errorf("%d fetches", n)
			}
			for _, tok := range []string{good, token(header(), claims())} { // seen before, and first time
				if _, err := a.Authenticate(request(tok)); err != nil {
					t.Errorf("a good token is refused: %v", err)
				}
			}
		})
	}
}

func TestIllEndpointFromTheStart(t *testing.T) {
	good := token(header(), claims())
	for name, fault := range faults(t) {
		t.Run(name, func(t *testing.T) {
			a := newEndpoint(t, fault).authenticator(t)
			if _, err := a.Authenticate(request(good)); outcome(err) != unavailable {
				t.Errorf("got %s", outcome(err))
			}
		})
	}
	t.Run("nothing listens, then it comes up", func(t *testing.T) {
		e := newEndpoint(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		a := e.authenticator(t)
		if _, err := a.Authenticate(request(good)); outcome(err) != unavailable {
			t.Fatalf("got %s", outcome(err))
		}
		served := make(chan struct{}, 16)
		e.becomes(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(goodKeys()); served <- struct{}{} })
		<-served
		for got := outcomeOf(a, good); got != "accepted"; got = outcomeOf(a, good) {
			if got != unavailable {
				t.Fatalf("got %s", got)
			}
			runtime.Gosched()
		}
	})
}

func errOf(a *bearer.Authenticator, token string) error {
	_, err := a.Authenticate(request(token))
	return err
}

func outcomeOf(a *bearer.Authenticator, token string) string { return outcome(errOf(a, token)) }

func TestAHugeSetTakesLittleMemory(t *testing.T) { // less than 16 MB
	ill := faults(t)
	_ = gzipBomb()
	for _, name := range []string{"is huge", "is a gzip bomb", "has 200000 keys"} {
		fault := ill[name]
		e := newEndpoint(t, serves(goodKeys()))
		a := e.authenticator(t)
		if err := errOf(a, token(header(), claims())); err != nil {
			t.Fatal(err)
		}
		e.becomes(fault)
		unknown := request(token(header().with("kid", "new"), claims()))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = a.Authenticate(unknown)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
			t.Errorf("a set that %s allocates %d bytes", name, grown)
		}
	}
}

func TestRotation(t *testing.T) { // CVE-2025-22149
	e := newEndpoint(t, serves(keys(jwk("old", ecKey()))))
	a := e.authenticator(t)
	old, fresh := token(header().with("kid", "old"), claims()),
		sign(otherEC(), "ES256", header().with("kid", "new").String(), claims().String())
	if err := errOf(a, old); err != nil {
		t.Fatal(err)
	}
	e.becomes(serves(keys(jwk("new", otherEC()))))
	if err := errOf(a, fresh); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if got := outcomeOf(a, old); got != invalid {
		t.Errorf("the removed key, its token remembered: %s", got)
	}
}

func TestAKeyReplacedUnderItsKid(t *testing.T) {
	e := newEndpoint(t, serves(keys(jwk("k", ecKey()))))
	a := e.authenticator(t)
	old := token(header().with("kid", "k"), claims())
	if err := errOf(a, old); err != nil {
		t.Fatal(err)
	}
	e.becomes(serves(keys(jwk("k", otherEC()), jwk("l", otherEC()))))
	if err := errOf(a, sign(otherEC(), "ES256", header().with("kid", "l").String(), claims().String())); err != nil {
		t.Fatal(err)
	}
	if got := outcomeOf(a, old); got != invalid {
		t.Errorf("a remembered token of the replaced key: %s", got)
	}
}

// W5: who invents kids spends the fetches of a cool-down. A token of a new key is then told to
// come back, not that it is invalid.
func TestAFloodOfUnknownKidsIsThreeFetches(t *testing.T) {
	e := newEndpoint(t, serves(goodKeys()))
	a := e.authenticator(t)
	good := token(header(), claims())
	if err := errOf(a, good); err != nil {
		t.Fatal(err)
	}
	before := e.fetches.Load()
	tail := strings.SplitN(good, ".", 2)[1]
	var wg sync.WaitGroup
	for g := range 10 {
		wg.Go(func() {
			for i := range 1000 {
				got := outcomeOf(a, b64([]byte(header().with("kid", fmt.Sprintf("%d-%d", g, i)).String()))+"."+tail)
				if got != invalid && got != unavailable {
					t.Errorf("got %s", got)
				}
			}
		})
	}
	wg.Wait()
	if got := outcomeOf(a, b64([]byte(header().with("kid", "new").String()))+"."+tail); got != unavailable {
		t.Errorf("after the flood: %s", got)
	}
	if n := e.fetches.Load() - before; n != 3 {
		t.Errorf("%d fetches", n)
	}
	if err := errOf(a, good); err != nil {
		t.Error(err)
	}
}

func TestCloseEndsTheFetching(t *testing.T) {
	hung := make(chan struct{})
	gone := make(chan struct{})
	e := newEndpoint(t, func(_ http.ResponseWriter, r *http.Request) { close(hung); <-r.Context().Done(); close(gone) })
	a := e.authenticator(t)
	<-hung
	for range 2 {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	<-gone
	if got := outcomeOf(a, token(header(), claims())); got != unavailable {
		t.Errorf("got %s", got)
	}
}
