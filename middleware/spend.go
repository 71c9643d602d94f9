package middleware

import "net/http"

// Consumer is an [Authenticator] whose credential is good once, and used up by a wrong use,
// too.
type Consumer interface {
	// Consume uses up the credentials of this kind in a request that is refused before
	// anybody asks who it is from, so that they are good for no later one. It costs a
	// request without any nothing, takes no longer than Authenticate, and has no answer:
	// the request is refused anyway.
	Consume(r *http.Request)
}

// Consume uses up what is good once in a request that is refused for another reason, see
// [Consumer], unless this Auth has vouched for the request. ws.Handler calls it for what is
// no proper handshake of its route. It is for handlers that refuse a request as wrong
// before they come to [Auth.Authenticate], which spends by itself; a request that is right
// and comes at the wrong time keeps its credential.
func (a *Auth) Consume(r *http.Request) {
	if a == nil {
		return
	}
	if v := voucherFrom(r.Context()); v != nil && v.by == a {
		return
	}
	consume(r, a.list)
}

func consume(r *http.Request, list []Authenticator) {
	for _, x := range list {
		if s, ok := x.(Consumer); ok {
			s.Consume(r)
		}
	}
}
