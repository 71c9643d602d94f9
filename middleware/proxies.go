package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ProxiesConfig names the reverse proxies in front of this server.
type ProxiesConfig struct {
	_ [0]func()

	// Trusted are their addresses, as "192.0.2.1" or "192.0.2.0/24". At least one;
	// trusting everybody is an error.
	Trusted []string

	// Forwarded reads the Forwarded header of RFC 7239 in place of X-Forwarded-For
	// and X-Forwarded-Proto. Exactly one of the two is believed: a proxy that
	// writes the one passes on what a client wrote in the other.
	Forwarded bool
}

// Proxies finds out who a request is from, and whether it came over TLS, when
// reverse proxies stand in between (ASVS 15.3.4, 4.1.3).
//
// The header is read only when the connection comes from a trusted address, and
// from right to left: each trusted proxy vouches for the entry that it appended, so
// the first address that is not trusted is the client's. What stands further left
// anybody may have written. An entry that cannot be read ends the walk, and the
// nearest address that was vouched for counts: the mistake may then limit too many
// clients at once, but lets nobody pass for another.
//
// A Proxies is safe for concurrent use. Nil and the zero value trust nobody: the
// client is whoever opened the connection.
type Proxies struct {
	trusted   []netip.Prefix
	forwarded bool
}

// NewProxies returns the Proxies of the config. Its error joins whatever is wrong
// with the entries.
func NewProxies(cfg ProxiesConfig) (*Proxies, error) {
	p := &Proxies{forwarded: cfg.Forwarded}
	var errs []error
	if len(cfg.Trusted) == 0 {
		errs = append(errs, errors.New("middleware: proxies: Trusted is empty: name the proxies, or use a nil *Proxies where there are none"))
	}
	for _, entry := range cfg.Trusted {
		prefix, err := parseTrusted(entry)
		if err != nil {
			errs = append(errs, fmt.Errorf("middleware: proxies: %.80q: %w", entry, err))
		}
		p.trusted = append(p.trusted, prefix)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

func parseTrusted(entry string) (netip.Prefix, error) {
	if !strings.Contains(entry, "/") {
		a, err := netip.ParseAddr(entry)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errors.New(`it is no address: write "192.0.2.1", "192.0.2.0/24" or "2001:db8::/32"`)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(entry)
	switch {
	case err != nil:
		return prefix, errors.New(`it is no prefix: write "192.0.2.0/24" or "2001:db8::/32"`)
	case prefix.Addr().Is4In6():
		return prefix, errors.New(`it is an IPv4 prefix in IPv6 clothes: write it as in "192.0.2.0/24"`)
	case prefix.Bits() == 0:
		return prefix, errors.New("it trusts everybody, and so anybody's word for who they are: name the proxies")
	case prefix != prefix.Masked():
		return prefix, fmt.Errorf("it has bits behind the prefix: write %q or %q", prefix.Masked(), prefix.Addr())
	}
	return prefix, nil
}

// hop is what is known of the client: its address, invalid where nobody knows, and
// whether it spoke TLS.
type hop struct {
	client netip.Addr
	secure bool
}

// ClientIP returns the client's address, an IPv4 one always as IPv4, without zone.
// It is invalid where the connection has none, as on a Unix socket.
func (p *Proxies) ClientIP(r *http.Request) netip.Addr { return p.find(r).client }

// Secure reports whether the client spoke TLS: to this server, or to a trusted
// proxy. Where a trusted proxy says that the client did not, it did not, though the
// proxy itself may speak TLS to us. With X-Forwarded-Proto every value must say
// "https" (or "wss", as some proxies name the scheme of a handshake); with Forwarded
// the element that names the client.
func (p *Proxies) Secure(r *http.Request) bool { return p.find(r).secure }

type proxiedKey struct{}

// proxied is a hop that Handler found, and who did: another Proxies, which may trust
// others, finds for itself.
type proxied struct {
	by *Proxies
	hop
}

// Handler finds the client once for the layers further in: [AccessLog] and
// [RateLimit] see it, so it stands outside them.
func (p *Proxies) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), proxiedKey{}, &proxied{p, p.find(r)})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// clientAround is the client as the innermost [Proxies] around found it, or the
// other end of the connection.
func clientAround(r *http.Request) netip.Addr {
	if x, ok := r.Context().Value(proxiedKey{}).(*proxied); ok {
		return x.client
	}
	return peerAddr(r)
}

// clientAddress is that for the log, which says "@" of a Unix socket.
func clientAddress(r *http.Request) string {
	a := clientAround(r)
	if !a.IsValid() {
		return r.RemoteAddr
	}
	if i := strings.LastIndexByte(r.RemoteAddr, ':'); i > 0 && a.Is4() {
		if peer, err := netip.ParseAddr(r.RemoteAddr[:i]); err == nil && peer == a {
			return r.RemoteAddr[:i] // IPv4 has one spelling
		}
	}
	return a.String()
}

func (p *Proxies) find(r *http.Request) hop {
	if x, ok := r.Context().Value(proxiedKey{}).(*proxied); ok && x.by == p {
		return x.hop
	}
	h := hop{peerAddr(r), r.TLS != nil}
	switch {
	case !p.trusts(h.client):
		return h
	case p.forwarded:
		return p.walkForwarded(r.Header["Forwarded"], h)
	}
	h.client = p.walkForwardedFor(r.Header["X-Forwarded-For"], h.client)
	if protos := r.Header["X-Forwarded-Proto"]; len(protos) > 0 {
		h.secure = allSecure(protos)
	}
	return h
}

func (p *Proxies) trusts(a netip.Addr) bool {
	return p != nil && a.IsValid() && slices.ContainsFunc(p.trusted, func(x netip.Prefix) bool { return x.Contains(a) })
}

// peerAddr is invalid for a Unix socket, whose address is "@" or empty.
func peerAddr(r *http.Request) netip.Addr {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, _ := netip.ParseAddr(r.RemoteAddr)
	return a.Unmap().WithZone("")
}
