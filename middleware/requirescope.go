package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

var (
	errNoAuth   = errors.New("middleware: RequireScope: no Auth is in front of it")
	errNoScopes = errors.New("middleware: RequireScope: no scope is named, so every request is refused")
)

// RequireScope admits a request if its principal has every one of the scopes. It refuses any
// other with 403 `insufficient_scope` and the challenge of RFC 6750 §3.1, or with 401
// `no_credential` if no [Auth] is in front. Without scopes, as of an empty list from a file, it
// refuses every request with 403 `forbidden`.
func RequireScope(scopes ...string) Middleware {
	missing := fmt.Sprintf(`error="insufficient_scope", scope=%q`, strings.Join(scopes, " "))
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			v, ok := VoucherFrom(r.Context())
			if !ok {
				Refuse(w, r, Unauthorized(ReasonNoCredential, errNoAuth))
				return
			}
			if len(scopes) == 0 {
				Refuse(w, r, Forbidden(errNoScopes))
				return
			}
			for _, s := range scopes {
				if !v.principal.HasScope(s) {
					Refuse(w, r, &Refusal{
						Status: http.StatusForbidden, Reason: ReasonInsufficientScope,
						Header: http.Header{"Www-Authenticate": {bearerChallenge(v, missing)}},
						Err:    fmt.Errorf("middleware: scope: %q is missing", s),
					})
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// bearerChallenge adds the parameters to the Auth's challenge for bearer tokens, if it has one.
func bearerChallenge(v *Voucher, parameters string) string {
	for _, c := range v.auth.challenges {
		if strings.HasPrefix(c, "Bearer ") {
			return c + ", " + parameters
		}
	}
	return "Bearer " + parameters
}
