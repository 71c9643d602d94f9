package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

const originProblem = `{"type":"about:blank","title":"Forbidden","status":403,"reason":"origin_not_allowed"}`

func TestRefuseAnswersProblemDetails(t *testing.T) {
	t.Parallel()
	const internal = `{"type":"about:blank","title":"Internal Server Error","status":500,"reason":"internal"}`
	secret := errors.New("pq: password authentication failed for user s3cret")
	refusal := &middleware.Refusal{Status: 403, Reason: middleware.ReasonOriginNotAllowed, Err: secret}
	var nilRefusal *middleware.Refusal
	for _, tt := range []struct {
		name   string
		err    error
		status int
		body   string
	}{
		{"a refusal is its status and reason (RFC 9457 §3)", refusal, 403, originProblem},
		{"a wrapped refusal is honoured", fmt.Errorf("ws: %w", refusal), 403, originProblem},
		{"one of several joined is honoured", errors.Join(secret, refusal), 403, originProblem},
		{"another error is internal (ASVS 16.5.1)", secret, 500, internal},
		{"no error at all is internal", nil, 500, internal},
		{"a nil refusal is internal", nilRefusal, 500, internal},
		{"a refusal that says 200 is internal", &middleware.Refusal{Status: 200, Reason: "fine"}, 500, internal},
		{"a refusal without status is internal", &middleware.Refusal{Reason: "fine"}, 500, internal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := httptest.NewRecorder()
			middleware.Refuse(rec, requestWith("GET", "/"), tt.err)
			if rec.Code != tt.status || rec.Body.String() != tt.body {
				t.Errorf("%d %s\nwant %d %s", rec.Code, rec.Body, tt.status, tt.body)
			}
			for name, want := range map[string]string{
				"Content-Type":           "application/problem+json; charset=utf-8", // ASVS 4.1.1
				"Cache-Control":          "no-store",
				"X-Content-Type-Options": "nosniff",
			} {
				if got := rec.Result().Header.Values(name); len(got) != 1 || got[0] != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if strings.Contains(fmt.Sprint(rec.Result().Header), "s3cret") {
				t.Error("the cause is in a header")
			}
		})
	}
}

// A nil *Refusal that was returned as an error refuses, and its methods do not panic.
func TestNilRefusal(t *testing.T) {
	t.Parallel()
	var f *middleware.Refusal
	auth := mustAuth(t,
		funcCredential(func(*http.Request) (middleware.Principal, error) { return middleware.Principal{Subject: "ann"}, f }),
		&challengingCredential{headerCredential{header: "X-Bearer", challenge: "Bearer"}})
	if status, reason := answer(t, auth.Handler(http.HandlerFunc(whoami)), requestWith("GET", "/")); status != 500 || reason != "internal" {
		t.Errorf("from an Authenticator: %d %s", status, reason)
	}
	for name, err := range map[string]error{"bare": f, "wrapped": fmt.Errorf("room: %w", f)} {
		if err.Error() == "" || errors.Is(err, middleware.ErrNoCredential) || auth.WithChallenge(err) != err {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// RFC 9110 §9.3.2.
func TestRefuseAnswersHeadWithoutBody(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	middleware.Refuse(rec, requestWith("HEAD", "/"), &middleware.Refusal{Status: 403, Reason: "x"})
	if rec.Code != 403 || rec.Body.Len() != 0 {
		t.Errorf("%d with %d bytes", rec.Code, rec.Body.Len())
	}
}

// The headers of the body that is not sent are removed (RFC 9110 §8, RFC 9530, RFC 6266);
// the others that outer layers have set stay.
func TestRefuseReplacesWhatDescribesABody(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	for _, name := range []string{
		"Content-Encoding", "Content-Length", "Content-Range", "ETag", "Last-Modified",
		"Content-Disposition", "Content-Language", "Content-Location", "Content-Digest", "Repr-Digest",
	} {
		rec.Header().Set(name, "stale")
	}
	rec.Header().Set("Content-Type", "text/html")
	rec.Header().Set("Cache-Control", "public, max-age=3600")
	rec.Header().Set("Strict-Transport-Security", "max-age=63072000")
	rec.Header().Add("Set-Cookie", "a=b")
	middleware.Refuse(rec, requestWith("GET", "/"), &middleware.Refusal{
		Status: 429, Reason: "rate_limited", Header: http.Header{"retry-after": {"3"}},
	})
	got := rec.Result().Header
	for name, want := range map[string]string{
		"Content-Type":              "application/problem+json; charset=utf-8",
		"Cache-Control":             "no-store",
		"X-Content-Type-Options":    "nosniff",
		"Strict-Transport-Security": "max-age=63072000",
		"Set-Cookie":                "a=b",
		"Retry-After":               "3",
	} {
		if v := got.Values(name); len(v) != 1 || v[0] != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
		got.Del(name)
	}
	if len(got) != 0 {
		t.Errorf("left over: %v", got)
	}
}

// One refusal may be kept and sent many times.
func TestRefuseLeavesTheRefusalAlone(t *testing.T) {
	t.Parallel()
	f := &middleware.Refusal{Status: 503, Reason: "draining", Header: http.Header{"Retry-After": {"1"}}}
	for range 2 {
		rec := httptest.NewRecorder()
		middleware.Refuse(rec, requestWith("GET", "/"), f)
		rec.Header().Add("Retry-After", "2")
	}
	if len(f.Header) != 1 || len(f.Header["Retry-After"]) != 1 {
		t.Errorf("header became %v", f.Header)
	}
}

func TestRefusalError(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for want, f := range map[string]*middleware.Refusal{
		"middleware: refused: draining":        {Reason: "draining"},
		"middleware: refused: draining: cause": {Reason: "draining", Err: cause},
	} {
		if f.Error() != want || !errors.Is(f, f.Err) && f.Err != nil {
			t.Errorf("%q, want %q", f.Error(), want)
		}
	}
}

// A layer of this module may answer a refusal itself (contextkey.Explain): it is asked with
// the Refusal, and if it declines, HTTP follows. No outer one is asked.
func TestExplain(t *testing.T) {
	t.Parallel()
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		middleware.Refuse(w, r, fmt.Errorf("layer: %w", &middleware.Refusal{Status: 403, Reason: "origin_not_allowed"}))
	})
	answers := func(yes bool) middleware.Middleware {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				explain := func(w http.ResponseWriter, _ *http.Request, err error) bool {
					if yes {
						w.WriteHeader(http.StatusTeapot)
						f, _ := errors.AsType[*middleware.Refusal](err)
						_, _ = fmt.Fprint(w, f.Reason)
					}
					return yes
				}
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextkey.Explain{}, explain)))
			})
		}
	}
	for _, tt := range []struct {
		name   string
		layers []middleware.Middleware
		status int
		body   string
	}{
		{"it answers", []middleware.Middleware{answers(true)}, 418, "origin_not_allowed"},
		{"it declines", []middleware.Middleware{answers(false)}, 403, originProblem},
		{"the innermost is asked", []middleware.Middleware{answers(false), answers(true)}, 418, "origin_not_allowed"},
		{"an outer one is not asked", []middleware.Middleware{answers(true), answers(false)}, 403, originProblem},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := httptest.NewRecorder()
			middleware.Chain(refuse, tt.layers...).ServeHTTP(rec, requestWith("GET", "/"))
			if rec.Code != tt.status || rec.Body.String() != tt.body {
				t.Errorf("%d %s\nwant %d %s", rec.Code, rec.Body, tt.status, tt.body)
			}
		})
	}
}
