package middleware

import "net/http"

// Stripper is an [Authenticator] whose credential may stand where others would see it: in
// a subprotocol, or in the query of a handshake.
type Stripper interface {
	// Stripped returns the request without the credential in its header and URL, such
	// that Authenticate finds it all the same; r itself where there is none. It does
	// not change r, and decides nothing.
	Stripped(r *http.Request) *http.Request
}

// Stripped returns the request without what its [Stripper] authenticators find in header
// and URL. [Auth.Authenticate] and [Auth.Handler] go on with such a request; it is for
// handlers that look at the request before.
func (a *Auth) Stripped(r *http.Request) *http.Request {
	if a == nil {
		return r
	}
	for _, s := range a.strippers {
		r = s.Stripped(r)
	}
	return r
}

// Strip lets every request through without the credentials that stand in its header and
// URL, see [Stripper]. Mount it outside a logger that writes queries or subprotocols;
// [AccessLog] writes neither. Who the request is from is decided further in.
func (a *Auth) Strip(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, a.Stripped(r))
	})
}
