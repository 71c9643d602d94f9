package live

import (
	"net/http"

	"github.com/securews/securews/internal/savedheader"
)

// outerHeader is the header of a response as the layers in front left it. A problem in place of
// the handler's response has that header, since a cookie or a validator of the handler's
// would be about another body.
type outerHeader struct{ fields savedheader.Fields }

// The two values of response.outerHeader that are not of the pool.
var (
	noOuterHeader = new(outerHeader) // the header was empty
	notKept       = new(outerHeader) // no problem can take the place of the response any more
)

// maxPooled bounds the fields for which a value is kept in the pool.
const maxPooled = 64

// Header implements http.ResponseWriter. The first call keeps the header of the layers in
// front, before the handler can change it.
func (w *response) Header() http.Header {
	h := w.ResponseWriter.Header()
	if w.outerHeader.Load() == nil && !w.wroteHeader.Load() {
		w.keepHeader(h)
	}
	return h
}

func (w *response) keepHeader(h http.Header) {
	b := noOuterHeader
	if len(h) > 0 {
		b, _ = w.layer.headers.Get().(*outerHeader)
		if b == nil {
			b = new(outerHeader)
		}
		b.fields = b.fields.Append(h)
	}
	if !w.outerHeader.CompareAndSwap(nil, b) {
		w.layer.free(b)
	}
}

// restoreHeader undoes the changes of the handler.
func (w *response) restoreHeader() {
	if b := w.outerHeader.Load(); b != nil { // nil: it did not ask for the header
		b.fields.Restore(w.ResponseWriter.Header())
	}
}

// free takes a value back. Nothing else refers to it.
func (l *layer) free(b *outerHeader) {
	if b == nil || b == noOuterHeader || b == notKept || cap(b.fields) > maxPooled {
		return
	}
	b.fields = b.fields[:0] // the strings stay until the pool is emptied, at a garbage collection
	l.headers.Put(b)
}
