package bearer

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/securews/securews/internal/opening"
)

// offeredPrefix begins a subprotocol that is a token, as in Kubernetes.
const offeredPrefix = opening.BearerPrefix

var (
	errTwoPlaces = errors.New("a token both in Authorization and in a subprotocol")
	errOffered   = errors.New("tokens in two subprotocols, or one that cannot be read")
	errAlone     = errors.New("a token in a subprotocol, and no real one beside it")
	errElsewhere = errors.New("a token in a subprotocol of a request that opens no WebSocket")
)

// offered is a token that a handshake named among its subprotocols.
type offered struct {
	token string
	flaw  error
}

type offeredKey struct{} // *offered, in the context of a stripped request

// findOffered returns the request without the tokens among its subprotocols, and the token;
// nil if there is none. They are stripped from every request: a handshake may have lost its
// Upgrade on the way, and in other requests the header has no meaning.
func findOffered(r *http.Request) (*http.Request, *offered) {
	earlier, _ := r.Context().Value(offeredKey{}).(*offered)
	stripped, found := opening.StripSubprotocols(r, offeredPrefix)
	if len(found) == 0 {
		return r, earlier
	}
	token, ok := unwrap(found[0])
	switch {
	case earlier != nil || len(found) > 1 || !ok:
		return stripped, &offered{flaw: errOffered}
	case r.Method != http.MethodGet || !opening.IsHandshake(r):
		return stripped, &offered{flaw: errElsewhere}
	case !opening.OffersSubprotocol(stripped):
		return stripped, &offered{flaw: errAlone}
	}
	return stripped, &offered{token: token}
}

// unwrap returns the token in a subprotocol: canonical base64url (RFC 4648 §5, §3.5) of a
// b64token.
func unwrap(subprotocol string) (string, bool) {
	encoded, ok := strings.CutPrefix(subprotocol, offeredPrefix)
	if !ok || strings.ContainsAny(encoded, "\r\n") || len(encoded) > base64.RawURLEncoding.EncodedLen(maxMaxBytes) {
		return "", false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || !isB64Token(string(raw)) {
		return "", false
	}
	return string(raw), true
}

func (a *Authenticator) takesOffered() bool { return a != nil && a.rules.fromSubprotocol }

// Stripped is [middleware.Stripper]'s: the request without the tokens among its
// subprotocols, if Config.FromSubprotocol is set.
func (a *Authenticator) Stripped(r *http.Request) *http.Request {
	return stripOffered(r, a.takesOffered())
}

func stripOffered(r *http.Request, takes bool) *http.Request {
	if !takes {
		return r
	}
	stripped, o := findOffered(r)
	if stripped == r {
		return r
	}
	return stripped.WithContext(context.WithValue(stripped.Context(), offeredKey{}, o))
}
