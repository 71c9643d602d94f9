package middleware

import (
	"fmt"
	"net/http"
)

// Middleware is a layer in front of a handler. It is an alias, so that chi's Use
// and With, and those of every other router, accept it without a conversion.
type Middleware = func(http.Handler) http.Handler

// Chain puts layers in front of h; the first named sees a request first. It panics if one is nil.
func Chain(h http.Handler, outermostFirst ...Middleware) http.Handler {
	for i := len(outermostFirst) - 1; i >= 0; i-- {
		if outermostFirst[i] == nil {
			panic(fmt.Sprintf("middleware: Chain: layer %d of %d is nil", i+1, len(outermostFirst)))
		}
		h = outermostFirst[i](h)
	}
	return h
}
