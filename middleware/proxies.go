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
	// a prefix of length 0 is an error.
	Trusted []string

	// Forwarded reads the Forwarded header of RFC 7239 in place of X-Forwarded-For
	// and X-Forwarded-Proto. Exactly one of the two is read: a proxy that
	// writes the one passes on the other as the client wrote it.
	Forwarded bool
}

// Proxies finds the address of a request's client, and whether it came over TLS, behind
// reverse proxies (ASVS 15.3.4, 4.1.3).
//
// The header is read only when the connection comes from a trusted address, and
// from right to left: each trusted proxy vouches for the entry that it appended, so
// the first address that is not trusted is the client's. The client may have written
// the entries to its left. An entry that cannot be read ends the walk, and the
// last address that a trusted proxy appended counts: the mistake may then limit too many
// clients at once, but no client can pass for another.
//
// A Proxies is safe for concurrent use. Nil and the zero value trust no proxy: the
// client is the peer of the connection.
type Proxies struct {
	trusted   []netip.Prefix
	forwarded bool
}

// NewProxies returns the Proxies of the config. Its error joins all that is wrong
// with the entries.
func NewProxies(cfg ProxiesConfig) (*Proxies, error) {
	p := &Proxies{forwarded: cfg.Forwarded}
	var errs []error
	if len(cfg.Trusted) == 0 {
		errs = append(errs, errors.New("middleware: ProxiesConfig.Trusted: required: name the proxies, or use a nil *Proxies if there are none"))
	}
	for _, entry := range cfg.Trusted {
		prefix, err := parseTrusted(entry)
		if err != nil {
			errs = append(errs, fmt.Errorf("middleware: ProxiesConfig.Trusted: %.80q: %w", entry, err))
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
			return netip.Prefix{}, errors.New(`it is not an address: write "192.0.2.1", "192.0.2.0/24" or "2001:db8::/32"`)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(entry)
	switch {
	case err != nil:
		return prefix, errors.New(`it is not a prefix: write "192.0.2.0/24" or "2001:db8::/32"`)
	case prefix.Addr().Is4In6():
		return prefix, errors.New(`it is an IPv4 prefix in IPv6 notation: write "192.0.2.0/24"`)
	case prefix.Bits() == 0:
		return prefix, errors.New("it trusts every client to name its own address: name the proxies")
	case prefix != prefix.Masked():
		return prefix, fmt.Errorf("it has bits behind the prefix: write %q or %q", prefix.Masked(), prefix.Addr())
	}
	return prefix, nil
}

// hop describes the client: its address, invalid if it is not known, and
// whether it used TLS.
type hop struct {
	client netip.Addr
	secure bool
}

// ClientIP returns the client's address, an IPv4 one always as IPv4, without zone.
// It is invalid if the connection has none, as on a Unix socket.
func (p *Proxies) ClientIP(r *http.Request) netip.Addr { return p.find(r).client }

// Secure reports whether the client used TLS: to this server, or to a trusted
// proxy. If a trusted proxy says that the client did not, the answer is false, even if the
// proxy itself uses TLS to this server. With X-Forwarded-Proto every value must say
// "https" (or "wss", as some proxies name the scheme of a handshake); with Forwarded
// the element that names the client.
func (p *Proxies) Secure(r *http.Request) bool { return p.find(r).secure }

type proxiedKey struct{}

// proxied is a hop that Handler found, and the Proxies that did: another one, which may
// trust other addresses, searches again.
type proxied struct {
	by *Proxies
	hop
}

// Handler finds the client once for the inner layers: mount it outside [AccessLog] and
// [RateLimit], which use it.
func (p *Proxies) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), proxiedKey{}, &proxied{p, p.find(r)})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// clientAddress is ClientIP for the log, which has "@" for a Unix socket.
func clientAddress(r *http.Request) string {
	a := ClientIP(r)
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
