package middleware

import (
	"maps"
	"net/http"
	"strings"
)

// CutSubprotocols returns the request without the subprotocols of its handshake that
// begin with prefix, whatever their letter case, and those. Browsers can put a credential
// nowhere else (RFC 6455 §4.1, Sec-WebSocket-Protocol), and it must not stay there: what
// stands in that header is negotiated, echoed and logged. r is not changed, and returned
// as it is where there is nothing to cut.
func CutSubprotocols(r *http.Request, prefix string) (rest *http.Request, cut []string) {
	const name = "Sec-Websocket-Protocol"
	var kept []string
	for _, line := range r.Header[name] {
		var others []string
		before := len(cut)
		for element := range strings.SplitSeq(line, ",") {
			// TrimSpace, because coder/websocket ignores a no-break space, too.
			bare := strings.TrimSpace(element)
			if len(bare) >= len(prefix) && strings.EqualFold(bare[:len(prefix)], prefix) {
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
		delete(rest.Header, name)
	} else {
		rest.Header[name] = kept
	}
	return rest, cut
}
