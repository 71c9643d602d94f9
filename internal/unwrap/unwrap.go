// Package unwrap looks through the layers of a response writer, as [http.ResponseController]
// does, for methods that the controller does not know.
package unwrap

import "net/http"

// As returns the outermost writer that is a T.
func As[T any](w http.ResponseWriter) (found T, ok bool) {
	for ; w != nil; w = inside(w) {
		if found, ok = w.(T); ok {
			return found, true
		}
	}
	return found, false
}

// Innermost returns the writer that hides no other, or one that hides it without Unwrap.
func Innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := w.(unwrapper)
		if !ok {
			return w
		}
		w = u.Unwrap()
	}
}

type unwrapper interface{ Unwrap() http.ResponseWriter }

func inside(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(unwrapper); ok {
		return u.Unwrap()
	}
	return nil
}
