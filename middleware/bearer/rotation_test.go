package bearer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws/wstest"
)

// slowAnswers is an issuer whose answers are on their way until they are released.
type slowAnswers struct {
	issuerInMemory
	release chan struct{}
}

func (i *slowAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := i.issuerInMemory.RoundTrip(r)
	select {
	case <-i.release:
		return answer, err
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// An attacker who invents kids keeps a fetch under way. Its answer may be older than a key
// that the issuer has begun to sign with, so it does not decide about tokens that came later.
func TestAFetchUnderWayDoesNotRefuseTheTokensOfALaterKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &slowAnswers{release: make(chan struct{}, 1)}
		i.serves(keys(jwk("old", ecKey())))
		cfg := i.config()
		cfg.HTTPClient = &http.Client{Transport: i}
		i.release <- struct{}{}
		a := newAuthenticator(t, cfg)
		synctest.Wait()
		fresh := sign(otherEC(), "ES256", header().with("kid", "new").String(), claims().String())
		got := make(chan string, 2)
		go func() { got <- outcomeOf(a, token(header().with("kid", "invented"), claims())) }()
		synctest.Wait() // the answer with the old key is on its way
		i.serves(keys(jwk("old", ecKey()), jwk("new", otherEC())))
		go func() { got <- outcomeOf(a, fresh) }()
		synctest.Wait()
		i.release <- struct{}{}
		if invented := <-got; invented != invalid {
			t.Errorf("the invented kid: %s", invented)
		}
		synctest.Wait() // the token of the new key has asked for a fetch of its own
		i.release <- struct{}{}
		if got := <-got; got != "accepted" {
			t.Errorf("the new key: %s", got)
		}
		_ = a.Close()
	})
}

// rotating is an issuer that changes its key, and whose answers take 300 ms: the key set is
// read in the middle of that.
type rotating struct {
	issuerInMemory
	signs atomic.Pointer[signer]
}

type signer struct {
	kid string
	key *ecdsa.PrivateKey
}

const halfWay = 150 * time.Millisecond

func (i *rotating) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(halfWay)
	answer, err := i.issuerInMemory.RoundTrip(r)
	time.Sleep(halfWay)
	return answer, err
}

// rotate signs with a new key from now on, and publishes it alone or beside the old one.
func (i *rotating) rotate(kid string, alone bool) {
	now := &signer{kid, ecKeyOf(elliptic.P256())}
	set := []any{jwk(kid, now.key)}
	if old := i.signs.Swap(now); !alone {
		set = append(set, jwk(old.kid, old.key))
	}
	i.serves(keys(set...))
}

// mint returns another token of two hours.
func (i *rotating) mint() string {
	c := claims().with("exp", time.Now().Unix()+7200).with("jti", rand.Text())
	by := i.signs.Load()
	return sign(by.key, "ES256", header().with("kid", by.kid).String(), c.String())
}

// answers counts the answers to handshakes, by the kid of the token.
type answers struct {
	http.RoundTripper
	mu   sync.Mutex
	got  map[string]map[int]int
	told int // to come back after a time
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := a.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	kid := kidOf(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.got[kid] == nil {
		a.got[kid] = map[int]int{}
	}
	a.got[kid][answer.StatusCode]++
	if answer.Header.Get("Retry-After") != "" {
		a.told++
	}
	return answer, nil
}

func kidOf(token string) string {
	first, _, _ := strings.Cut(token, ".")
	var h struct{ Kid string }
	_ = json.Unmarshal(decode(first), &h)
	return h.Kid
}

// invent opens handshakes with invented kids, every 50 ms for that long.
func invent(t *testing.T, s *wstest.Server, lasting time.Duration) {
	for begun := time.Now(); time.Since(begun) < lasting; time.Sleep(50 * time.Millisecond) {
		forged := token(header().with("kid", rand.Text()), claims())
		_, answer, err := s.Dial(t.Context(), "/", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + forged}}})
		if err == nil || answer == nil || answer.StatusCode != 401 && answer.StatusCode != 503 {
			t.Errorf("an invented kid: %v", err)
		}
	}
}

// The attack: while the issuer changes its key, an attacker without a token sends handshakes
// with invented kids, and so decides when keys are fetched. Clients with tokens of the new key may
// have to wait; they are never told that these are invalid, and none gives up.
func TestNoClientGivesUpAroundARotationUnderAttack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &rotating{}
		i.rotate("0", true)
		cfg := i.config()
		cfg.HTTPClient = &http.Client{Transport: i}
		s := socketServer(t, live.Timeouts{}, newAuthenticator(t, cfg))
		seen := &answers{RoundTripper: s.Client().Transport, got: map[string]map[int]int{}}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var clients []*comeback
		start := func(name string) {
			c := &comeback{name: name}
			clients = append(clients, c)
			c.start(ctx, t, &http.Client{Transport: seen}, i.mint)
		}
		start("from the start")
		time.Sleep(time.Second)
		later := 0
		for round := range 8 {
			attacked := time.Duration(round) * 190 * time.Millisecond // three fetches take 900 ms
			over := make(chan struct{})
			go func() { defer close(over); invent(t, s, attacked+time.Second) }()
			time.Sleep(attacked)
			kid := fmt.Sprint(round + 1)
			i.rotate(kid, round%2 == 0)
			for _, after := range []time.Duration{0, 70 * time.Millisecond, 300 * time.Millisecond} {
				time.Sleep(after)
				start(fmt.Sprintf("round %d, %v after the last", round, after))
			}
			<-over
			time.Sleep(12 * time.Minute) // Refresh, Recheck, Retry-After and Backoff.Max
			for _, c := range clients {
				c.isBack(t)
			}
			seen.mu.Lock()
			got := maps.Clone(seen.got[kid])
			seen.mu.Unlock()
			later += got[http.StatusServiceUnavailable]
			for status, n := range got {
				if status != http.StatusSwitchingProtocols && status != http.StatusServiceUnavailable {
					t.Errorf("round %d: %d good tokens are answered %d", round, n, status)
				}
			}
		}
		if later == 0 || later != seen.told {
			t.Errorf("%d good tokens had to wait, and %d answers have a Retry-After", later, seen.told)
		}
		stop()
		synctest.Wait()
	})
}
