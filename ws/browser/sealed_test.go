package browser_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/seal"
)

const audience = "chat.example"

// sealedSite echoes sealed messages, with a key of each suite, the named one offered first.
func sealedSite(t *testing.T, suites ...seal.Suite) (*site, []seal.Key) {
	t.Helper()
	var keys []seal.Key
	for _, s := range suites {
		keys = append(keys, must(seal.GenerateKey(s, time.Now().Add(time.Hour)))(t))
	}
	ring := must(seal.NewKeyring(keys...))(t)
	server := must(seal.NewServer(seal.Config{
		Keys: ring, Audience: audience, Suites: suites,
		Principal: func(p middleware.Principal) string { return p.Subject },
	}))(t)
	s := newSite(t, ws.Config{
		Subprotocols: server.Subprotocols("chat"),
		Serve: server.Serve(func(_ context.Context, c *seal.Conn) error {
			for {
				typ, p, err := c.Read()
				if err != nil || string(p) == "bye" {
					return err
				}
				if err := c.Write(typ, p); err != nil {
					return err
				}
			}
		}),
	})
	s.more = func(mux *http.ServeMux) {
		mux.Handle("GET "+seal.DirectoryPath, ring)
	}
	return s, keys
}

var suiteNames = map[seal.Suite]string{seal.XWing: "X-Wing", seal.X25519: "X25519", seal.P256: "P-256"}

func pin(keys []seal.Key) (pinned []options) {
	for _, k := range keys {
		pinned = append(pinned, options{
			"suite": suiteNames[k.Public().Suite()], "pk": base64.RawURLEncoding.EncodeToString(k.Public().Bytes()),
		})
	}
	return pinned
}

// exchange sends text and bytes, and reads them back.
func (p *page) exchange() {
	p.t.Helper()
	if l := p.state("open"); !l.Sealed || l.Protocol != "hpke1.chat" {
		p.t.Fatalf("sealed: %v, %q", l.Sealed, l.Protocol)
	}
	p.do(options{"send": "wörld"})
	p.message("wörld")
	p.do(options{"bytes": "00ff80"})
	p.message("00ff80")
}

func TestSealedWithGo(t *testing.T) {
	for suite, name := range suiteNames {
		t.Run(name, func(t *testing.T) {
			s, keys := sealedSite(t, suite)
			s.start()
			for how, keys := range map[string]any{"pinned": pin(keys), "directory": nil} {
				sealed := options{"audience": audience, "principal": "alice"}
				if keys != nil {
					sealed["keys"] = keys
				}
				p := s.dial(options{"sealed": sealed})
				p.exchange()
				p.do(options{"send": "bye"})
				if e := p.state("closed").Ending; e.Code != 1000 || e.Truncated {
					t.Errorf("%s: %+v, want 1000 and the close record before it", how, e)
				}
			}
			s.alone()
		})
	}
}

func TestSealedComesBackAfterARestart(t *testing.T) {
	s, _ := sealedSite(t, seal.XWing, seal.X25519, seal.P256)
	s.start()
	p := s.dial(options{"sealed": options{"audience": audience, "principal": "alice"}})
	p.exchange()
	s.drain()
	p.state("waiting")
	p.do(options{"send": "meanwhile"})
	s.start()
	p.message("meanwhile")
	s.alone()
}

func TestSealedWithAnotherBindingIsRefused(t *testing.T) {
	s, keys := sealedSite(t, seal.X25519)
	stranger := must(seal.GenerateKey(seal.X25519, time.Now().Add(time.Hour)))(t)
	s.start()
	for name, change := range map[string]options{
		"audience":   {"audience": "other.example"},
		"principal":  {"principal": "bob"},
		"origin":     {"origin": "https://other.example"},
		"pinned key": {"keys": pin([]seal.Key{stranger})},
	} {
		sealed := options{"audience": audience, "principal": "alice", "keys": pin(keys)}
		for k, v := range change {
			sealed[k] = v
		}
		e := s.dial(options{"sealed": sealed}).state("closed").Ending
		if e.Next != "stop" || e.Reason != "decrypt" || e.Code != 4008 && e.Code != 1008 {
			t.Errorf("%s: %+v, want decrypt", name, e)
		}
	}
}
