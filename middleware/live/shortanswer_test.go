package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/securews/securews/middleware"
)

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// shortAnswer is a response that is not long enough to be counted.
type shortAnswer struct {
	name    string
	handler http.HandlerFunc
	outer   int // fields of the layers in front
	allocs  float64
}

var jsonType = []string{"application/json"}

var shortAnswers = []shortAnswer{
	{"a body", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "hello") }, 0, 2},
	{"a header and a body, 10 fields in front", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header()["Content-Type"] = jsonType
		_, _ = io.WriteString(rw, "hello")
	}, 10, 2},
	{"a body after Done, as a member", func(rw http.ResponseWriter, r *http.Request) {
		r.Context().Done()
		_, _ = io.WriteString(rw, "hello")
	}, 0, 9},
}

// prepare returns a function that serves one request, with or without the layer.
func (a shortAnswer) prepare(tb testing.TB, layer bool) (serve func()) {
	tb.Helper()
	g, err := New(Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	auth, err := middleware.NewAuth(newStore())
	if err != nil {
		tb.Fatal(err)
	}
	other := new(still) // the registry is not empty, and follows the Auth
	r := admitted(tb, auth)
	v, _ := middleware.VoucherFrom(r.Context())
	if err := errors.Join(g.Reserve(&other.Binding, r), other.Bind(r.Context(), v, other)); err != nil {
		tb.Fatal(err)
	}
	other.Open()
	tb.Cleanup(func() { other.Leave(nil) })
	r = admitted(tb, auth) // since it is followed, the Auth is not asked again
	h := http.Handler(a.handler)
	if layer {
		h = g.Handler(h)
	}
	w := &discard{http.Header{}}
	for i := range a.outer {
		w.header[fmt.Sprint("X-", i)] = jsonType
	}
	return func() { h.ServeHTTP(w, r) }
}

func admitted(tb testing.TB, a *middleware.Auth) *http.Request {
	tb.Helper()
	r := requestFrom("192.0.2.1:1234")
	r, err := a.Admit(r.WithContext(context.WithValue(r.Context(), credential{}, ann)))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestAllocationsOfAShortAnswer(t *testing.T) {
	if racing {
		t.Skip("the race detector empties pools")
	}
	for _, a := range shortAnswers {
		bare := testing.AllocsPerRun(1000, a.prepare(t, false))
		layer := testing.AllocsPerRun(1000, a.prepare(t, true))
		if layer-bare > a.allocs {
			t.Errorf("%s: the layer costs %v allocations, want at most %v", a.name, layer-bare, a.allocs)
		}
	}
}
