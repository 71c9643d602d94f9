package bearer_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// word is the answer of Sessions.
type word struct {
	bearer.Sessions
	err error
}

func (w *word) SessionAlive(context.Context, string) (string, error) { return "alice", w.err }

// entry is the answer of Revocations.
type entry struct {
	middleware.Revocations
	revoked bool
	err     error
}

func (e *entry) Revoked(context.Context, middleware.Principal) (bool, error) { return e.revoked, e.err }

var (
	errDown = errors.New("down")
	errOver = middleware.Unauthorized(middleware.ReasonCredentialExpired, errors.New("idle"))
)

// Attack: if one source is down, or made to be, a connection goes on whose end another source knows.
// No answer of one hides an end that another knows, of a JWT and of an opaque token.
func TestNoAnswerHidesNoEndOfAToken(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		session error
		list    entry
		issuer  bool // is down: the keys are not available, the endpoint does not answer
		want    string
	}{
		"nothing has ended":                         {want: "accepted"},
		"the session is over, the revocations down": {session: errOver, list: entry{err: errDown}, want: "401 credential_expired"},
		"it is revoked, the sessions down":          {session: errDown, list: entry{revoked: true}, want: "401 credential_revoked"},
		"the session is over, the issuer down":      {session: errOver, issuer: true, want: "401 credential_expired"},
		"it is revoked, the issuer down":            {list: entry{revoked: true}, issuer: true, want: "401 credential_revoked"},
		"the revocations down":                      {list: entry{err: errDown}, want: unavailable},
		"the sessions down":                         {session: errDown, want: unavailable},
		"the issuer down":                           {issuer: true, want: unavailable},
		"all down":                                  {session: errDown, list: entry{err: errDown}, issuer: true, want: unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, list := &word{err: tt.session}, tt.list
			cfg := config()
			cfg.Sessions, cfg.Revocations = session, &list
			p := middleware.Principal{Issuer: issuer, Subject: "alice", SessionHandle: "s", TokenHandle: "t"}
			if tt.issuer {
				cfg.Keys, cfg.JWKS, cfg.HTTPClient = nil, issuer+"/keys", &http.Client{Transport: noNetwork{}}
				p.SigningKey = "k"
			}
			if got := outcome(newAuthenticator(t, cfg).Alive(t.Context(), p)); got != tt.want {
				t.Errorf("a JWT: %s, want %s", got, tt.want)
			}

			i := newTokenIssuer()
			i.issues(opaque, members().with("sid", "s"))
			opaqueTokens := introspection(i)
			opaqueTokens.Key = bytes.Repeat([]byte("k"), 32) // as two nodes have
			opaqueTokens.Sessions, opaqueTokens.Revocations = session, &list
			a := newIntrospector(t, opaqueTokens)
			session.err, list = nil, entry{}
			p, err := a.Authenticate(request(opaque))
			if err != nil {
				t.Fatal(err)
			}
			session.err, list = tt.session, tt.list
			if tt.issuer {
				i.becomes(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
			}
			if got := outcome(newIntrospector(t, opaqueTokens).Alive(t.Context(), p)); got != tt.want {
				t.Errorf("an opaque token: %s, want %s", got, tt.want)
			}
		})
	}
}
