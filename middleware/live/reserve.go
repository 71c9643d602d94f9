package live

import (
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"net/netip"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// Check returns nil if there is room for one more member of the registry, otherwise 503 `draining`
// or `overloaded`. It reserves nothing, and does not ask about the limits of a principal or an
// address.
func (g *Registry) Check() error {
	if g.zero() {
		return errZero
	}
	return g.room(g.open.Load())
}

// room refuses one member more than the limit, beside those that are open.
func (g *Registry) room(open int64) error {
	switch {
	case g.draining.Load() != 0:
		return g.refuse(http.StatusServiceUnavailable, middleware.ReasonDraining, errors.New("live: Shutdown has begun"))
	case open >= int64(g.cfg.Limits.Connections):
		return g.refuse(http.StatusServiceUnavailable, middleware.ReasonOverloaded,
			fmt.Errorf("live: Limits.Connections is reached: %d", g.cfg.Limits.Connections))
	}
	return nil
}

// Reserve reserves a place for a member that the request would open, or refuses: 503
// `draining` or `overloaded`, 429 `too_many_connections` of the client's address. b must be
// the zero Binding; it is left by [Binding.Leave].
func (g *Registry) Reserve(b *Binding, r *http.Request) error {
	if err := g.Check(); err != nil {
		return err
	}
	others, err := g.reserve(b, r, g.cfg.Limits.PerAddress)
	if err != nil {
		return err
	}
	if err := g.room(others); err != nil { // again, now that the place is taken
		b.Leave(nil)
		return err
	}
	return nil
}

// reserve counts a place, of at most perAddress of the client's address, and returns how
// many others there are.
func (g *Registry) reserve(b *Binding, r *http.Request, perAddress int) (others int64, err error) {
	share, ok := g.addresses.enter(g.clientKey(r), perAddress)
	if !ok {
		return 0, g.refuse(http.StatusTooManyRequests, middleware.ReasonTooManyConnections, fmt.Errorf(
			"live: Limits.PerAddress is reached: %d from %s; if that is a proxy, name it in "+
				"middleware.ProxiesConfig.Trusted and set Config.Proxies",
			perAddress, r.RemoteAddr))
	}
	b.init(g, reserved)
	b.share = share
	others = g.open.Add(1) - 1
	g.await(1)
	return others, nil
}

func (g *Registry) clientKey(r *http.Request) addressKey {
	var a netip.Addr
	if g.cfg.Proxies != nil {
		a = g.cfg.Proxies.ClientIP(r)
	} else {
		a = middleware.ClientIP(r)
	}
	if a.Is6() {
		if network, err := a.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return a
}

// Explain reserves a place for a connection that is completed only to report a refusal. It
// has no principal, is not ended by the registry and does not count as a member; false if
// Limits.ReadableRefusals is reached. Shutdown waits for it only if it came before. It is
// for the packages of this module, which pass contextkey.Key().
func (g *Registry) Explain(key contextkey.Ours, b *Binding, m Member) bool {
	if g.zero() || !key.Valid() {
		return false
	}
	if g.readableRefusals.Add(1) > int64(g.cfg.Limits.ReadableRefusals) {
		g.readableRefusals.Add(-1)
		return false
	}
	b.init(g, readableRefusal)
	b.setMember(m)
	b.id = rand.Text()
	if g.await(1); g.draining.Load() != 0 {
		g.await(-1)
		b.stage.Store(lateReadableRefusal)
	}
	return true
}

func (b *Binding) init(g *Registry, stage uint32) {
	b.registry, b.jitter = g, mathrand.Float32()
	b.opened.Store(g.Now())
	b.question.renew(g.Now(), b.recheckPause())
	b.stage.Store(stage)
}
