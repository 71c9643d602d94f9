package bearer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/securews/securews/internal/handle"
	"github.com/securews/securews/middleware"
)

// rules are the part of a Config that the checks of a token use. They are immutable.
type rules struct {
	issuer          issuerRule
	audiences       []string
	clients         []string
	profile         Profile
	roles           [][]string // Profile.Roles with the audiences in their place
	algorithms      algorithmSet
	leeway          time.Duration
	maxLifetime     time.Duration
	kept            []string
	attributes      []string
	challenge       string
	resource        resource
	fromSubprotocol bool
	ownSessions     bool   // sid is a handle of Config.Sessions
	setting         string // that says which claims an access token has
}

// audiencePlace stands for the audience in Profile.Roles.
const audiencePlace = "{audience}"

func newRules(cfg Config, algorithms algorithmSet) rules {
	p := cfg.Profile
	r := rules{
		issuer:    newIssuerRule(cfg),
		audiences: slices.Clone(cfg.Audience), clients: slices.Clone(cfg.Clients),
		profile: p, algorithms: algorithms,
		leeway: cfg.Leeway, maxLifetime: cfg.MaxLifetime,
		kept: slices.Clone(cfg.Claims), attributes: slices.Clone(cfg.Attributes),
		challenge: `Bearer realm="` + cfg.Realm + `"`, fromSubprotocol: cfg.FromSubprotocol,
		ownSessions: cfg.Sessions != nil, setting: "Config.Profile",
	}
	r.resource = newResource(cfg, r.issuer.names())
	if cfg.SessionClaim != "" {
		r.profile.Session = cfg.SessionClaim
	}
	if r.resource.metadata != "" {
		r.challenge += `, resource_metadata="` + r.resource.metadata + `"` // RFC 9728 §5.1
	}
	for _, path := range p.Roles {
		if !slices.ContainsFunc(path, func(name string) bool { return strings.Contains(name, audiencePlace) }) {
			r.roles = append(r.roles, path)
			continue
		}
		for _, audience := range cfg.Audience {
			one := slices.Clone(path)
			for i, name := range one {
				one[i] = strings.ReplaceAll(name, audiencePlace, audience)
			}
			r.roles = append(r.roles, one)
		}
	}
	return r
}

// verified is a token that passed the checks which do not depend on the time.
type verified struct {
	principal middleware.Principal
	notBefore time.Time // nbf or iat, the later, less the leeway; zero: neither
	at        slot
	by        *key
}

// validate applies the Profile, RFC 9068 §4 unless it says otherwise, and RFC 7519 §4.1 to a
// token whose signature verified. Its error is errExpired only if the token is good otherwise.
func (c *rules) validate(payload []byte, token string, now time.Time) (*verified, error) {
	members, err := object(payload)
	if err != nil {
		return nil, errClaims
	}
	got, err := c.claims(members)
	if err != nil {
		return nil, err
	}
	return c.accept(&got, members, handle.Of(signedPart(token)), now)
}

// accept makes the principal of the claims; tokenHandle is that of a token without jti.
func (c *rules) accept(got *claims, members []member, tokenHandle string, now time.Time) (v *verified, err error) {
	if err := c.isForUs(got, members); err != nil {
		return nil, err
	}
	if err := c.checkLifetime(got.exp, now); err != nil {
		return nil, err
	}
	v = &verified{principal: middleware.Principal{
		Issuer: got.iss, Subject: got.sub, Method: "bearer",
		Scopes: got.scopes, Roles: got.roles, Attributes: got.attributes, Claims: got.kept,
		IssuedAt: got.iat, AuthTime: got.authTime, Expires: got.exp.Add(c.leeway),
	}}
	if v.principal.TokenHandle = tokenHandle; got.jti != "" {
		v.principal.TokenHandle = TokenHandle(got.iss, got.jti)
	}
	v.principal.SessionHandle = c.sessionHandle(got)
	if got.cnf != nil {
		if v.principal.Binding.CertificateSHA256, err = parseBinding(got.cnf); err != nil {
			return nil, err
		}
	}
	for _, t := range []time.Time{got.nbf, got.iat} {
		if t = t.Add(-c.leeway); t.After(v.notBefore) {
			v.notBefore = t
		}
	}
	return v, v.current(now)
}

// sessionHandle is the Principal.SessionHandle of the claims; empty if they have no sid.
func (c *rules) sessionHandle(got *claims) string {
	if got.sid == "" || c.ownSessions {
		return got.sid
	}
	return SessionHandle(got.iss, got.sid)
}

// checkLifetime returns errLifetime if exp is too far ahead.
func (c *rules) checkLifetime(exp, now time.Time) error {
	if exp.After(now.Add(c.maxLifetime + c.leeway)) {
		return fmt.Errorf("%w: exp is %v from now; see Config.MaxLifetime, %v", errLifetime, exp.Sub(now).Round(time.Second), c.maxLifetime)
	}
	return nil
}

// isForUs checks issuer, required and forbidden claims, audience and client.
func (c *rules) isForUs(got *claims, members []member) error {
	if err := c.issuer.check(got.iss, members); err != nil {
		return err
	}
	for i := range c.profile.Require {
		if want := &c.profile.Require[i]; !want.met(members) {
			return fmt.Errorf("%w: %s; want %v; see %s", errKind, want.found(members), want, c.setting)
		}
	}
	for i := range c.profile.Forbid {
		if ban := &c.profile.Forbid[i]; ban.met(members) {
			return fmt.Errorf("%w: it has the claim %v, which access tokens have not; see %s", errKind, ban, c.setting)
		}
	}
	if isLogout(members) {
		return fmt.Errorf("%w: it is a logout token, see NewBackChannelLogout", errKind)
	}
	for _, r := range [...]struct {
		there bool
		name  string
		by    string
	}{
		{got.hasExp, "exp", fromIssuer},
		{got.sub != "", "sub", fromIssuer},
		{got.aud != nil || c.profile.NoAudience, "aud", fromIssuer},
		{got.hasIat || c.optional("iat"), "iat", c.setting},
		{got.jti != "" || c.optional("jti"), "jti", c.setting},
		{got.clientID != "" || c.optional("client_id"), strings.Join(c.profile.ClientIDs, " or "), c.setting},
	} {
		if !r.there {
			return fmt.Errorf("%w: %s; see %s", errMissing, r.name, r.by)
		}
	}
	if got.aud != nil && len(c.audiences) > 0 && !isFor(got.aud, c.audiences, c.profile.MaxBytes) {
		return fmt.Errorf("%w: aud is %.200s; want one of Config.Audience, %.200q", errAudience, got.aud, c.audiences)
	}
	if len(c.clients) > 0 && !slices.Contains(c.clients, got.clientID) {
		return fmt.Errorf("%w: %s is %.80q; want one of Config.Clients, %.200q",
			errClient, strings.Join(c.profile.ClientIDs, " or "), got.clientID, c.clients)
	}
	return nil
}

// fromIssuer is where to add a claim that no setting makes optional.
const fromIssuer = "the configuration of the issuer"

func (c *rules) optional(name string) bool { return slices.Contains(c.profile.Optional, name) }

// current compares with the clock: accepted from notBefore on, refused "on or after" exp
// plus leeway (RFC 7519 §4.1.4, §4.1.5).
func (v *verified) current(now time.Time) error {
	if now.Before(v.notBefore) {
		return fmt.Errorf("%w: nbf or iat is %v beyond Config.Leeway; compare the clocks",
			errNotYet, v.notBefore.Sub(now).Round(time.Second))
	}
	if !now.Before(v.principal.Expires) {
		return fmt.Errorf("%w: %v ago, Config.Leeway included", errExpired, now.Sub(v.principal.Expires).Round(time.Second))
	}
	return nil
}

// isFor follows RFC 7519 §4.1.3: one string, or an array of strings.
func isFor(aud []byte, want []string, limit int) bool {
	if isText(aud, want) {
		return true
	}
	list, ok := array(aud, limit)
	found := false
	for _, v := range list {
		ok = ok && v[0] == '"'
		found = found || isText(v, want)
	}
	return ok && found
}
