package middleware

import (
	"errors"
	"fmt"
	"net/http"
)

var errNoAuthForRole = errors.New("middleware: RequireRole: no Auth is in front of it")

// RequireRole refuses a request whose principal lacks any of the roles: 403 `forbidden`, or 401
// without an outer [Auth]. To admit each of several roles, test [Principal.HasRole] in a layer
// of your own.
func RequireRole(roles ...string) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			v, ok := VoucherFrom(r.Context())
			if !ok {
				Refuse(w, r, Unauthorized(ReasonNoCredential, errNoAuthForRole))
				return
			}
			for _, role := range roles {
				if !v.principal.HasRole(role) {
					Refuse(w, r, Forbidden(fmt.Errorf("middleware: role: %q is missing", role)))
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}
