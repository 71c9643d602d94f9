package ticket

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/securews/securews/internal/opening"
)

const (
	prefix    = opening.TicketPrefix
	parameter = "ticket" // of the query
	size      = 32       // bytes
)

var (
	errSeveral      = errors.New("more than one ticket")
	errUnreadable   = errors.New("a ticket that cannot be read")
	errAlone        = errors.New("a ticket without a real subprotocol beside it")
	errNotHandshake = errors.New("a ticket on a request that opens no WebSocket")
)

// found is what a request carries in the way of tickets: where they are in the store, not
// what they are.
type found struct {
	keys []string // at most two: what is more is not worth burning
	flaw error    // why they cannot be redeemed, though they shall be burned
}

type foundKey struct{} // *found, in the context of a stripped request

// find returns the request without its tickets, and those; nil where there are none. In a
// request that is no handshake the query may be another's, as CAS has a ticket there. It is
// taken for ours where the path ends in that of the route: further out, where this is cut,
// an http.StripPrefix may be still to come.
func find(r *http.Request, path string) (*http.Request, *found) {
	earlier, _ := r.Context().Value(foundKey{}).(*found)
	handshake := opening.IsHandshake(r)
	if r.URL == nil || !handshake && (path == "" || !strings.HasSuffix(r.URL.Path, path)) {
		return r, earlier
	}
	bare, offered := opening.StripSubprotocols(r, prefix)
	bare, queried := cutQuery(bare)
	if len(offered)+len(queried) == 0 {
		return r, earlier
	}
	f := &found{}
	if earlier != nil {
		f.keys, f.flaw = slices.Clone(earlier.keys), errSeveral
	}
	for _, s := range offered {
		f.add(strings.CutPrefix(s, prefix))
	}
	for _, s := range queried {
		plain, err := url.QueryUnescape(s) // %41 is A (RFC 3986 §6.2.2.2)
		f.add(plain, err == nil)
	}
	switch {
	case f.flaw != nil:
	case !handshake || r.Method != http.MethodGet:
		f.flaw = errNotHandshake
	case len(offered) > 0 && !opening.OffersSubprotocol(bare):
		f.flaw = errAlone
	}
	return bare, f
}

func (f *found) add(ticket string, readable bool) {
	if len(f.keys) > 0 || f.flaw != nil {
		f.flaw = errSeveral
	}
	key, ok := keyOf(ticket)
	switch {
	case !ok || !readable:
		f.flaw = cmp.Or(f.flaw, errUnreadable)
	case len(f.keys) < 2 && !slices.Contains(f.keys, key):
		f.keys = append(f.keys, key)
	}
}

// keyOf returns the key that the ticket is stored under; false where it is no ticket:
// 32 bytes in canonical base64url (RFC 4648 §5, §3.5).
func keyOf(ticket string) (string, bool) {
	var raw [size + 1]byte
	if len(ticket) != base64.RawURLEncoding.EncodedLen(size) || strings.ContainsAny(ticket, "\r\n") {
		return "", false
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(ticket)); err != nil || n != size {
		return "", false
	}
	sum := sha256.Sum256([]byte(ticket))
	return base64.RawURLEncoding.EncodeToString(sum[:]), true
}

// cutQuery returns the request without the ticket in its query, and what that was: in URL,
// RequestURI, and in Form where somebody has parsed it already.
func cutQuery(r *http.Request) (*http.Request, []string) {
	query, cut := withoutParameter(r.URL.RawQuery)
	if len(cut) == 0 {
		return r, nil
	}
	rest := r.WithContext(r.Context())
	u := *r.URL
	u.RawQuery = query
	rest.URL = &u
	if target, raw, ok := strings.Cut(r.RequestURI, "?"); ok {
		rest.RequestURI = target
		if raw, _ = withoutParameter(raw); raw != "" {
			rest.RequestURI += "?" + raw
		}
	}
	rest.Form = maps.Clone(r.Form)
	delete(rest.Form, parameter)
	return rest, cut
}

// withoutParameter drops the tickets from a query and leaves the rest as it was written.
func withoutParameter(query string) (rest string, cut []string) {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil && plain == parameter {
			cut = append(cut, value)
		} else {
			kept = append(kept, pair)
		}
	}
	if len(cut) == 0 {
		return query, nil
	}
	return strings.Join(kept, "&"), cut
}

// Stripped is [middleware.Stripper]'s: the request without its tickets in
// Sec-WebSocket-Protocol, URL and RequestURI. What goes on in the context is the hash.
//
// Tickets are cut from every handshake, and from every other request whose path is, or ends
// in, Config.Path. They are redeemed on that path alone.
func (t *Tickets) Stripped(r *http.Request) *http.Request {
	bare, f := find(r, t.path())
	if bare == r {
		return r
	}
	return bare.WithContext(context.WithValue(bare.Context(), foundKey{}, f))
}
