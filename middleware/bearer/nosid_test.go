package bearer_test

import (
	"context"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// The ways to end a token without a sid together with the sessions of its subject (ASVS 7.4.3), in
// a service that issues tokens of both kinds. The sessions end in every case.
func TestSignOutEverywhereOfATokenWithoutASession(t *testing.T) {
	t.Parallel()
	everywhere := func(ctx context.Context, m *session.Manager) error { return m.LogoutEverywhere(ctx, "alice") }
	revoke := func(ctx context.Context, m *session.Manager) error {
		return m.Revocations().Revoke(ctx, middleware.Revocation{Subject: "alice"})
	}
	const revoked, good = "401 credential_revoked", "accepted"
	for _, tt := range []struct {
		name    string
		issuer  string // of the sessions
		shared  middleware.Revocations
		signOut func(context.Context, *session.Manager) error
		want    string
	}{
		{name: "LogoutEverywhere, the revocations of the Manager's store", issuer: issuer, signOut: everywhere, want: good},
		{
			name:   "LogoutEverywhere, revocations that both configurations name",
			issuer: issuer, shared: middleware.NewRevocations(), signOut: everywhere, want: revoked,
		},
		{
			name: "the same, of sessions of another issuer", issuer: "session",
			shared: middleware.NewRevocations(), signOut: everywhere, want: good,
		},
		{name: "Revoke of the subject, in the Manager's store", issuer: issuer, signOut: revoke, want: revoked},
		{name: "the same, of sessions of another issuer", issuer: "session", signOut: revoke, want: revoked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, session.Config{Store: memstore.NewWithCleanupInterval(0), Issuer: tt.issuer, Revocations: tt.shared})
			cfg := config()
			cfg.Sessions, cfg.Revocations = s.sessions, s.sessions.Revocations()
			tokens := newAuthenticator(t, cfg)
			_, handle := s.login(t, "alice")
			before := claims().with("iat", time.Now().Add(-2*time.Minute).Unix()) // more than the leeway
			p, err := tokens.Authenticate(request(token(header(), before)))
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.signOut(t.Context(), s.sessions); err != nil {
				t.Fatal(err)
			}
			for what, err := range map[string]error{
				"presented": errOf(tokens, token(header(), before)), "what it opened": tokens.Alive(t.Context(), p),
			} {
				if got := outcome(err); got != tt.want {
					t.Errorf("%s: %s, want %s", what, got, tt.want)
				}
			}
			if _, err := s.sessions.SessionAlive(t.Context(), handle); outcome(err) != revoked {
				t.Errorf("the session: %s, want %s", outcome(err), revoked)
			}
		})
	}
}
