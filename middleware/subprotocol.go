package middleware

import (
	"maps"
	"net/http"
	"strings"
)

// What the subprotocols begin with that are credentials: those of package ticket, and those
// of package bearer.
const (
	TicketSubprotocol = "ticket."
	BearerSubprotocol = "base64url.bearer.authorization.securews."
)

const subprotocolHeader = "Sec-Websocket-Protocol"

// CutSubprotocols returns the request without the subprotocols of its handshake that
// begin with prefix, whatever their letter case, and those. Browsers can put a credential
// nowhere else (RFC 6455 §4.1, Sec-WebSocket-Protocol), and it must not stay there: what
// stands in that header is negotiated, echoed and logged. r is not changed, and returned
// as it is where there is nothing to cut.
func CutSubprotocols(r *http.Request, prefix string) (rest *http.Request, cut []string) {
	var kept []string
	for _, line := range r.Header[subprotocolHeader] {
		var others []string
		before := len(cut)
		for element := range strings.SplitSeq(line, ",") {
			// TrimSpace, because coder/websocket ignores a no-break space, too.
			if bare := strings.TrimSpace(element); begins(bare, prefix) {
				cut = append(cut, bare)
			} else {
				others = append(others, strings.Trim(element, " \t"))
			}
		}
		switch {
		case len(cut) == before:
			kept = append(kept, line)
		case len(others) > 0:
			kept = append(kept, strings.Join(others, ", "))
		}
	}
	if len(cut) == 0 {
		return r, nil
	}
	rest = r.WithContext(r.Context())
	rest.Header = maps.Clone(r.Header)
	if len(kept) == 0 {
		delete(rest.Header, subprotocolHeader)
	} else {
		rest.Header[subprotocolHeader] = kept
	}
	return rest, cut
}

// OffersSubprotocol reports whether a handshake offers a real subprotocol: a token
// (RFC 6455 §4.1) that is no credential of this module. A browser fails where it offers
// some and none is selected, so that a credential among them needs a real one beside it.
func OffersSubprotocol(r *http.Request) bool {
	for _, line := range r.Header[subprotocolHeader] {
		for element := range strings.SplitSeq(line, ",") {
			s := strings.Trim(element, " \t")
			if isToken(s) && !begins(s, TicketSubprotocol) && !begins(s, BearerSubprotocol) {
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
