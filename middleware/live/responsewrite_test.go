package live

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// io.Copy reaches the ReadFrom of net/http, with the source itself, so that it can use
// sendfile.
func TestReadFromIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	src := strings.NewReader(strings.Repeat("a", 1<<20))
	to := &readerFrom{ResponseWriter: &discard{http.Header{}}}
	w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if n, err := rw.(io.ReaderFrom).ReadFrom(io.LimitReader(src, 1_000_000)); n != 1_000_000 || err != nil {
			t.Error(n, err)
		}
	})).ServeHTTP(to, request("session", http.MethodGet))
	if to.n != 1_000_000 || to.source != io.Reader(src) {
		t.Errorf("%d B from %T", to.n, to.source)
	}
	w.settled()
}
