package middleware

import (
	"net/http"

	"github.com/securews/securews/internal/bounded"
)

// Stripped returns the request without what its [Stripper] authenticators find in header
// and URL. [Auth.Admit] and [Auth.Handler] continue with such a request; Stripped is for
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

func (a *Auth) strip(r *http.Request) (stripped *http.Request, err error) {
	stripped = r
	defer bounded.Contain(&err)
	return a.Stripped(r), nil
}

// Strip lets every request through without the credentials that stand in its header and
// URL, see [Stripper]. Mount it outside a logger that writes queries or subprotocols;
// [AccessLog] writes neither. It does not authenticate.
func (a *Auth) Strip(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, err := a.strip(r)
		if err != nil {
			Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
