package bearer

import (
	"errors"
	"fmt"
	"time"

	"github.com/securews/securews/middleware"
)

var errLogout = errors.New("not a logout token")

// logoutEvent is the member of events that makes a logout token (OpenID Connect Back-Channel
// Logout 1.0 §2.4).
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

func isLogout(members []member) bool {
	events := find(members, "events")
	if len(events) == 0 || events[0] != '{' {
		return false
	}
	list, err := membersOf(events)
	return err == nil && find(list, logoutEvent) != nil
}

// logoutLifetime is how long after iat a logout token without exp is good: drafts of the
// specification did not have it.
const logoutLifetime = 2 * time.Minute

// validateLogout follows §2.6 and returns the claims of the logout token.
func (c *rules) validateLogout(payload []byte, clients []string, now time.Time) (claims, error) {
	members, err := object(payload)
	if err != nil {
		return claims{}, errClaims
	}
	got, err := registeredClaims(members)
	if err != nil {
		return claims{}, err
	}
	if got.sid, err = nameIn(members, "sid"); err != nil {
		return claims{}, err
	}
	if err := c.issuer.check(got.iss, members); err != nil {
		return claims{}, err
	}
	if !isLogout(members) {
		return claims{}, fmt.Errorf("%w: events has no %s", errLogout, logoutEvent)
	}
	if find(members, "nonce") != nil {
		return claims{}, fmt.Errorf("%w: it has a nonce, as ID tokens have", errLogout)
	}
	if got.aud == nil || !isFor(got.aud, clients, c.profile.MaxBytes) {
		return claims{}, fmt.Errorf("%w: aud is %.200s; want one of Clients, %.200q", errAudience, got.aud, clients)
	}
	if got.jti == "" || !got.hasIat || got.sub == "" && got.sid == "" {
		return claims{}, fmt.Errorf("%w: jti, iat, or both of sub and sid", errMissing)
	}
	if !got.hasExp {
		got.exp = got.iat.Add(logoutLifetime)
	}
	if err := c.checkLifetime(got.exp, now); err != nil {
		return claims{}, err
	}
	v := verified{principal: middleware.Principal{Expires: got.exp.Add(c.leeway)}, notBefore: got.iat.Add(-c.leeway)}
	return got, v.current(now)
}
