// Package chirouter has examples of the layers of securews with the router
// github.com/go-chi/chi/v5. Its Use and With accept each layer without a conversion. The
// examples of the other packages are the same with http.ServeMux.
//
//	go test -v ./examples/chirouter
package chirouter
