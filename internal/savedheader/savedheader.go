// Package savedheader keeps the header of a response as the layers in front left it, for a
// refusal in place of the handler's response.
package savedheader

import (
	"net/http"
	"slices"
)

// Fields are the fields of a header. A list is smaller than a map, and its memory can be used
// again. The values are shared with the header.
type Fields []field

type field struct {
	name   string
	values []string
}

// Append returns f with the fields of h appended.
func (f Fields) Append(h http.Header) Fields {
	f = slices.Grow(f, len(h))
	for name, values := range h {
		f = append(f, field{name, values})
	}
	return f
}

// Restore removes all fields of h, and sets those of f.
func (f Fields) Restore(h http.Header) {
	clear(h)
	for _, x := range f {
		h[x.name] = x.values
	}
}
