package browser_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/ws"
)

// issuer signs tokens after RFC 9068 and publishes the last of its keys.
type issuer struct {
	*httptest.Server
	signs atomic.Pointer[signer]
}

type signer struct {
	kid string
	key ed25519.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.rotate(t)
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		by := i.signs.Load()
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}]}`, by.kid, b64(by.key.Public().(ed25519.PublicKey)))
	}))
	t.Cleanup(i.Close)
	return i
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (i *issuer) rotate(t *testing.T) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	i.signs.Store(&signer{rand.Text(), key})
}

// token is one of the key, under that kid.
func (i *issuer) token(kid string, key ed25519.PrivateKey) string {
	claims, _ := json.Marshal(map[string]any{
		"iss": i.URL, "aud": origin, "sub": "alice", "client_id": "page", "jti": rand.Text(),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	signed := b64(fmt.Appendf(nil, `{"alg":"EdDSA","typ":"at+jwt","kid":%q}`, kid)) + "." + b64(claims)
	return signed + "." + b64(ed25519.Sign(key, []byte(signed)))
}

// invent asks for a ticket with an invented kid, and returns the status.
func (s *site) invent(i *issuer) int {
	r := must(http.NewRequestWithContext(s.t.Context(), http.MethodPost, "https://"+s.addr+"/ticket", nil))(s.t)
	r.Header.Set("Origin", origin)
	r.Header.Set("Authorization", "Bearer "+i.token(rand.Text(), i.signs.Load().key))
	answer, err := s.srv.Client().Do(r)
	if err != nil {
		return 0 // the server starts again
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// The attack: just before the issuer changes its key, and from then on, requests with invented
// kids spend the fetches of the key set. The page loses its connection at that time, and its
// token is one of the new key.
func TestComesBackFromARotationUnderAttack(t *testing.T) {
	i := newIssuer(t)
	s := newSite(t, ws.Config{Serve: echo})
	tokens := must(bearer.New(bearer.Config{
		Issuer: i.URL, Audience: []string{origin}, JWKS: i.URL,
		HTTPClient: i.Client(), CoolDown: time.Second, Refresh: time.Hour, Log: s.cfg.Log,
	}))(t)
	t.Cleanup(func() { _ = tokens.Close() })
	s.authenticates(tokens)
	s.more = func(mux *http.ServeMux) {
		mux.HandleFunc("GET /token", func(w http.ResponseWriter, _ *http.Request) {
			by := i.signs.Load()
			_, _ = io.WriteString(w, i.token(by.kid, by.key))
		})
	}
	s.start()
	p := s.dial(options{"token": "https://" + s.addr + "/token"})
	p.state("open")
	for round := range 3 {
		for n := 0; s.invent(i) != http.StatusServiceUnavailable; n++ {
			if n == 10 {
				t.Fatal("invented kids do not spend the fetches")
			}
		}
		s.kill()
		i.rotate(t)
		s.start()
		over, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-over:
					return
				case <-time.After(20 * time.Millisecond):
					s.invent(i)
				}
			}
		}()
		p.state("open")
		close(over)
		<-done
		text := fmt.Sprint("round ", round)
		p.do(options{"send": text})
		p.message(text)
	}
	later := 0
	for _, l := range p.all {
		if l.Ending == nil {
			continue
		}
		if e := l.Ending; e.Status == http.StatusServiceUnavailable {
			later++
		} else if e.Status != 0 || e.Next != "retry" {
			t.Errorf("%+v, want a retry after a lost connection or a 503", *e)
		}
	}
	if later == 0 {
		t.Error("no ticket was refused: the attack was none")
	}
	s.alone()
}
