package middleware

import (
	"fmt"
	"net/http"
	"strings"
)

// plaintextCause is the cause of [Proxies.CheckTLS]. A client chooses how often a request is
// refused, so the text is formatted only if the log asks for it.
type plaintextCause struct {
	peer   peer
	remote string   // RemoteAddr
	header string   // the one that is read
	lines  []string // its values
	scheme clientScheme
	other  string // another header of the request that names the scheme
	none   bool   // no proxy is trusted: a nil or zero Proxies
}

func (p *Proxies) plaintextCause(r *http.Request, found client) error {
	c := &plaintextCause{peer: found.peer, remote: r.RemoteAddr, header: forwardedProto, scheme: found.scheme}
	switch {
	case p == nil || len(p.trusted) == 0 && !p.unix:
		c.none = true
	case p.forwarded:
		c.header = "Forwarded"
	default:
		c.header = p.scheme
	}
	c.lines = r.Header[c.header]
	c.other = firstOf(schemeHeaders, r.Header, c.header)
	return c
}

func (c *plaintextCause) Error() string {
	const plain = "middleware: Proxies: the request came without TLS: "
	switch {
	case c.peer.kind == peerHidden:
		return plain + fmt.Sprintf("RemoteAddr %.80q has no port, so a layer in front has overwritten it, and the peer is not known: "+
			"mount Proxies.Handler in place of that layer, or outside it", c.remote)
	case c.none:
		return plain + c.name() + " is the peer, and no proxy is named" + c.ignored() +
			": if it is a proxy that ends TLS, name it in ProxiesConfig.Trusted"
	case !c.peer.trusted:
		return plain + c.name() + " is the peer, and ProxiesConfig.Trusted does not name it" + c.ignored() + ": " + c.entry()
	case c.scheme == schemeMissing:
		return plain + c.name() + " is the peer, which ProxiesConfig.Trusted names, and " + c.missing()
	}
	says := " says so: "
	if c.scheme == schemeUnclear {
		says = " cannot be read, or has values that differ: "
	}
	return plain + c.name() + " is the peer, which ProxiesConfig.Trusted names, and its " + c.header + says + quoted(c.lines)
}

func (c *plaintextCause) name() string {
	if name := c.peer.name(); name != "" {
		return name
	}
	return fmt.Sprintf("%.80q", c.remote)
}

// name is "" if the peer has no address.
func (p peer) name() string {
	switch {
	case p.kind == peerUnix:
		return "a Unix socket"
	case p.addr.IsValid():
		return p.addr.String()
	}
	return ""
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

// missing says how to have the scheme of a trusted proxy read.
func (c *plaintextCause) missing() string {
	none := "sends no " + c.header + ": "
	switch {
	case c.header == "Forwarded" && len(c.lines) > 0:
		return "its Forwarded has no proto: let the proxy set it"
	case c.header == "Forwarded":
		return none + "let the proxy set it, or remove ProxiesConfig.Forwarded if it sets X-Forwarded-Proto"
	case c.other == "Forwarded":
		return none + "it sends Forwarded; if that is the proxy's own word, set ProxiesConfig.Forwarded"
	case c.other != "":
		return none + "it sends " + c.other + "; if that is the proxy's own word, name it in ProxiesConfig.SchemeHeader"
	}
	return none + "let the proxy set it (nginx: proxy_set_header X-Forwarded-Proto $scheme), or name its own " +
		"header in ProxiesConfig.SchemeHeader"
}

// quoted is for values that a client may have written.
func quoted(lines []string) string { return fmt.Sprintf("%.160q", strings.Join(lines, ", ")) }

// unreadHostCause adds to the fault of a Host that the request has an X-Forwarded-Host, which
// is not read.
type unreadHostCause struct {
	why       error
	forwarded string
}

func (c *unreadHostCause) Error() string {
	return fmt.Sprintf("%v; X-Forwarded-Host %.80q does not count: if a proxy of yours writes it, name that in ProxiesConfig.Trusted, "+
		"set ProxiesConfig.HostHeader, and use HostPolicy.Behind", c.why, c.forwarded)
}

func (c *unreadHostCause) Unwrap() error { return c.why }

// hostFrom returns the peer of the request and, if it is trusted, the header in which it
// has to name the host; "" if Host counts.
func (p *Proxies) hostFrom(r *http.Request) (from peer, header string) {
	from = p.find(r).peer
	if from.trusted && !p.forwarded {
		header = p.host
	}
	return from, header
}

// proxiedHostCause adds to the fault of a Host that a trusted proxy has sent it, and how
// that proxy sends the Host of the client.
type proxiedHostCause struct {
	why    error
	proxy  peer
	header string // ProxiesConfig.HostHeader
}

func (c *proxiedHostCause) Error() string {
	by := fmt.Sprintf("%v; %s is the peer, which ProxiesConfig.Trusted names, ", c.why, c.proxy.name())
	if c.header == "" {
		return by + "and if that proxy changes Host, let it keep the client's (nginx: proxy_set_header Host $http_host)"
	}
	return by + fmt.Sprintf("and sends no %s, so its Host counts: let the proxy set it (nginx: proxy_set_header %s $http_host), "+
		"or remove ProxiesConfig.HostHeader", c.header, c.header)
}

func (c *proxiedHostCause) Unwrap() error { return c.why }
