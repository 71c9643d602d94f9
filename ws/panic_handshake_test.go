package ws_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// bomb panics with a secret, in the named method.
type bomb struct {
	middleware.Revocations
	in string
}

func (b bomb) goOff(in string) {
	if b.in == in {
		panic("hunter2")
	}
}

func (bomb) Ambient() bool { return false }

func (b bomb) Authenticate(*http.Request) (middleware.Principal, error) {
	b.goOff("Authenticate")
	return middleware.Principal{Issuer: "test", Subject: "ann"}, nil
}

func (b bomb) Alive(context.Context, middleware.Principal) error {
	b.goOff("Alive")
	return nil
}

func (b bomb) Revoked(context.Context, middleware.Principal) (bool, error) {
	b.goOff("Revoked")
	return false, nil
}

func (b bomb) Follow(func(middleware.Revocation)) func() {
	b.goOff("Follow")
	return func() {}
}

func (b bomb) authorize(*http.Request, middleware.Principal) (any, error) {
	b.goOff("Authorize")
	return nil, nil
}

// ASVS 16.5.3, 16.5.4: a panic of code behind an interface is answered, logged once without
// its value, and costs no place. A Follow that panics cannot be trusted with later
// revocations: no answer is known.
func TestPanicsAtTheHandshake(t *testing.T) {
	for _, tt := range []struct {
		in     string
		status int
		reason string
	}{
		{"Authenticate", 500, "internal"},
		{"Alive", 500, "internal"},
		{"Revoked", 500, "internal"},
		{"Authorize", 500, "internal"},
		{"Follow", 503, "unavailable"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &logs{}
				b := bomb{middleware.NewRevocations(), tt.in}
				_, l := plainNode(t, live.Config{Limits: live.Limits{Connections: 1}, Log: log.logger()}, ws.Config{
					Auth: auth(t, middleware.WithRevocations(b, b)), Authorize: b.authorize, Log: log.logger(),
				})
				for range 3 {
					conn, err := l.Dial(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					res, body := answer(t, conn, edited())
					wantRefusal(t, res, body, tt.status, tt.reason)
					synctest.Wait()
				}
				s := log.String()
				if strings.Count(s, "\n") != 3 || strings.Count(s, "panic: string") != 3 || strings.Contains(s, "hunter2") {
					t.Errorf("want a line for each of three panics, and not its value:\n%s", s)
				}
				if tt.status == 500 && strings.Count(s, "stack=") != 3 {
					t.Errorf("want three stacks:\n%s", s)
				}
			})
		})
	}
}
