package middleware

import (
	"fmt"
	"net/http"
	"strings"
)

// plaintextCause says why a request counts as one without TLS: the peer, whether it is
// trusted, and the header that is missing or says otherwise. A client chooses how often that
// happens, so the text is formatted only if the log asks for it.
type plaintextCause struct {
	peer    peer
	remote  string   // RemoteAddr as it stands
	header  string   // that the policy reads
	lines   []string // its values
	said    saidScheme
	other   string // a header with a similar meaning that the request has
	nothing bool   // a nil or zero Proxies
}

func (p *Proxies) plaintextCause(r *http.Request, h hop) error {
	c := &plaintextCause{peer: h.peer, remote: r.RemoteAddr, header: forwardedProto, said: h.said}
	switch {
	case p == nil || len(p.trusted) == 0 && !p.unix:
		c.nothing = true
	case p.forwarded:
		c.header = "Forwarded"
	default:
		c.header = p.scheme
	}
	c.lines = r.Header[c.header]
	c.other = otherScheme(r.Header, c.header)
	return c
}

// schemeHeaders are those by which proxies and platforms say that a client used TLS.
var schemeHeaders = [...]string{
	"Forwarded", forwardedProto, "X-Forwarded-Ssl", "X-Forwarded-Scheme", "Front-End-Https", "Cloudfront-Forwarded-Proto", "Cf-Visitor",
}

// otherScheme returns the name of a header of the request with such a meaning that is not
// read.
func otherScheme(h http.Header, read string) string {
	for _, name := range schemeHeaders {
		if name != read && len(h[name]) > 0 {
			return name
		}
	}
	return ""
}

func (c *plaintextCause) Error() string {
	const plain = "middleware: Proxies: the request came without TLS: "
	switch {
	case c.peer.kind == peerHidden:
		return plain + fmt.Sprintf("RemoteAddr %.80q has no port, so a layer in front has overwritten it, and the peer is not known: mount Proxies.Handler in place of that layer, or outside it", c.remote)
	case c.nothing:
		return plain + c.name() + " is the peer, and no proxy is named" + c.ignored() + ": if it is a proxy that ends TLS, name it in ProxiesConfig.Trusted"
	case !c.peer.trusted:
		return plain + c.name() + " is the peer, and ProxiesConfig.Trusted does not name it" + c.ignored() + ": " + c.entry()
	case c.said == saidNothing:
		return plain + c.name() + " is the peer, which ProxiesConfig.Trusted names, and " + "sends no " + c.header + ": " + c.missing()
	}
	says := " says so: "
	if c.said == saidUnclear {
		says = " cannot be read, or says several things: "
	}
	return plain + c.name() + " is the peer, which ProxiesConfig.Trusted names, and its " + c.header + says + quoted(c.lines)
}

func (c *plaintextCause) name() string {
	switch {
	case c.peer.kind == peerUnix:
		return "a Unix socket"
	case c.peer.addr.IsValid():
		return c.peer.addr.String()
	}
	return fmt.Sprintf("%.80q", c.remote)
}

// entry says what to add to ProxiesConfig.Trusted for this peer.
func (c *plaintextCause) entry() string {
	if c.peer.kind == peerUnix {
		return `if the proxy connects to that socket, add "unix"`
	}
	return fmt.Sprintf("if it is a proxy that ends TLS, add %q, or the prefix of your proxies", c.peer.addr)
}

// ignored names the headers that the peer sent to no effect.
func (c *plaintextCause) ignored() string {
	switch {
	case len(c.lines) > 0:
		return ", so its " + c.header + " does not count: " + quoted(c.lines)
	case c.other != "":
		return ", so its " + c.other + " does not count"
	}
	return ""
}

// missing says how a trusted proxy comes to name the scheme.
func (c *plaintextCause) missing() string {
	switch {
	case c.header == "Forwarded" && len(c.lines) > 0:
		return "its Forwarded has no proto: let the proxy set it"
	case c.header == "Forwarded":
		return "let the proxy set it, or remove ProxiesConfig.Forwarded if it sets X-Forwarded-Proto"
	case c.other == "Forwarded":
		return "it sends Forwarded; if that is the proxy's own word, set ProxiesConfig.Forwarded"
	case c.other != "":
		return "it sends " + c.other + "; if that is the proxy's own word, name it in ProxiesConfig.SchemeHeader"
	}
	return "let the proxy set it (nginx: proxy_set_header X-Forwarded-Proto $scheme), or name its own header in ProxiesConfig.SchemeHeader"
}

// quoted is for values that a client may have written.
func quoted(lines []string) string { return fmt.Sprintf("%.160q", strings.Join(lines, ", ")) }

// unreadHostCause adds to the fault of a Host that the proxy in front names another one,
// which no setting lets count.
type unreadHostCause struct {
	why       error
	forwarded string
}

func (c *unreadHostCause) Error() string {
	return fmt.Sprintf("%v; X-Forwarded-Host %.80q does not count: if a proxy of yours writes it, set ProxiesConfig.HostHeader and HostPolicy.Behind", c.why, c.forwarded)
}

func (c *unreadHostCause) Unwrap() error { return c.why }
