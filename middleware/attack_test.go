package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// RFC 9110 §15.5.2: a 401 names a scheme, whoever refuses and whatever knows one.
func TestEvery401NamesAScheme(t *testing.T) {
	t.Parallel()
	refuses := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		middleware.Refuse(w, r, middleware.Unauthorized(middleware.ReasonCredentialExpired, nil))
	})
	plain := mustAuth(t, &headerCredential{header: "X-Bearer"})
	named := mustAuth(t, &challengingCredential{headerCredential{header: "X-Bearer", challenge: `Token realm="x"`}})
	set := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="outer"`)
		refuses(w, r)
	}
	for _, tt := range []struct {
		name   string
		h      http.Handler
		header []string
		want   string
	}{
		{"a handler without an Auth", refuses, nil, "Bearer"},
		{"an Auth whose authenticators name none", plain.Handler(refuses), nil, "Bearer"},
		{"a handler behind that Auth", plain.Handler(refuses), []string{"X-Bearer", "ann"}, "Bearer"},
		{"an Auth", named.Handler(refuses), nil, `Token realm="x"`},
		{"a handler behind it", named.Handler(refuses), []string{"X-Bearer", "ann"}, `Token realm="x"`},
		{"a handler that has set one", http.HandlerFunc(set), nil, `Basic realm="outer"`},
	} {
		w := httptest.NewRecorder()
		tt.h.ServeHTTP(w, requestWith("GET", "/", tt.header...))
		if got := w.Header().Values("WWW-Authenticate"); w.Code != 401 || len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s: %d with %q, want %q", tt.name, w.Code, got, tt.want)
		}
	}
}

// follows panics in Follow, or counts its followers.
type follows struct {
	*counting
	panics bool
	n      *int
}

func (f follows) Follow(func(middleware.Revocation)) (stop func()) {
	if f.panics {
		panic("follow")
	}
	*f.n++
	return func() { *f.n-- }
}

// The attack: each handshake tries again to follow an Auth of which one part panics, and
// leaves a follower behind at the other parts.
func TestFollowThatPanicsLeavesNoFollower(t *testing.T) {
	t.Parallel()
	n := 0
	good, bad := follows{newCounting("X-Good"), false, &n}, follows{newCounting("X-Bad"), true, nil}
	for _, auth := range []*middleware.Auth{mustAuth(t, good, bad), mustAuth(t, mustAuth(t, good, bad))} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not arrive")
				}
			}()
			auth.Follow(func(middleware.Revocation) {})
		}()
		if n != 0 {
			t.Errorf("%d followers are left", n)
		}
	}
}

// The attack: who makes the server answer 503, by filling its places, writes the log full.
func TestAccessLogLimitsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, lines := jsonLog(t)
		h := middleware.AccessLog(log)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			middleware.Refuse(w, r, &middleware.Refusal{Status: 503, Reason: middleware.ReasonOverloaded, Err: errors.New("live: full")})
		}))
		for range 1000 {
			h.ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/"))
		}
		if got := len(lines()); got != 100 {
			t.Errorf("%d lines, want 100", got)
		}
	})
}

// A bound that context.WithoutCancel has taken away does not count as one.
func TestBoundThatWasTakenAwayIsSetAgain(t *testing.T) {
	t.Parallel()
	outer, cancel := bounded.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, cancel := bounded.WithTimeout(context.WithoutCancel(outer), time.Second)
	defer cancel()
	if _, ok := ctx.Deadline(); !ok {
		t.Error("no bound")
	}
}

// The attack: code of a connection sends requests through handlers by the connection's
// context, which has its voucher. It is none when the connection has ended.
func TestVoucherOfAContextThatHasEnded(t *testing.T) {
	t.Parallel()
	auth := mustAuth(t, &headerCredential{header: "X-Bearer"})
	ctx, cancel := context.WithCancel(t.Context())
	admitted, err := auth.Admit(requestWith("GET", "/", "X-Bearer", "ann").WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	later := requestWith("GET", "/").WithContext(admitted.Context())
	if status, _ := answer(t, auth.Handler(http.HandlerFunc(whoami)), later); status != 200 {
		t.Errorf("before: %d", status)
	}
	cancel()
	if status, _ := answer(t, auth.Handler(http.HandlerFunc(whoami)), later); status < 400 {
		t.Errorf("afterwards: %d", status)
	}
}
