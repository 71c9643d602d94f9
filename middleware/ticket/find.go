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

// found has the tickets of a request: their keys in the store, not the secrets.
type found struct {
	keys []string // at most two: further ones are not consumed
	flaw error    // why they are not accepted; they are consumed anyway
}

type foundKey struct{} // *found, in the context of a stripped request

// find returns the request without its tickets, and the tickets; nil if there are none. In
// a request other than a handshake the query may belong to other code: CAS has a parameter
// of this name. It is treated as a ticket if the path ends in that of the route, because
// an outer layer strips it, and an http.StripPrefix may follow.
func find(r *http.Request, path string) (*http.Request, *found) {
	earlier, _ := r.Context().Value(foundKey{}).(*found)
	handshake := opening.IsHandshake(r)
	if r.URL == nil || !handshake && (path == "" || !strings.HasSuffix(r.URL.Path, path)) {
		return r, earlier
	}
	stripped, offered := opening.StripSubprotocols(r, prefix)
	stripped, queried := stripQuery(stripped)
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
	case len(offered) > 0 && !opening.OffersSubprotocol(stripped):
		f.flaw = errAlone
	}
	return stripped, f
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

// keyOf returns the key that the ticket is stored under; false if it is not a ticket,
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

// stripQuery returns the request without the ticket in its query, and the values of that
// parameter. It strips URL and RequestURI, and Form if that has been parsed already.
func stripQuery(r *http.Request) (*http.Request, []string) {
	query, values := withoutParameter(r.URL.RawQuery)
	if len(values) == 0 {
		return r, nil
	}
	stripped := r.WithContext(r.Context())
	u := *r.URL
	u.RawQuery = query
	stripped.URL = &u
	if target, raw, ok := strings.Cut(r.RequestURI, "?"); ok {
		stripped.RequestURI = target
		if raw, _ = withoutParameter(raw); raw != "" {
			stripped.RequestURI += "?" + raw
		}
	}
	stripped.Form = maps.Clone(r.Form)
	delete(stripped.Form, parameter)
	return stripped, values
}

// withoutParameter returns the query without tickets, otherwise unchanged, and the values
// of their parameter.
func withoutParameter(query string) (stripped string, values []string) {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil && plain == parameter {
			values = append(values, value)
		} else {
			kept = append(kept, pair)
		}
	}
	if len(values) == 0 {
		return query, nil
	}
	return strings.Join(kept, "&"), values
}

// Stripped is [middleware.Stripper]'s: the request without its tickets in
// Sec-WebSocket-Protocol, URL and RequestURI. The context has their hashes.
//
// Tickets are stripped from every handshake, and from every other request whose path is, or
// ends in, Config.Path. They are accepted on that path only.
func (t *Tickets) Stripped(r *http.Request) *http.Request {
	stripped, f := find(r, t.path())
	if stripped == r {
		return r
	}
	return stripped.WithContext(context.WithValue(stripped.Context(), foundKey{}, f))
}
