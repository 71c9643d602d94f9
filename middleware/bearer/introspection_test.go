package bearer_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// A token becomes a principal by the members of the answer (RFC 7662 §2.2).
func TestAnOpaqueTokenBecomesAPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		now := time.Now().Unix()
		i.issues(opaque, members().with("sid", "s1").with("realm", object{"roles": []string{"b", "a"}}).with("level", 3).with("auth_time",
			now-60))
		cfg := introspection(i)
		cfg.Roles, cfg.Attributes, cfg.Claims = [][]string{{"realm", "roles"}}, []string{"username"}, []string{"level"}
		p, err := newIntrospector(t, cfg).Authenticate(request(opaque))
		if err != nil {
			t.Fatal(err)
		}
		for what, same := range map[string]bool{
			"issuer and subject": p.Issuer == issuer && p.Subject == "alice" && p.Method == "bearer",
			"scopes":             slices.Equal(p.Scopes, []string{"read", "write"}),
			"roles":              slices.Equal(p.Roles, []string{"a", "b"}),
			"attributes":         p.Attributes["username"] == "alice@example" && p.Attributes["client_id"] == "app",
			"claims":             p.Claims["level"] == "3",
			"handles": p.TokenHandle == bearer.TokenHandle(issuer, "token-1") &&
				p.SessionHandle == bearer.SessionHandle(issuer, "s1"),
			"times":            p.IssuedAt.Unix() == now && p.AuthTime.Unix() == now-60 && p.Expires.Unix() == now+3600+30,
			"the sealed token": p.SealedToken != "" && p.SigningKey == "" && !strings.Contains(p.SealedToken, opaque),
		} {
			if !same {
				t.Errorf("%s: %+v", what, p)
			}
		}
	})
}

// Answers about active tokens, and whether they are accepted.
func TestAnswersAboutActiveTokens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		cfg    func(*bearer.IntrospectionConfig)
		answer object
		want   string // "accepted", or the cause in the log
	}{
		{name: "with all members of RFC 7662 §2.2", answer: members(), want: "accepted"},
		{name: "with the fewest", answer: object{"sub": "alice", "aud": audience, "token_type": "Bearer"}, want: "accepted"},
		{name: "null is absent", answer: members().with("nbf", nil).with("iss", nil).with("jti", nil), want: "accepted"},
		{name: "unknown members", answer: members().with("x", object{"y": 1}), want: "accepted"},
		{name: "token_type in another case, RFC 6749 §5.1", answer: members().with("token_type", "bearer"), want: "accepted"},
		{
			name:   "the kind in token_type, as Duende IdentityServer writes it",
			answer: members().with("token_type", "access_token"), want: "accepted",
		},
		{name: "several audiences", answer: members().with("aud", []string{"web", audience}), want: "accepted"},
		{name: "the use of an access token", answer: members().with("token_use", "access_token"), want: "accepted"},

		{name: "another issuer", answer: members().with("iss", issuer+"/"), want: `iss is "https://issuer.example/"; want Config.Issuer`},
		{name: "an empty issuer", answer: members().with("iss", ""), want: "Config.Issuer"},
		{name: "another audience", answer: members().with("aud", "web"), want: `aud is "web"; want one of Config.Audience`},
		{name: "no audience", answer: members().without("aud"), want: "lacks a required claim: aud; see IntrospectionConfig.Clients"},
		{name: "no sub", answer: members().without("sub"), want: "IntrospectionConfig.ClientPrefix"},
		{name: "an empty sub", answer: members().with("sub", ""), want: `"sub" is "\"\""`},
		{name: "a sub that is a number", answer: members().with("sub", 7), want: `"sub" is "7"`},
		{name: "exp as a string", answer: members().with("exp", "1700000000"), want: `"exp" is "\"1700000000\""`},
		{name: "issued in the future", answer: members().with("iat", time.Now().Unix()+90), want: "not valid yet"},
		{name: "not before the future", answer: members().with("nbf", time.Now().Unix()+90), want: "not valid yet"},
		{
			name: "bound by DPoP, RFC 9449 §6.2", answer: members().with("token_type", "DPoP").with("cnf", object{"jkt": "x"}),
			want: `token_type is "\"DPoP\""`,
		},
		{name: "bound to a key", answer: members().with("cnf", object{"jkt": "x"}), want: "bound to a key"},
		{
			name:   "bound to a certificate that the request does not show",
			answer: members().with("cnf", object{"x5t#S256": thumbprint([]byte("x"))}), want: "bound to a key",
		},
		{name: "a refresh token, told by its token_type", answer: members().with("token_type", "refresh_token"), want: "token_type is"},
		{name: "a refresh token, told by its token_use", answer: members().with("token_use", "refresh_token"), want: "token_use is"},
		{name: "a refresh token, told by nothing", answer: members().without("token_type"), want: "IntrospectionConfig.Require"},

		{
			name:   "no token_type, and another member that is required",
			cfg:    func(c *bearer.IntrospectionConfig) { c.Require = []bearer.Claim{bearer.Has("kind", "access")} },
			answer: members().without("token_type").with("kind", "access"), want: "accepted",
		},
		{
			name:   "without the member that is required",
			cfg:    func(c *bearer.IntrospectionConfig) { c.Require = []bearer.Claim{bearer.Has("kind", "access")} },
			answer: members().with("kind", "refresh"), want: `kind is "refresh"; want kind access; see IntrospectionConfig.Require`,
		},
		{
			name:   "with a member that is forbidden",
			cfg:    func(c *bearer.IntrospectionConfig) { c.Forbid = []bearer.Claim{bearer.Has("grant_id")} },
			answer: members().with("grant_id", "g"), want: "the claim grant_id",
		},
		{name: "no audience, of an accepted client", cfg: ofClients("app"), answer: members().without("aud"), want: "accepted"},
		{
			name: "of another client", cfg: ofClients("web"), answer: members().without("aud"),
			want: `client_id is "app"; want one of Config.Clients`,
		},
		{name: "without client_id", cfg: ofClients("app"), answer: members().without("client_id"), want: "Config.Clients"},
		{
			name: "of an accepted client, for another audience",
			cfg:  ofClients("app"), answer: members().with("aud", "web"), want: "Config.Audience",
		},
		{name: "of a client itself", cfg: prefixed, answer: members().without("sub"), want: "accepted"},
		{
			name: "of a user whose name looks like that of a client",
			cfg:  prefixed, answer: members().with("sub", "client:app"), want: "begins with IntrospectionConfig.ClientPrefix",
		},
		{
			name: "of no client and no user", cfg: prefixed, answer: members().without("sub").without("client_id"),
			want: "lacks a required claim: sub",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := introspected(t, tt.cfg, tt.answer)
			switch {
			case tt.want == "accepted" && err != nil:
				t.Error(outcome(err), err)
			case tt.want != "accepted" && (outcome(err) != invalid || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%s: %v, want %q", outcome(err), err, tt.want)
			}
		})
	}
}

func ofClients(ids ...string) func(*bearer.IntrospectionConfig) {
	return func(c *bearer.IntrospectionConfig) { c.Clients = ids }
}

func prefixed(c *bearer.IntrospectionConfig) { c.ClientPrefix = "client:" }

// A client's own token is told from a user's by the prefix (RFC 9700 §4.15).
func TestTheSubjectOfAClient(t *testing.T) {
	t.Parallel()
	i := newTokenIssuer()
	i.issues(opaque, members().without("sub"))
	cfg := introspection(i)
	prefixed(&cfg)
	if p, err := newIntrospector(t, cfg).Authenticate(request(opaque)); err != nil || p.Subject != "client:app" {
		t.Errorf("%q, %v", p.Subject, err)
	}
}

// A principal ends with exp and the leeway, and at MaxLifetime if that is earlier.
func TestHowLongAPrincipalLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for name, tt := range map[string]struct {
			answer object
			want   time.Duration
		}{
			"exp":                    {members(), time.Hour + 30*time.Second},
			"no exp":                 {members().without("exp"), 2*time.Hour + 30*time.Second},
			"exp beyond MaxLifetime": {members().with("exp", now.Unix()+1e9), 2*time.Hour + 30*time.Second},
		} {
			i := newTokenIssuer()
			i.issues(opaque, tt.answer)
			cfg := introspection(i)
			cfg.MaxLifetime = 2 * time.Hour
			p, err := newIntrospector(t, cfg).Authenticate(request(opaque))
			if got := p.Expires.Sub(now); err != nil || got != tt.want {
				t.Errorf("%s: %v, want %v, %v", name, got, tt.want, err)
			}
		}
	})
}

// An answer serves for CacheFor, but not beyond exp; one that refuses the token for 2 s.
func TestHowLongAnAnswerServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		a := newIntrospector(t, introspection(i))
		i.issues(opaque, members().with("exp", time.Now().Unix()+30))
		for _, step := range []struct {
			name   string
			change func()
			after  time.Duration
			want   string
			asked  int64
		}{
			{name: "first", change: func() {}, want: "accepted", asked: 1},
			{
				name: "just before the end of CacheFor", change: func() { i.revokes(opaque) },
				after: 10*time.Second - 1, want: "accepted", asked: 1,
			},
			{name: "at its end", change: func() {}, after: 1, want: invalid, asked: 2},
			{
				name: "just before the end of 2 s", change: func() { i.issues(opaque, members().with("exp", time.Now().Unix()+19)) },
				after: 2*time.Second - 1, want: invalid, asked: 2,
			},
			{name: "at their end", change: func() {}, after: 1, want: "accepted", asked: 3},
			{
				name:   "the endpoint is down",
				change: func() { i.becomes(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }) },
				after:  10 * time.Second, want: unavailable, asked: 4,
			},
			{name: "that is not remembered", change: func() {}, want: unavailable, asked: 5},
			{name: "it is back, and exp has passed", change: func() { i.becomes(nil) }, after: 10 * time.Second, want: expired, asked: 6},
		} {
			step.change()
			time.Sleep(step.after)
			if _, err := a.Authenticate(request(opaque)); outcome(err) != step.want || i.asked.Load() != step.asked {
				t.Errorf("%s: %s after %d introspections, want %s after %d: %v",
					step.name, outcome(err), i.asked.Load(), step.want, step.asked, err)
			}
		}
	})
}

// An answer does not serve beyond exp, however long CacheFor is.
func TestNoAnswerServesBeyondExp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		i.issues(opaque, members().with("exp", time.Now().Unix()+20))
		cfg := introspection(i)
		cfg.CacheFor, cfg.Leeway = time.Minute, time.Second
		a := newIntrospector(t, cfg)
		for _, step := range []struct {
			after time.Duration
			want  string
		}{{0, "accepted"}, {21*time.Second - 1, "accepted"}, {1, expired}} {
			time.Sleep(step.after)
			if _, err := a.Authenticate(request(opaque)); outcome(err) != step.want || i.asked.Load() != 1 {
				t.Errorf("after %v: %s, %d introspections", step.after, outcome(err), i.asked.Load())
			}
		}
	})
}

func TestRefusalsOfOpaqueTokens(t *testing.T) {
	t.Parallel()
	i := newTokenIssuer()
	a := newIntrospector(t, introspection(i))
	for name, tt := range map[string]struct {
		header []string
		want   string
	}{
		"no credential":      {nil, "nothing"},
		"another scheme":     {[]string{"Basic YTpi"}, "nothing"},
		"two headers":        {[]string{"Bearer a", "Bearer b"}, malformed},
		"not a b64token":     {[]string{"Bearer a b"}, malformed},
		"no token":           {[]string{"Bearer "}, malformed},
		"an unknown token":   {[]string{"Bearer unknown"}, invalid},
		"longer than 8 KiB":  {[]string{"Bearer " + strings.Repeat("a", 8<<10+1)}, invalid},
		"as long as allowed": {[]string{"Bearer " + strings.Repeat("a", 8<<10)}, invalid},
	} {
		before := i.asked.Load()
		r := request("")
		delete(r.Header, "Authorization")
		if tt.header != nil {
			r.Header["Authorization"] = tt.header
		}
		_, err := a.Authenticate(r)
		if outcome(err) != tt.want {
			t.Errorf("%s: %s, want %s", name, outcome(err), tt.want)
		}
		if asked := i.asked.Load() - before; name == "longer than 8 KiB" && asked != 0 {
			t.Errorf("%s: the endpoint was asked", name)
		}
	}
	r := request(opaque)
	r.URL.RawQuery = "access_token=" + opaque
	if _, err := a.Authenticate(r); outcome(err) != malformed {
		t.Errorf("in the query: %s", outcome(err))
	}
	if _, err := (&bearer.Introspector{}).Authenticate(request(opaque)); outcome(err) != invalid {
		t.Errorf("the zero Introspector: %s", outcome(err))
	}
	if err := (&bearer.Introspector{}).Alive(t.Context(), middleware.Principal{SealedToken: "x"}); outcome(err) != invalid {
		t.Errorf("Alive of the zero Introspector: %s", outcome(err))
	}
}
