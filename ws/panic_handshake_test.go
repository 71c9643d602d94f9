package ws_test

import (
	"context"
	"fmt"
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

// ASVS 16.2.5, 16.5.3, 16.5.4: a panic of code behind an interface is answered, logged once
// without its value unless DangerouslyLogPanicText asks for it, and costs no place. A Follow that panics cannot be trusted with later
// revocations: no answer is known.
func TestPanicsAtTheHandshake(t *testing.T) {
	for _, tt := range []struct {
		in     string
		text   bool
		status int
		reason string
	}{
		{in: "Authenticate", status: 500, reason: "internal"},
		{in: "Alive", status: 500, reason: "internal"},
		{in: "Revoked", status: 500, reason: "internal"},
		{in: "Authorize", status: 500, reason: "internal"},
		{in: "Follow", status: 503, reason: "unavailable"},
		{in: "Authenticate", text: true, status: 500, reason: "internal"},
		{in: "Alive", text: true, status: 500, reason: "internal"},
		{in: "Revoked", text: true, status: 500, reason: "internal"},
		{in: "Authorize", text: true, status: 500, reason: "internal"},
		{in: "Follow", text: true, status: 503, reason: "unavailable"},
	} {
		t.Run(fmt.Sprintf("%s, text %v", tt.in, tt.text), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &logs{}
				logger, texts := log.logger(), 0
				if tt.text {
					logger, texts = middleware.DangerouslyLogPanicText(logger), 3
				}
				b := bomb{middleware.NewRevocations(), tt.in}
				_, l := plainNode(t, live.Config{Limits: live.Limits{Connections: 1}, Log: logger}, ws.Config{
					Auth: auth(t, middleware.WithRevocations(b, b)), Authorize: b.authorize, Log: logger,
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
				if strings.Count(s, "\n") != 3 || strings.Count(s, "panic: string") != 3 ||
					strings.Count(s, "hunter2") != texts || strings.Count(s, "panic_text=hunter2") != texts {
					t.Errorf("want a line for each of three panics, and its value %d times:\n%s", texts, s)
				}
				if tt.status == 500 && strings.Count(s, "stack=") != 3 {
					t.Errorf("want three stacks:\n%s", s)
				}
			})
		})
	}
}
