package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

// strange is an authenticator whose credential says how it misbehaves.
func strange(release <-chan struct{}) middleware.Authenticator {
	return funcCredential(func(r *http.Request) (middleware.Principal, error) {
		switch how := r.Header.Get("X-Strange"); how {
		case "":
			return middleware.Principal{}, middleware.ErrNoCredential
		case "slow":
			<-r.Context().Done()
			return middleware.Principal{}, r.Context().Err()
		case "deaf":
			<-release
		case "late": // it answers in time, but not at once
			time.Sleep(time.Second)
		case "panic":
			panic("holds s3cret")
		case "nil map":
			nilMap()["x"] = 1
		case "goexit":
			t := &testing.T{}
			t.FailNow()
		}
		return middleware.Principal{Issuer: "test", Subject: "ann", Method: "strange"}, nil
	})
}

// An authenticator that is slow, ignores its context or panics holds a request for 2 s at
// most, and refuses it (ASVS 16.5.3). The value of a panic is not shown (ASVS 16.2.5).
func TestAuthBoundsItsAuthenticators(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		how, reason, cause string
		status             int
		took               time.Duration
	}{
		{how: "fine", reason: "strange:ann", status: 200, took: 0},
		{how: "late", reason: "strange:ann", status: 200, took: time.Second},
		{how: "slow", reason: "unavailable", cause: "context deadline exceeded", status: 503, took: 2 * time.Second},
		{how: "deaf", reason: "unavailable", cause: "context deadline exceeded", status: 503, took: 2 * time.Second},
		{how: "panic", reason: "internal", cause: "panic: string", status: 500, took: 0},
		{how: "nil map", reason: "internal", cause: "panic: assignment to entry in nil map", status: 500, took: 0},
		{how: "goexit", reason: "internal", cause: "the call ended its goroutine", status: 500, took: 0},
	} {
		for _, other := range []string{"before", "behind"} {
			t.Run(tt.how+" with another authenticator "+other, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					release := make(chan struct{})
					defer close(release)
					list := []middleware.Authenticator{strange(release), &headerCredential{header: "X-Bearer"}}
					if other == "before" {
						list[0], list[1] = list[1], list[0]
					}
					var log bytes.Buffer
					h := middleware.Chain(http.HandlerFunc(whoami),
						middleware.AccessLog(slog.New(slog.NewTextHandler(&log, nil))), mustAuth(t, list...).Handler)
					start := time.Now()
					status, reason := answer(t, h, requestWith("GET", "/", "X-Strange", tt.how))
					if took := time.Since(start); status != tt.status || reason != tt.reason || took != tt.took {
						t.Errorf("%d %s after %v, want %d %s after %v", status, reason, took, tt.status, tt.reason, tt.took)
					}
					if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), tt.cause) ||
						strings.Contains(log.String(), "s3cret") {
						t.Errorf("want %q, and no secret:\n%s", tt.cause, log.String())
					}
				})
			})
		}
	}
}

// Requests wait only for an authenticator that is asked about them, and a hundred which
// never return do not hold another request.
func TestAuthIsNotHeldByOtherRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := mustAuth(t, strange(release), &headerCredential{header: "X-Bearer"}).Handler(http.HandlerFunc(whoami))
		for range 100 {
			go h.ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/", "X-Strange", "deaf"))
		}
		synctest.Wait()
		start := time.Now()
		if status, reason := answer(t, h, requestWith("GET", "/", "X-Bearer", "ann")); status != 200 {
			t.Errorf("%d %s", status, reason)
		}
		if time.Since(start) != 0 {
			t.Errorf("held for %v", time.Since(start))
		}
		time.Sleep(3 * time.Second)
		close(release)
	})
}

// A request whose client leaves is refused at once, and not taken for one with two
// credentials.
func TestAuthOfACancelledRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ticket := &once{headerCredential: headerCredential{header: "X-Ticket"}}
		auth := mustAuth(t, strange(nil), &headerCredential{header: "X-Bearer"}, ticket)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := auth.Authenticate(requestWith("GET", "/", "X-Strange", "slow", "X-Ticket", "ann").WithContext(ctx))
		f, ok := errors.AsType[*middleware.Refusal](err)
		if !ok || f.Status != 503 || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if ticket.consumed != 1 || ticket.ended {
			t.Errorf("the ticket behind was consumed %d times, with an ended context: %v", ticket.consumed, ticket.ended)
		}
	})
}

// An authenticator that goes on after its request has ended reads a header of its own.
func TestAuthGivesALateAuthenticatorItsOwnHeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		auth := mustAuth(t, funcCredential(func(r *http.Request) (middleware.Principal, error) {
			r.Header.Set("X-Written", "1")
			time.Sleep(time.Minute)
			_ = r.Header.Get("X-Bearer") // with -race: not while the caller writes
			return middleware.Principal{}, nil
		}))
		r := requestWith("GET", "/", "X-Bearer", "ann")
		if _, err := auth.Authenticate(r); err == nil {
			t.Error("admitted")
		}
		if r.Header.Get("X-Written") != "" {
			t.Error("the authenticator has written to the request")
		}
		time.Sleep(time.Minute - 2*time.Second)
		r.Header.Set("X-Bearer", "eve")
		synctest.Wait()
	})
}

type panickingStripper struct{ headerCredential }

func (*panickingStripper) Stripped(*http.Request) *http.Request { panic("holds s3cret") }

func TestAuthContainsAStripperThatPanics(t *testing.T) {
	t.Parallel()
	auth := mustAuth(t, &panickingStripper{headerCredential{header: "X-Bearer"}})
	for name, layer := range map[string]middleware.Middleware{"Handler": auth.Handler, "Strip": auth.Strip} {
		lines := logged(t, http.HandlerFunc(whoami), requestWith("GET", "/", "X-Bearer", "ann"), layer)
		if len(lines) != 1 || lines[0]["status"] != 500.0 || lines[0]["cause"] != "panic: string" {
			t.Errorf("%s: %v", name, lines)
		}
	}
}

func nilMap() map[string]int { return nil }
