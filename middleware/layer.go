package middleware

import "net/http"

// layer is the handler of a Middleware. [NewServer] looks through layers, to put the same ones in
// front of a refusal of its own.
type layer struct {
	http.HandlerFunc
	next       http.Handler
	middleware Middleware // has made this layer
	headers    bool       // it is a Headers
}

// layered returns a Middleware whose handlers are layers. serve answers a request, or calls next.
func layered(serve func(w http.ResponseWriter, r *http.Request, next http.Handler)) Middleware {
	var m Middleware
	m = func(next http.Handler) http.Handler {
		return &layer{next: next, middleware: m, HandlerFunc: func(w http.ResponseWriter, r *http.Request) {
			serve(w, r, next)
		}}
	}
	return m
}

// outerLayers returns the layers in front of h up to the first Headers, the outermost first.
// It ends at any other handler, such as a router.
func outerLayers(h http.Handler) (outermostFirst []Middleware, headers bool) {
	for {
		l, ok := h.(*layer)
		if !ok {
			return outermostFirst, false
		}
		outermostFirst = append(outermostFirst, l.middleware)
		if l.headers {
			return outermostFirst, true
		}
		h = l.next
	}
}
