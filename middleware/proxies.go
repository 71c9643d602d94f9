package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"

	"github.com/securews/securews/internal/opening"
)

// ProxiesConfig names the reverse proxies in front of this server, and the headers by which
// they describe the client.
type ProxiesConfig struct {
	_ [0]func()

	// Trusted are their addresses, as "192.0.2.1" or "192.0.2.0/24", or "unix" for the
	// peers of a Unix socket, which its file mode chooses. At least one; a prefix of
	// length 0 is an error.
	Trusted []string

	// Forwarded reads the Forwarded header of RFC 7239 in place of X-Forwarded-For
	// and X-Forwarded-Proto, and its host parameter in place of Host. Exactly one of the
	// two is read: a proxy that writes the one passes on the other as the client wrote it.
	Forwarded bool

	// AddressHeader is a platform's own header that has the client's address and nothing
	// else, as "CF-Connecting-IP", "True-Client-IP", "Fly-Client-IP" or "X-Real-IP"; it is
	// read in place of X-Forwarded-For. The platform must overwrite it, and the trusted
	// proxies must be reachable through the platform only. Empty: X-Forwarded-For.
	AddressHeader string

	// SchemeHeader is a platform's own header that has the client's scheme, as
	// "CloudFront-Forwarded-Proto" or "X-Forwarded-Scheme" (https), "X-Forwarded-Ssl" or
	// "Front-End-Https" (on), or "CF-Visitor" ({"scheme":"https"}); it is read in place of
	// X-Forwarded-Proto. Empty: X-Forwarded-Proto.
	SchemeHeader string

	// HostHeader is the header that has the Host as the client sent it, "X-Forwarded-Host",
	// if the proxies change Host and write that header. Empty: Host counts. A proxy that
	// does not write the header passes it on as the client wrote it.
	HostHeader string
}

// Proxies finds the address of a request's client, whether it came over TLS, and to which
// host, behind reverse proxies (ASVS 15.3.4, 4.1.3).
//
// A header is read only when the connection comes from a trusted address, and
// from right to left: each trusted proxy vouches for the entry that it appended, so
// the first address that is not trusted is the client's. The client may have written
// the entries to its left. Empty entries are skipped (RFC 9110 §5.6.1.2). An entry that cannot
// be read ends the walk, and the last address that a trusted proxy appended counts: the mistake
// may then limit too many clients at once, but no client can pass for another.
//
// A layer in front that overwrites RemoteAddr, such as RealIP of chi, hides the peer: no
// proxy is then trusted. Mount Proxies in place of it.
//
// A Proxies is safe for concurrent use. Nil and the zero value trust no proxy: the
// client is the peer of the connection.
type Proxies struct {
	trusted   []netip.Prefix
	unix      bool // the peers of Unix sockets are trusted
	forwarded bool
	address   string // canonical keys; "" for X-Forwarded-For
	scheme    string // never ""
	host      string // "" for Host
	onOff     bool   // the scheme header says on or off
}

// NewProxies returns the Proxies of the config. Its error joins all that is wrong
// with it.
func NewProxies(cfg ProxiesConfig) (*Proxies, error) {
	p := &Proxies{forwarded: cfg.Forwarded}
	var errs []error
	if len(cfg.Trusted) == 0 {
		errs = append(errs, errors.New("middleware: ProxiesConfig.Trusted: required: name the proxies, or "+
			"use a nil *Proxies if there are none"))
	}
	for _, entry := range cfg.Trusted {
		if entry == trustUnix {
			p.unix = true
			continue
		}
		prefix, err := parseTrusted(entry)
		if err != nil {
			errs = append(errs, fmt.Errorf("middleware: ProxiesConfig.Trusted: %.80q: %w", entry, err))
		}
		p.trusted = append(p.trusted, prefix)
	}
	errs = append(errs, p.readHeaders(cfg))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// readHeaders validates and keeps the headers that the config names.
func (p *Proxies) readHeaders(cfg ProxiesConfig) error {
	var errs []error
	used := map[string]string{}
	key := func(field, name, standard string) string {
		name = textproto.CanonicalMIMEHeaderKey(name)
		var why error
		switch {
		case name == "" || name == standard:
			return standard
		case !opening.IsToken(name):
			why = errors.New("it is not a header name (RFC 9110 §5.1)")
		case cfg.Forwarded:
			why = errors.New("ProxiesConfig.Forwarded reads that from the Forwarded header: remove one of the two settings")
		case name == "Forwarded":
			why = errors.New("it has a grammar of its own: set ProxiesConfig.Forwarded")
		case slices.Contains(otherHeaders[:], name), name == forwardedHost && field != "HostHeader":
			why = errors.New("it is for another purpose: name the header by which the proxies describe the " +
				"client, or leave the field empty")
		case used[name] != "":
			why = fmt.Errorf("ProxiesConfig.%s names it, too: remove one of the two settings", used[name])
		}
		used[name] = field
		if why != nil {
			errs = append(errs, fmt.Errorf("middleware: ProxiesConfig.%s: %.80q: %w", field, name, why))
		}
		return name
	}
	p.address = key("AddressHeader", cfg.AddressHeader, forwardedFor)
	p.scheme = key("SchemeHeader", cfg.SchemeHeader, forwardedProto)
	p.host = key("HostHeader", cfg.HostHeader, "")
	p.onOff = isSwitch(p.scheme)
	return errors.Join(errs...)
}

// otherHeaders are written by clients for another purpose, or have one setting only.
var otherHeaders = [...]string{"Host", forwardedFor, forwardedProto, "Origin", "Referer", "Cookie", "Authorization", "User-Agent"}

const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
	forwardedHost  = "X-Forwarded-Host"
)

// ClientIP returns the client's address, an IPv4 one always as IPv4, without zone.
// It is invalid if the connection has none, as on a Unix socket.
func (p *Proxies) ClientIP(r *http.Request) netip.Addr { return p.find(r).addr }

// Secure reports whether the client used TLS: to this server, or to a trusted
// proxy. If a trusted proxy says that the client did not, the answer is false, even if the
// proxy itself uses TLS to this server. With X-Forwarded-Proto every value must say
// "https" (or "wss", as some proxies name the scheme of a handshake); with Forwarded
// the element that names the client.
func (p *Proxies) Secure(r *http.Request) bool { return p.find(r).secure }

// Host returns the Host that the client sent: of the request, or as a trusted proxy names it
// (ProxiesConfig.HostHeader, or Forwarded). It is "" if proxies name different ones.
func (p *Proxies) Host(r *http.Request) string {
	if p == nil || p.host == "" && !p.forwarded {
		return r.Host
	}
	return p.find(r).host
}

// CheckTLS returns a [Refusal] with status 403 `tls_required` for a request that did not
// come over TLS, as [Proxies.Secure] says (ASVS 4.4.1). Its cause names the peer, whether it
// is trusted, the header that is missing or says otherwise, and the setting.
func (p *Proxies) CheckTLS(r *http.Request) error {
	c := p.find(r)
	if c.secure {
		return nil
	}
	return &Refusal{Status: http.StatusForbidden, Reason: ReasonTLSRequired, Err: p.plaintextCause(r, c)}
}

type proxiedKey struct{}

// proxied is the client that the Handler of a Proxies found. Another Proxies, which may trust other
// addresses, searches again.
type proxied struct {
	by *Proxies
	client
}

// Handler finds the client once for the inner layers: mount it outside [AccessLog] and
// [RateLimit], which use it, and outside layers that overwrite RemoteAddr. [Headers] may be
// on either side.
func (p *Proxies) Handler(next http.Handler) http.Handler {
	return &layer{next: next, middleware: p.Handler, HandlerFunc: func(w http.ResponseWriter, r *http.Request) {
		found := &proxied{p, p.find(r)}
		tellHeaders(w, r, p, found.secure)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), proxiedKey{}, found)))
	}}
}
