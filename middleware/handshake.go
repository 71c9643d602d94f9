package middleware

import (
	"net/http"
	"strings"
)

// IsHandshake reports whether the request asks for a WebSocket: an Upgrade header
// that names it (RFC 6455 §4.2.1), or an extended CONNECT (RFC 8441 §4). It asks
// for no more than that, so that a request which is malformed otherwise is still
// guarded as the handshake it tries to be.
func IsHandshake(r *http.Request) bool {
	for _, line := range r.Header["Upgrade"] {
		for token := range strings.SplitSeq(line, ",") {
			// TrimSpace, because coder/websocket upgrades after a no-break space, too.
			name, _, _ := strings.Cut(strings.TrimSpace(token), "/")
			if strings.EqualFold(name, "websocket") {
				return true
			}
		}
	}
	return IsExtendedConnect(r)
}

// IsExtendedConnect reports whether the request is an extended CONNECT (RFC 8441),
// which net/http shows by the pseudo-header it keeps.
func IsExtendedConnect(r *http.Request) bool {
	return r.Method == http.MethodConnect && len(r.Header[":protocol"]) > 0
}

// isSafe follows RFC 9110 §9.2.1.
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}
