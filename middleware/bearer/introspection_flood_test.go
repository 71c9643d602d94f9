package bearer_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slowly answers after d, and counts the introspections under way.
func (i *tokenIssuer) slowly(d time.Duration) (most *atomic.Int64) {
	most = new(atomic.Int64)
	var now atomic.Int64
	i.becomes(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		select {
		case <-time.After(d):
			i.introspect(w, r)
		case <-r.Context().Done():
		}
	})
	return most
}

// Invented tokens reach the issuer 32 at a time. 1024 wait for half of Timeout, and those beyond are
// refused at once.
// Meanwhile tokens that were accepted before are asked about as if nothing had happened: a flood
// ends no live connection.
func TestAFloodOfInventedTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		i.issues(opaque, members())
		cfg := introspection(i)
		cfg.CacheFor = time.Second
		a := newIntrospector(t, cfg)
		p, err := a.Authenticate(request(opaque))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		most := i.slowly(90 * time.Millisecond)
		before := i.asked.Load()
		var mu sync.Mutex
		answers := map[string]int{}
		began := time.Now()
		for n := range 5000 {
			go func() {
				_, err := a.Authenticate(request(fmt.Sprintf("invented-%d", n)))
				word := outcome(err)
				switch {
				case word != unavailable:
				case strings.Contains(err.Error(), "1024 introspections wait already; put a middleware.RateLimit in front"):
					word = "beyond"
				case strings.Contains(err.Error(), "32 introspections are under way for too long"):
					word = "waited"
				}
				mu.Lock()
				defer mu.Unlock()
				answers[word]++
			}()
		}
		synctest.Wait()
		if mu.Lock(); answers["beyond"] != 5000-1024 || len(answers) != 1 {
			t.Errorf("at once: %v", answers)
		}
		mu.Unlock()
		if err := a.Alive(t.Context(), p); err != nil || time.Since(began) != 90*time.Millisecond {
			t.Errorf("a live connection: %v after %v", err, time.Since(began))
		}
		time.Sleep(time.Second)
		if _, err := a.Authenticate(request(opaque)); err != nil || time.Since(began) > 1300*time.Millisecond {
			t.Errorf("a known token: %v after %v", err, time.Since(began))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		// 6 rounds of 32 begin in half a second
		if mu.Lock(); answers[invalid] != 6*32 || answers["waited"] != 1024-6*32 || len(answers) != 3 {
			t.Errorf("in the end: %v", answers)
		}
		mu.Unlock()
		if asked := i.asked.Load() - before; most.Load() != 33 || asked != 6*32+2 {
			t.Errorf("%d introspections, %d at a time", asked, most.Load())
		}
	})
}

// One invented token is asked about once in 2 s, however often it comes.
func TestAnInventedTokenManyTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		a := newIntrospector(t, introspection(i))
		for range 1000 {
			if _, err := a.Authenticate(request("invented")); outcome(err) != invalid {
				t.Fatal(outcome(err))
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := i.asked.Load(); n != 5 {
			t.Errorf("asked %d times in 10 s", n)
		}
	})
}

// Invented tokens do not push out those that were accepted.
func TestInventedTokensLeaveTheOthersRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		i.issues(opaque, members())
		cfg := introspection(i)
		cfg.CacheSize = 1
		a := newIntrospector(t, cfg)
		if _, err := a.Authenticate(request(opaque)); err != nil {
			t.Fatal(err)
		}
		for n := range 3000 {
			_, _ = a.Authenticate(request(fmt.Sprintf("invented-%d", n)))
		}
		before := i.asked.Load()
		if _, err := a.Authenticate(request(opaque)); err != nil || i.asked.Load() != before {
			t.Errorf("asked again: %v", err)
		}
	})
}

// Requests with one token share the introspection, and do not depend on the one that came first.
func TestQuestionsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		i.issues(opaque, members())
		i.slowly(500 * time.Millisecond)
		a := newIntrospector(t, introspection(i))
		first, gone := context.WithCancel(t.Context())
		done := make(chan error)
		ask := func(ctx context.Context) {
			_, err := a.Authenticate(request(opaque).WithContext(ctx))
			done <- err
		}
		go ask(first)
		synctest.Wait()
		for range 99 {
			go ask(t.Context())
		}
		synctest.Wait()
		gone()
		for range 100 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := i.asked.Load(); n != 1 {
			t.Errorf("%d introspections", n)
		}
	})
}

// A recheck does not join an introspection that began more than a second ago: its answer may be older
// than the revocation that the recheck is about. The older answer does not replace the newer one.
func TestAnOlderQuestionIsNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		i.issues(opaque, members())
		cfg := introspection(i)
		cfg.Timeout, cfg.CacheFor = 2*time.Second, 1
		a := newIntrospector(t, cfg)
		p, err := a.Authenticate(request(opaque))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		active := says(members().with("active", true).String())
		i.becomes(func(w http.ResponseWriter, r *http.Request) { time.Sleep(1900 * time.Millisecond); active(w, r) })
		late := make(chan error, 1)
		go func() { _, err := a.Authenticate(request(opaque)); late <- err }()
		time.Sleep(1100 * time.Millisecond)
		i.revokes(opaque)
		i.becomes(nil)
		if err := a.Alive(t.Context(), p); outcome(err) != "401 credential_revoked" {
			t.Errorf("the recheck: %s", outcome(err))
		}
		if err := <-late; outcome(err) != invalid {
			t.Errorf("the request whose answer is older: %s", outcome(err))
		}
		if err := a.Alive(t.Context(), p); outcome(err) != "401 credential_revoked" {
			t.Errorf("a recheck after both: %s", outcome(err))
		}
	})
}
