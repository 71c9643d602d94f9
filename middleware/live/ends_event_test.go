package live_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// event is how credentials end.
type event struct {
	name      string
	cause     *live.Cause            // that the consumers see
	causes    map[string]*live.Cause // of the credentials that see another one
	goesOn    []string               // the credentials that it does not concern
	reauth    bool                   // the session goes on, and opens other responses
	quiet     bool                   // a request of its cookie would keep the session alive
	elsewhere bool                   // it happens in another process
	unknown   bool                   // whether the credential may be good again is not known while the issuer's keys are being fetched
	config    siteConfig
	lifetime  time.Duration // of tokens and keys; zero: an hour
	happen    func(u *user) (bound, error)
}

// waits reports whether the event takes seconds.
func (e event) waits() bool { return e.config.interval != 0 }

// bound is what an event promises about the numbers that follow it.
type bound struct {
	immediate   bool      // none that begins after the acknowledgement comes through
	from, until time.Time // if not: none that begins after the bound
}

// slack is for a busy machine. Without a recheck, nothing would end for five minutes.
const slack = 3 * time.Second

// resolution is that of the deadlines of a registry.
const resolution = 250 * time.Millisecond

func acknowledged(err error) (bound, error) { return bound{immediate: true, from: time.Now()}, err }

// at is the bound of an end that is found within d after from.
func at(from time.Time, d time.Duration) bound {
	return bound{from: from, until: from.Add(d + resolution + slack)}
}

// patience is how long to wait for the end.
func (b bound) patience() time.Duration { return max(0, time.Until(b.until)) + patience }

// of returns the bound for a response that goes on for the grace.
func (b bound) of(x consumer, cause *live.Cause) bound {
	switch {
	case x.grace == nil || !x.grace(cause):
		return b
	case b.immediate:
		return at(b.from, grace)
	}
	return bound{from: b.from, until: b.until.Add(grace)}
}

const (
	recheck = 500 * time.Millisecond
	refresh = time.Second // of the issuer's keys
)

// The times in which everything has to be opened, and those between two numbers.
var (
	idle     = ifRacing(5, 2*time.Second)
	absolute = ifRacing(5, 5*time.Second)
	interval = ifRacing(10, 20*time.Millisecond)
	slowly   = ifRacing(3, 100*time.Millisecond) // if the event takes seconds
)

func ifRacing(times time.Duration, d time.Duration) time.Duration {
	if racing {
		return times * d
	}
	return d
}

var (
	// ofNoSession are the credentials that no end of a session concerns.
	ofNoSession = []string{"token without sid", "key without a session"}

	// ofNoToken are those without a handle of their own.
	ofNoToken = []string{"cookie", "ticket of a cookie"}

	// ofNoIssuer are those that the issuer of tokens has not signed.
	ofNoIssuer = append([]string{"key of a session", "key without a session"}, ofNoToken...)

	// ofFixedRoles are those that have the roles of another than the session.
	ofFixedRoles = append([]string{"token with sid", "ticket of a token", "certificate-bound token", "key of a session"}, ofNoSession...)
)

var slow = []event{
	{
		name: "expiry", cause: live.Expired,
		config: siteConfig{absolute: absolute, interval: slowly}, lifetime: absolute - time.Second,
		happen: func(u *user) (bound, error) {
			u.acknowledge()
			if slices.Contains(ofNoToken, u.credential.name) {
				return at(u.signedIn.Add(absolute), 0), nil
			}
			return at(u.expires, 0), nil
		},
	},
	{
		name: "idle end", cause: live.Expired, causes: map[string]*live.Cause{"key of a session": live.Revoked}, goesOn: ofNoSession,
		config: siteConfig{idle: idle, interval: slowly}, quiet: true,
		happen: func(u *user) (bound, error) {
			u.acknowledge()
			return at(time.Now().Add(idle), 0), nil
		},
	},
	{
		// A request with a kid that is not in the set fetches it, to find one that is new or has
		// come back. If no answer comes within a second, it is refused with 503 (bearer.Config.CoolDown).
		name: "signing key withdrawn", cause: live.Expired, goesOn: ofNoIssuer, unknown: true,
		config: siteConfig{recheck: recheck, interval: slowly},
		happen: func(u *user) (bound, error) {
			u.site.issuer.remove("first")
			u.acknowledge()
			return at(time.Now(), refresh+recheck), nil
		},
	},
	{
		name: "End in another process", cause: live.Revoked, goesOn: ofNoSession, elsewhere: true,
		config: siteConfig{recheck: recheck, interval: slowly},
		happen: func(u *user) (bound, error) {
			m, err := session.New(session.Config{Store: u.site.store})
			if err == nil {
				err = m.End(context.Background(), u.name, u.session)
			}
			u.acknowledge()
			return at(time.Now(), recheck), err
		},
	},
	{
		name: "end at the provider, told to another process", cause: live.Revoked, goesOn: ofNoSession, elsewhere: true,
		config: siteConfig{recheck: recheck, interval: slowly},
		happen: func(u *user) (bound, error) {
			m, err := session.New(session.Config{Store: u.site.store})
			if err == nil {
				err = endAtProvider(m, u)
			}
			u.acknowledge()
			return at(time.Now(), recheck), err
		},
	},
	{
		name: "role change in another process", cause: live.Reauth, goesOn: ofFixedRoles, reauth: true, elsewhere: true,
		config: siteConfig{recheck: recheck, interval: slowly},
		happen: func(u *user) (bound, error) {
			m, err := session.New(session.Config{Store: u.site.store})
			if err == nil {
				err = m.SetRoles(context.Background(), u.name, []string{"reader"})
			}
			u.acknowledge()
			return at(time.Now(), recheck), err
		},
	},
}

// provider is that of every sign-in; its sid is the name of the user.
const provider = "https://id.example"

// endAtProvider revokes the session as a logout token of the provider does.
func endAtProvider(m *session.Manager, u *user) error {
	return m.Revocations().Revoke(context.Background(), middleware.Revocation{SessionHandle: bearer.SessionHandle(provider, u.name)})
}

var immediate = []event{
	{name: "end at the provider", cause: live.Revoked, goesOn: ofNoSession, happen: func(u *user) (bound, error) {
		err := endAtProvider(u.site.sessions, u)
		u.acknowledge()
		return acknowledged(err)
	}},
	{name: "Logout", cause: live.Revoked, goesOn: ofNoSession, happen: func(u *user) (bound, error) {
		res, _, err := u.post("/logout", u.cookie)
		if err == nil && res.StatusCode != 200 {
			err = fmt.Errorf("logout: %s", res.Status)
		}
		return acknowledged(err)
	}},
	{name: "End", cause: live.Revoked, goesOn: ofNoSession, happen: func(u *user) (bound, error) {
		err := u.site.sessions.End(context.Background(), u.name, u.session)
		u.acknowledge()
		return acknowledged(err)
	}},
	{name: "LogoutOthers", cause: live.Revoked, goesOn: ofNoSession, happen: func(u *user) (bound, error) {
		other, _, err := u.login()
		if err != nil {
			return bound{}, err
		}
		res, _, err := u.post("/others", other)
		if err == nil && res.StatusCode != 200 {
			err = fmt.Errorf("logout of others: %s", res.Status)
		}
		return acknowledged(err)
	}},
	{name: "LogoutEverywhere", cause: live.Revoked, goesOn: ofNoSession, happen: func(u *user) (bound, error) {
		err := u.site.sessions.LogoutEverywhere(context.Background(), u.name)
		u.acknowledge()
		return acknowledged(err)
	}},
	{name: "user disabled", cause: live.Revoked, happen: func(u *user) (bound, error) {
		u.disabled.Store(true)
		err := u.site.sessions.Revocations().Revoke(context.Background(), middleware.Revocation{Subject: u.name})
		u.acknowledge()
		b, _ := acknowledged(nil)
		if res, _, _ := u.post("/login", ""); err == nil && (res == nil || res.StatusCode != 403) {
			err = fmt.Errorf("login of a disabled user: %v, want 403", res)
		}
		return b, err
	}},
	{name: "token revoked", cause: live.Revoked, goesOn: ofNoToken, happen: func(u *user) (bound, error) {
		if u.token == "" { // of another token of the session
			_, u.token = u.site.issuer.mint(u.name, time.Time{}, map[string]any{"sid": u.session})
		}
		err := u.site.sessions.Revocations().Revoke(context.Background(), middleware.Revocation{TokenHandle: u.token})
		u.acknowledge()
		return acknowledged(err)
	}},
	{name: "role change", cause: live.Reauth, goesOn: ofFixedRoles, reauth: true, happen: func(u *user) (bound, error) {
		err := u.site.sessions.SetRoles(context.Background(), u.name, []string{"reader"})
		u.acknowledge()
		return acknowledged(err)
	}},
}
