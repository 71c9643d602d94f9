package bearer_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// counted counts its followers.
type counted struct {
	middleware.Revocations
	n int
}

func (c *counted) Follow(func(middleware.Revocation)) (stop func()) {
	c.n++
	return func() { c.n-- }
}

// unfollowable are sessions that panic when they are followed.
type unfollowable struct{}

func (unfollowable) Ambient() bool { return true }

func (unfollowable) Authenticate(*http.Request) (middleware.Principal, error) {
	return middleware.Principal{}, middleware.ErrNoCredential
}

func (unfollowable) Alive(context.Context, middleware.Principal) error { return nil }

func (unfollowable) SessionAlive(context.Context, string) (string, error) { return "", nil }

func (unfollowable) Follow(func(middleware.Revocation)) (stop func()) { panic("follow") }

// The attack: each handshake tries again to follow tokens whose sessions cannot be followed,
// and leaves a follower of the revocations behind.
func TestFollowThatPanicsLeavesNoFollower(t *testing.T) {
	t.Parallel()
	list := &counted{Revocations: middleware.NewRevocations()}
	good := authenticatorOver(t, "https://a.example", list, nil)
	bad := authenticatorOver(t, "https://b.example", list, unfollowable{})
	issuers, err := bearer.NewIssuers(good, bad)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []middleware.Revocable{bad, issuers} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not arrive")
				}
			}()
			x.Follow(func(middleware.Revocation) {})
		}()
		if list.n != 0 {
			t.Errorf("%T: %d followers are left", x, list.n)
		}
	}
}

func authenticatorOver(t *testing.T, issuer string, list middleware.Revocations, sessions bearer.Sessions) *bearer.Authenticator {
	t.Helper()
	const keys = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","alg":"EdDSA","use":"sig",` +
		`"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	a, err := bearer.New(bearer.Config{
		Issuer: issuer, Audience: []string{"app"},
		Keys: []byte(keys), Revocations: list, Sessions: sessions,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
