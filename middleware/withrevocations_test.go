package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

// strangeList is a list of revocations with a Revoked of the test's own.
type strangeList struct {
	middleware.Revocations
	revoked func(context.Context) (bool, error)
}

func (l strangeList) Revoked(ctx context.Context, _ middleware.Principal) (bool, error) {
	return l.revoked(ctx)
}

func TestWithRevocations(t *testing.T) {
	t.Parallel()
	list := middleware.NewRevocations()
	once := &once{headerCredential: headerCredential{header: "X-Ticket"}}
	hidden := &hidden{headerCredential{header: "X-Hidden"}}
	challenging := &challengingCredential{headerCredential{header: "X-Bearer", challenge: "Bearer"}}
	auth := mustAuth(t, middleware.WithRevocations(once, list),
		middleware.WithRevocations(hidden, list), middleware.WithRevocations(challenging, list))
	serve := func(header string) (int, string) {
		return answer(t, auth.Handler(http.HandlerFunc(whoami)), requestWith("GET", "/", header, "ann"))
	}
	for _, header := range []string{"X-Ticket", "X-Hidden", "X-Bearer"} {
		if status, reason := serve(header); status != 200 || reason != header+":ann" {
			t.Errorf("%s: %d %s", header, status, reason)
		}
	}
	r := requestWith("GET", "/", "X-Hidden", "ann", "X-Ticket", "ann")
	once.consumed = 0
	if auth.Consume(r); once.consumed != 1 {
		t.Errorf("consumed %d times", once.consumed)
	}
	if auth.Stripped(r).Header.Get("X-Hidden") != "" {
		t.Error("not stripped")
	}
	f, _ := errors.AsType[*middleware.Refusal](auth.WithChallenge(middleware.Unauthorized("x", nil)))
	if f.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("challenge %v", f.Header)
	}
	if err := list.Revoke(t.Context(), middleware.Revocation{Issuer: "test", Subject: "ann", Before: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{"X-Ticket", "X-Hidden", "X-Bearer"} {
		if status, reason := serve(header); status != 401 || reason != "credential_revoked" {
			t.Errorf("%s, revoked: %d %s", header, status, reason)
		}
	}
}

// A list that fails, panics or does not answer refuses (ASVS 16.5.3): within 2 s.
func TestWithRevocationsOfAListThatMisbehaves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		revoked func(context.Context) (bool, error)
		status  int
		took    time.Duration
	}{
		{"not revoked", func(context.Context) (bool, error) { return false, nil }, 200, 0},
		{"revoked", func(context.Context) (bool, error) { return true, nil }, 401, 0},
		{"an error", func(context.Context) (bool, error) { return false, errors.New("redis: timeout") }, 503, 0},
		{"an error beside an answer", func(context.Context) (bool, error) { return true, errors.New("redis: timeout") }, 503, 0},
		{"a panic", func(context.Context) (bool, error) { panic("s3cret") }, 500, 0},
		{"slow", func(ctx context.Context) (bool, error) { <-ctx.Done(); return false, ctx.Err() }, 503, 2 * time.Second},
		{"deaf", func(context.Context) (bool, error) { time.Sleep(time.Hour); return false, nil }, 503, 2 * time.Second},
	} {
		for _, inner := range []middleware.Authenticator{&headerCredential{header: "X-Bearer"}, newCounting("X-Bearer")} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					auth := mustAuth(t, middleware.WithRevocations(inner, strangeList{middleware.NewRevocations(), tt.revoked}))
					start := time.Now()
					status, reason := answer(t, auth.Handler(http.HandlerFunc(whoami)), requestWith("GET", "/", "X-Bearer", "ann"))
					if took := time.Since(start); status != tt.status || took != tt.took {
						t.Errorf("%d %s after %v, want %d after %v", status, reason, took, tt.status, tt.took)
					}
					time.Sleep(2 * time.Hour) // until the calls have returned
				})
			})
		}
	}
}

// A WithRevocations of a WithRevocations asks both lists, and can be used without an Auth.
func TestWithRevocationsTwice(t *testing.T) {
	t.Parallel()
	one, two := middleware.NewRevocations(), middleware.NewRevocations()
	a := middleware.WithRevocations(middleware.WithRevocations(&headerCredential{header: "X-Bearer"}, one), two)
	p, err := a.Authenticate(requestWith("GET", "/", "X-Bearer", "ann"))
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	defer a.Follow(func(middleware.Revocation) { told++ })()
	for i, list := range []middleware.Revocations{one, two} {
		if err := a.Alive(t.Context(), p); (err == nil) != (i == 0) {
			t.Errorf("after %d revocations: %v", i, err)
		}
		if err := list.Revoke(t.Context(), middleware.Revocation{Subject: "ann"}); err != nil || told != i+1 {
			t.Errorf("%v, told %d times", err, told)
		}
	}
	if p, err := a.Authenticate(requestWith("GET", "/", "X-Bearer", "ann")); err == nil || p.Subject != "" {
		t.Errorf("revoked, but with principal %+v", p)
	}
}
