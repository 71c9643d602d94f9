package bearer_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// clocks are those of an issuer and of a node that revokes, ahead of the clock of the node that
// is asked, which is time.Now.
type clocks struct{ issuer, revoker time.Duration }

// steps are the seconds from -30 to 30 by 5.
func steps(yield func(time.Duration) bool) {
	for d := -30 * time.Second; d <= 30*time.Second && yield(d); d += 5 * time.Second {
	}
}

// anyThree returns what three clocks that are up to 30 s wrong can be to each other.
func anyThree() (all []clocks) {
	known := map[clocks]bool{}
	for issuer := range steps {
		for revoker := range steps {
			for asked := range steps {
				if c := (clocks{issuer - asked, revoker - asked}); !known[c] {
					known[c] = true
					all = append(all, c)
				}
			}
		}
	}
	return all
}

// nearTheIssuer returns two nodes whose clocks are each up to 30 s from that of the issuer.
func nearTheIssuer() (all []clocks) {
	for issuer := range steps {
		for ahead := range steps {
			all = append(all, clocks{issuer, issuer + ahead})
		}
	}
	return all
}

// cutOffTest is one authenticator, and tokens of one subject after the other.
type cutOffTest struct {
	*testing.T
	list   middleware.Revocations
	tokens *bearer.Authenticator
	minted int
}

// mint returns a token that an issuer with that clock signs now.
func (c *cutOffTest) mint(subject string, clock time.Duration) string {
	c.minted++
	at := time.Now().Add(clock).Unix()
	return token(header(), claims().with("sub", subject).with("jti", strconv.Itoa(c.minted)).with("iat", at).with("exp", at+3600))
}

// present returns the outcome, and the Retry-After.
func (c *cutOffTest) present(token string) (string, time.Duration) {
	_, err := c.tokens.Authenticate(request(token))
	var f *middleware.Refusal
	if !errors.As(err, &f) {
		return outcome(err), 0
	}
	seconds, _ := strconv.Atoi(f.Header.Get("Retry-After"))
	return outcome(err), time.Duration(seconds) * time.Second
}

// signIn is a client that signs in, and fetches another token whenever the refusal says so, after
// a wait that grows. It returns how long that took.
func (c *cutOffTest) signIn(subject string, clock time.Duration, most time.Duration) time.Duration {
	for began := time.Now(); ; {
		got, later := c.present(c.mint(subject, clock))
		took := time.Since(began)
		switch {
		case got == "accepted":
			return took
		case got != expired, later == 0:
			c.Errorf("%s: after %v the client is told %s and Retry-After %v, and gives up", subject, took, got, later)
			return took
		case took > most:
			c.Errorf("%s: after %v a new token is still refused", subject, took)
			return took
		}
		time.Sleep(max(later, min(took, longestWait)))
	}
}

const longestWait = 20 * time.Second

// Issuer and nodes with clocks apart: no token outlives its cut-off, and each one that is
// issued later than twice the leeway and a second after it is accepted.
func TestCutOffsWithClocksApart(t *testing.T) {
	for _, c := range []struct {
		name   string
		leeway time.Duration
		clocks []clocks
	}{
		{"three clocks up to 30 s wrong, so that two differ by up to 60 s", time.Minute, anyThree()},
		{"nodes up to 30 s from the issuer, with the default", 30 * time.Second, nearTheIssuer()},
		{"clocks that agree, without a leeway", 1, []clocks{{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				list := middleware.NewRevocations()
				cfg := config()
				cfg.Revocations, cfg.Leeway = list, c.leeway
				test := &cutOffTest{T: t, list: list, tokens: newAuthenticator(t, cfg)}
				longest := time.Duration(0)
				for _, clocks := range c.clocks {
					for _, after := range []time.Duration{0, 100 * time.Millisecond, time.Second} {
						longest = max(longest, test.run(clocks, c.leeway, after))
					}
				}
				t.Logf("%d cases of clocks, 3 sign-ins each: the longest took %v, the window is %v",
					len(c.clocks), longest, 2*c.leeway+time.Second)
			})
		})
	}
}

// run revokes a subject, signs it in again after the given time, and returns how long that took.
func (c *cutOffTest) run(clocks clocks, leeway, after time.Duration) time.Duration {
	time.Sleep(137 * time.Millisecond) // iat counts whole seconds: at each part of one
	subject := fmt.Sprintf("issuer %v, revoker %v, after %v", clocks.issuer, clocks.revoker, after)
	var old []string
	for _, age := range []time.Duration{leeway, time.Second, time.Millisecond, 0} {
		old = append(old, c.mint(subject, clocks.issuer-age))
	}
	for _, token := range old {
		if got, _ := c.present(token); got != "accepted" {
			c.Errorf("%s: before the cut-off: %s", subject, got)
		}
	}
	err := c.list.Revoke(c.Context(), middleware.Revocation{Issuer: issuer, Subject: subject, Before: time.Now().Add(clocks.revoker)})
	if err != nil {
		c.Fatal(err)
	}
	cut := time.Now()
	c.refused(subject, old)
	time.Sleep(after)
	window := 2*leeway + time.Second
	took := c.signIn(subject, clocks.issuer, window+longestWait)
	time.Sleep(time.Until(cut.Add(window)))
	if got, _ := c.present(c.mint(subject, clocks.issuer)); got != "accepted" {
		c.Errorf("%s: after the window: %s", subject, got)
	}
	c.refused(subject, old)
	return took
}

func (c *cutOffTest) refused(subject string, old []string) {
	for _, token := range old {
		if got, _ := c.present(token); got != expired && got != "401 credential_revoked" {
			c.Errorf("%s: a token from before the cut-off: %s", subject, got)
		}
	}
}

// The word depends on the time between iat and the cut-off, and the answer on nothing else.
func TestTheWordForATokenAroundACutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Revocations, cfg.Profile = middleware.NewRevocations(), unlikeRFC9068()
		a := newAuthenticator(t, cfg)
		time.Sleep(time.Hour)
		cut := time.Now()
		for _, v := range []middleware.Revocation{
			{Issuer: issuer, Subject: "alice", Before: cut},
			{SessionHandle: bearer.SessionHandle(issuer, "dead")},
			{TokenHandle: bearer.TokenHandle(issuer, "dead")},
		} {
			if err := cfg.Revocations.Revoke(t.Context(), v); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		issued := func(after time.Duration) object { return claims().with("iat", cut.Add(after).Unix()) }
		const revoked = "401 credential_revoked"
		for _, c := range []struct {
			name   string
			claims object
			want   string
			later  bool // with Retry-After
		}{
			{"an hour before", issued(-time.Hour), revoked, false},
			{"31 s before: within the second that iat leaves open", issued(-31 * time.Second), revoked, false},
			{"30 s before", issued(-30 * time.Second), expired, true},
			{"at that time", issued(0), expired, true},
			{"30 s after", issued(30 * time.Second), expired, true},
			{"31 s after", issued(31 * time.Second), "accepted", false},
			{"without iat", claims().without("iat"), revoked, false},
			{"without iat, another subject", claims().without("iat").with("sub", "bob"), "accepted", false},
			{"later, of a session that has ended", issued(time.Minute).with("sid", "dead"), revoked, false},
			{"later, and revoked itself", issued(time.Minute).with("jti", "dead"), revoked, false},
		} {
			p, err := a.Authenticate(request(token(header(), c.claims)))
			if err == nil {
				err = a.Alive(t.Context(), p)
			}
			var f *middleware.Refusal
			if errors.As(err, &f) && (f.Header.Get("Retry-After") != "") != c.later {
				t.Errorf("%s: Retry-After %q", c.name, f.Header.Get("Retry-After"))
			}
			if outcome(err) != c.want {
				t.Errorf("%s: %s, want %s", c.name, outcome(err), c.want)
			}
		}
	})
}

// A ticket keeps the iat of its token, and its connection ends with the same word.
func TestATicketAroundACutOff(t *testing.T) {
	s := newService(t)
	ticket := s.fetchTicket(t, request(token(header(), claims())))
	opened := s.fetchTicket(t, request(token(header(), claims())))
	p, err := s.socket.Authenticate(opened)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.revocations.Revoke(t.Context(), middleware.Revocation{Issuer: issuer, Subject: "alice"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.socket.Authenticate(ticket); outcome(err) != expired {
		t.Errorf("a ticket: %s", outcome(err))
	}
	if err := s.socket.Alive(t.Context(), p); outcome(err) != expired {
		t.Errorf("what another one opened: %s", outcome(err))
	}
	var f *middleware.Refusal
	if _, err := s.rest.Authenticate(request(token(header(), claims()))); !errors.As(err, &f) || f.Header.Get("Retry-After") != "5" ||
		f.Header.Get("WWW-Authenticate") == "" || f.Status != http.StatusUnauthorized {
		t.Errorf("the ticket route: %v", err)
	}
}
