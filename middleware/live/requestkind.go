package live

import (
	"net/http"

	"github.com/securews/securews/internal/method"
)

// requestKind is the property of a request on which the end of its response depends.
type requestKind uint8

const (
	unsafeRequest requestKind = iota // it may have an effect (RFC 9110 §9.2.1)
	safeRequest
	headRequest   // safe, and without a body in its response
	tunnelRequest // CONNECT
)

func requestKindOf(r *http.Request) requestKind {
	switch {
	case r.Method == http.MethodConnect:
		return tunnelRequest
	case r.Method == http.MethodHead:
		return headRequest
	case method.IsSafe(r.Method):
		return safeRequest
	}
	return unsafeRequest
}

func (k requestKind) isSafe() bool { return k == safeRequest || k == headRequest }
