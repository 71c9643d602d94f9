package bearer

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/middleware"
)

var (
	errInQuery  = errors.New("a token in the query")
	errSeveral  = errors.New("several Authorization headers")
	errReadable = errors.New("an Authorization header that cannot be read")
)

// credential returns the request's bearer token. Only the Authorization header counts
// (RFC 6750 §2.1), and a subprotocol if that is allowed; a form body is never read. A
// token in the query is an error, because it has already leaked into logs on its way
// (RFC 6750 §5.3).
func credential(r *http.Request, allowOffered bool) (string, error) {
	if r.URL != nil && inQuery(r.URL.RawQuery) {
		return "", errInQuery
	}
	values := r.Header["Authorization"]
	if allowOffered {
		if _, o := findOffered(r); o != nil {
			if len(values) > 0 {
				return "", errTwoPlaces
			}
			return o.token, o.flaw
		}
	}
	switch len(values) {
	case 0:
		return "", middleware.ErrNoCredential
	case 1:
		return parseAuthorization(values[0])
	default:
		return "", errSeveral // RFC 9110 §5.3: it is not a list
	}
}

// parseAuthorization reads `Bearer` 1*SP b64token (RFC 6750 §2.1), the scheme in any
// letter case (RFC 9110 §11.1). Another scheme belongs to another Authenticator.
func parseAuthorization(value string) (string, error) {
	scheme, rest, _ := strings.Cut(value, " ")
	if !opening.IsToken(scheme) {
		return "", errReadable
	}
	if !strings.EqualFold(scheme, "Bearer") {
		return "", middleware.ErrNoCredential
	}
	token := strings.TrimLeft(rest, " ")
	if !isB64Token(token) {
		return "", errReadable
	}
	return token, nil
}

// isB64Token follows RFC 6750 §2.1.
func isB64Token(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && strings.IndexByte("-._~+/", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// inQuery reports whether the query has a parameter access_token, however encoded.
func inQuery(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, _, _ := strings.Cut(pair, "=")
		if strings.IndexByte(name, '%') >= 0 {
			if plain, err := url.QueryUnescape(name); err == nil {
				name = plain
			}
		}
		if name == "access_token" {
			return true
		}
	}
	return false
}
