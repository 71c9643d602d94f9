package live

import (
	"compress/gzip"
	"io"
	"net/http"
	"testing"
	"time"
)

// zipped compresses the body, as a layer in front or behind does.
func zipped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(rw, gzip.NoCompression)
		next.ServeHTTP(&zipWriter{rw, z}, r)
		_ = z.Close()
	})
}

type zipWriter struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (w *zipWriter) Write(p []byte) (int, error) { return w.z.Write(p) }

func (w *zipWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// slow reads at most 13 MB/s.
type slow struct{ io.Reader }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(5 * time.Millisecond)
	return s.Reader.Read(p[:min(len(p), 64<<10)])
}

// One Write that is under way at the end is cut after the second grace, also if the client
// goes on reading.
func TestLargeWriteIsCut(t *testing.T) {
	t.Parallel()
	plain := func(h http.Handler) http.Handler { return h }
	for _, test := range []struct {
		name         string
		outer, inner func(http.Handler) http.Handler
	}{
		{"bare", plain, plain},
		{"compressed in front", zipped, plain},
		{"compressed behind", plain, zipped},
	} {
		t.Run(test.name, func(t *testing.T) {
			if testing.Short() && test.name != "bare" {
				t.Skip("every large write takes 10 s")
			}
			t.Parallel()
			bothHTTP(t, shortGrace, func(t *testing.T, w *world, kind string) {
				returned := make(chan error, 1)
				h := test.inner(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
					_, err := rw.Write(make([]byte, 32<<20))
					returned <- err
				}))
				s := serve(t, test.outer(w.front(h)), kind)
				res, _ := get(t, s, "session", http.MethodGet, "Accept-Encoding", "gzip")
				if res == nil {
					t.Fatal("no response")
				}
				defer res.Body.Close()
				if _, err := io.ReadFull(res.Body, make([]byte, 1<<20)); err != nil {
					t.Fatal(err)
				}
				if n := w.open.Load(); n != 1 {
					t.Errorf("%d members, want 1", n)
				}
				read := make(chan error, 1)
				go func() { _, err := io.Copy(io.Discard, slow{res.Body}); read <- err }()
				w.signOut("session")
				if err := received(t, "the Write", returned); err == nil {
					t.Error("all was written")
				}
				if err := received(t, "the client", read); err == nil {
					t.Error("the body looks complete")
				}
				w.settled()
			})
		})
	}
}
