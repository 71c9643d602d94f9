package middleware

import "net/http"

// layer is the handler of a Middleware that shows the next handler.
type layer struct {
	http.HandlerFunc
	next    http.Handler
	again   Middleware // the same layer, for another handler
	headers bool       // it is a Headers
}

// outerLayers returns the layers in front of h up to the first Headers, the outermost first.
// It ends at any other handler, such as a router.
func outerLayers(h http.Handler) (outermostFirst []Middleware, headers bool) {
	for {
		l, ok := h.(*layer)
		if !ok {
			return outermostFirst, false
		}
		outermostFirst = append(outermostFirst, l.again)
		if l.headers {
			return outermostFirst, true
		}
		h = l.next
	}
}
