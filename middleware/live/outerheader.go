package live

import (
	"net/http"
	"sync"

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

// outerHeaders keeps values for further responses. The zero value is ready.
type outerHeaders struct{ pool sync.Pool } // of *outerHeader

// copyOf returns a value with the fields of h.
func (x *outerHeaders) copyOf(h http.Header) *outerHeader {
	if len(h) == 0 {
		return noOuterHeader
	}
	b, _ := x.pool.Get().(*outerHeader)
	if b == nil {
		b = new(outerHeader)
	}
	b.fields = b.fields.Append(h)
	return b
}

// free takes a value back. Nothing else refers to it.
func (x *outerHeaders) free(b *outerHeader) {
	if b == nil || b == noOuterHeader || b == notKept || cap(b.fields) > maxPooled {
		return
	}
	b.fields = b.fields[:0] // the strings stay until the pool is emptied, at a garbage collection
	x.pool.Put(b)
}
