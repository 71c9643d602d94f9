package middleware

import (
	"errors"
	"fmt"
	"net/http"
)

var (
	errNoAuthForRole = errors.New("middleware: RequireRole: no Auth is in front of it")
	errNoRoles       = errors.New("middleware: RequireRole: no role is named, so every request is refused")
)

// RequireRole admits a request if its principal has every one of the roles. It refuses any other
// with 403 `forbidden`, or with 401 `no_credential` if no [Auth] is in front. Without roles, as of an
// empty list from a file, it refuses every request. To admit a principal that has one of several roles, test
// [Principal.HasRole] in a layer of your own.
func RequireRole(roles ...string) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			v, ok := VoucherFrom(r.Context())
			if !ok {
				Refuse(w, r, Unauthorized(ReasonNoCredential, errNoAuthForRole))
				return
			}
			if len(roles) == 0 {
				Refuse(w, r, Forbidden(errNoRoles))
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
