// Package opening has the syntax of a WebSocket opening handshake that several packages of
// this module read (RFC 6455 §4).
package opening

import (
	"maps"
	"net/http"
	"strings"
)

// The prefixes of subprotocols that are credentials: of package ticket and of package
// bearer.
const (
	TicketPrefix = "ticket."
	BearerPrefix = "base64url.bearer.authorization.securews."
)

// Subprotocols is the canonical key of Sec-WebSocket-Protocol in a header.
const Subprotocols = "Sec-Websocket-Protocol"

// IsHandshake reports whether the request asks for a WebSocket: an Upgrade header that
// names it (RFC 6455 §4.2.1), or an extended CONNECT (RFC 8441 §4). It requires no more, so
// that a request which is malformed otherwise is still guarded as a handshake.
func IsHandshake(r *http.Request) bool {
	return NamesWebSocket(r.Header["Upgrade"]) || IsExtendedConnect(r)
}

// NamesWebSocket reports whether the lines of an Upgrade header name the WebSocket protocol.
func NamesWebSocket(upgrade []string) bool {
	for _, line := range upgrade {
		if line == "websocket" { // the spelling of browsers
			return true
		}
		for token := range strings.SplitSeq(line, ",") {
			// TrimSpace, because coder/websocket also upgrades after a no-break space.
			name, _, _ := strings.Cut(strings.TrimSpace(token), "/")
			if strings.EqualFold(name, "websocket") {
				return true
			}
		}
	}
	return false
}

// IsExtendedConnect reports whether the request is an extended CONNECT (RFC 8441), which
// net/http shows by the pseudo-header that it keeps.
func IsExtendedConnect(r *http.Request) bool {
	return r.Method == http.MethodConnect && len(r.Header[":protocol"]) > 0
}

// StripSubprotocols returns the request without the subprotocols that begin with prefix,
// in any letter case, and those subprotocols. A browser can put a credential nowhere else,
// and it must not stay there: that header is negotiated, echoed and logged. r is not
// changed; without such a subprotocol it is returned itself.
func StripSubprotocols(r *http.Request, prefix string) (stripped *http.Request, found []string) {
	var kept []string
	for _, line := range r.Header[Subprotocols] {
		var others []string
		before := len(found)
		for element := range strings.SplitSeq(line, ",") {
			// TrimSpace, because coder/websocket also ignores a no-break space.
			if s := strings.TrimSpace(element); begins(s, prefix) {
				found = append(found, s)
			} else {
				others = append(others, strings.Trim(element, " \t"))
			}
		}
		switch {
		case len(found) == before:
			kept = append(kept, line)
		case len(others) > 0:
			kept = append(kept, strings.Join(others, ", "))
		}
	}
	if len(found) == 0 {
		return r, nil
	}
	stripped = r.WithContext(r.Context())
	stripped.Header = maps.Clone(r.Header)
	if len(kept) == 0 {
		delete(stripped.Header, Subprotocols)
	} else {
		stripped.Header[Subprotocols] = kept
	}
	return stripped, found
}

// OffersSubprotocol reports whether a handshake offers a subprotocol that is a token
// (RFC 6455 §4.1) and not a credential of this module. A browser fails a connection for
// which it offers subprotocols and none is selected, so a credential among them needs
// another one beside it.
func OffersSubprotocol(r *http.Request) bool {
	for _, line := range r.Header[Subprotocols] {
		for element := range strings.SplitSeq(line, ",") {
			s := strings.Trim(element, " \t")
			if IsToken(s) && !begins(s, TicketPrefix) && !begins(s, BearerPrefix) {
				return true
			}
		}
	}
	return false
}

// begins compares without regard to letter case.
func begins(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// IsToken reports whether s is a token (RFC 9110 §5.6.2).
func IsToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		alphanumeric := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
