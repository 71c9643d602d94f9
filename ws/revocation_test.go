package ws_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

// ASVS 7.4.2, 7.4.3, W9: revocation reaches live sockets, and only those it names.
func TestRevocationClosesItsConnections(t *testing.T) {
	tests := []struct {
		name   string
		revoke middleware.Revocation
		closed string // whose connections
	}{
		{"of a session", middleware.Revocation{SessionHandle: "s-ann"}, "ann"},
		{"of a token", middleware.Revocation{TokenHandle: "t-bob"}, "bob"},
		{"of a subject", middleware.Revocation{Issuer: "test", Subject: "ann"}, "ann"},
		{"of a subject under any issuer", middleware.Revocation{Subject: "ann"}, "ann"},
		{"of another issuer's subject", middleware.Revocation{Issuer: "other", Subject: "ann"}, ""},
		{"of a subject before it signed in", middleware.Revocation{
			Subject: "ann",
			Before:  time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC),
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				revocations := middleware.NewRevocations()
				n := start(t, ws.Config{Auth: revokedBy(t, revocations), Timeouts: ws.Timeouts{Idle: time.Hour}})
				ends := map[string]chan ended{"ann": n.watch("ann"), "bob": n.watch("bob")}
				time.Sleep(time.Minute)
				revoke(t, revocations, tt.revoke)
				for name, end := range ends {
					want := ended{websocket.CloseError{Code: 3008, Reason: "idle"}, time.Hour}
					if name == tt.closed {
						want = ended{websocket.CloseError{Code: 3000, Reason: "revoked"}, time.Minute}
					}
					got := <-end
					got.after = got.after.Truncate(time.Second)
					if got != want {
						t.Errorf("%s ended with %v, want %v", name, got, want)
					}
				}
				if _, res, err := n.try(tt.closed); tt.revoke.Subject == "" && (err == nil || res.StatusCode != 401) {
					t.Errorf("a new handshake of %s is answered %v, want 401", tt.closed, res)
				}
			})
		})
	}
}

// A logout during the upgrade wins.
func TestRevocationDuringTheUpgradeWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revocations := middleware.NewRevocations()
		var served atomic.Bool
		n := start(t, ws.Config{
			Auth: revokedBy(t, revocations),
			Authorize: func(r *http.Request, p middleware.Principal) (any, error) {
				return nil, revocations.Revoke(r.Context(), middleware.Revocation{SessionHandle: p.SessionHandle})
			},
			Serve: func(context.Context, *ws.Conn) error { served.Store(true); return nil },
		})
		if _, res, err := n.try("ann"); err == nil || res.StatusCode != 401 {
			t.Errorf("answered %v, want 401", res)
		}
		if served.Load() {
			t.Error("Serve ran for a revoked session")
		}
	})
}

// unreachable is a revocation store that cannot be asked.
type unreachable struct{ middleware.Revocations }

func (unreachable) Revoked(context.Context, middleware.Principal) (bool, error) {
	return false, errors.New("store: connection refused at 10.0.0.7")
}

// A store that cannot be reached admits no request: fail closed.
func TestUnknownRevocationRefusesTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Auth: revokedBy(t, unreachable{middleware.NewRevocations()})})
		_, res, err := n.try("ann")
		if err == nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
			t.Fatalf("answered %v, %v, want 503 with Retry-After", res, err)
		}
	})
}

// ASVS 8.3.2: permission changes reach live sockets; so does a lost session.
func TestRecheckDecides(t *testing.T) {
	const minute = time.Minute
	tests := []struct {
		name             string
		answer           error
		code             websocket.StatusCode
		reason           string
		earliest, latest time.Duration
	}{
		{
			name: "a lost session ends it", answer: &middleware.Refusal{Status: 401, Reason: middleware.ReasonNoCredential},
			code: 3000, reason: "expired",
			earliest: 4 * minute, latest: 5*minute + time.Second,
		},
		{
			name: "a revoked session ends it", answer: &middleware.Refusal{Status: 401, Reason: middleware.ReasonCredentialRevoked},
			code: 3000, reason: "revoked",
			earliest: 4 * minute, latest: 5*minute + time.Second,
		},
		{
			name: "a lost permission ends it", answer: &middleware.Refusal{Status: 403, Reason: middleware.ReasonForbidden},
			code: 3003, reason: "forbidden",
			earliest: 4 * minute, latest: 5*minute + time.Second,
		},
		{
			name:   "a close error, which is not an answer, is endured for Stale",
			answer: &ws.CloseError{Code: 4001, Reason: "banned"}, code: 1013, reason: "later",
			earliest: 15 * minute, latest: 15*minute + 11*time.Second,
		},
		{
			name:   "a store that is down is endured for Stale",
			answer: errors.New("down"), code: 1013, reason: "later", earliest: 15 * minute, latest: 15*minute + 11*time.Second,
		},
		{
			name: "so is a nil *Refusal, which says nothing", answer: (*middleware.Refusal)(nil),
			code: 1013, reason: "later", earliest: 15 * minute, latest: 15*minute + 11*time.Second,
		},
		{
			name: "so is one that refuses with 503", answer: &middleware.Refusal{Status: 503, Reason: middleware.ReasonUnavailable},
			code: 1013, reason: "later",
			earliest: 15 * minute, latest: 15*minute + 11*time.Second,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				users := &revocable{alive: func(context.Context, middleware.Principal) error { return tt.answer }}
				n := start(t, ws.Config{Auth: auth(t, users), Timeouts: ws.Timeouts{Idle: 10 * time.Hour}})
				c := n.connect("ann")
				users.earnest.Store(true)
				wantEnding(t, c, tt.code, tt.reason, tt.earliest, tt.latest)
			})
		})
	}
}
