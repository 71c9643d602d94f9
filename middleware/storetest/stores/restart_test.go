package stores

import (
	"crypto/rand"
	"net/url"
	"testing"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/testissuer"
)

// user is one user's credentials.
type user struct {
	name                string
	cookie, other       credential // of two sessions
	bound, token, spare credential // tokens: of the first session, and two of none
	handle, tokenHandle string     // of cookie and of token
}

func newUser(p *process) *user {
	u := &user{name: "user-" + rand.Text()}
	u.cookie = p.act("/login?user="+u.name, credential{})
	u.other = p.act("/login?user="+u.name, credential{})
	who, _ := p.me(u.cookie)
	u.handle = who.SessionHandle
	u.bound, u.token, u.spare = token(p.issuer, u.name, u.handle), token(p.issuer, u.name, ""), token(p.issuer, u.name, "")
	who, _ = p.me(u.token)
	u.tokenHandle = who.TokenHandle
	return u
}

// event ends some of a user's credentials; those in lives are good afterwards.
type event struct {
	act   func(p *process, u *user)
	ends  func(u *user) map[string]credential
	lives func(u *user) map[string]credential
}

type named = map[string]credential

// renewed is a cookie whose browser has another one by now, so that the answer is another.
const renewed = "the old cookie of the session that goes on"

func answers(what string) (request, socket string) {
	if what == renewed {
		return "401 no_credential", "3000 expired"
	}
	return "401 credential_revoked", "3000 revoked"
}

var events = map[string]event{
	"Logout": {
		act:   func(p *process, u *user) { p.act("/logout", u.cookie) },
		ends:  func(u *user) named { return named{"the cookie": u.cookie, "its token": u.bound} },
		lives: func(u *user) named { return named{"the other session": u.other, "a token of no session": u.token} },
	},
	"End": {
		act:   func(p *process, u *user) { p.act("/end?user="+u.name+"&handle="+u.handle, u.other) },
		ends:  func(u *user) named { return named{"the cookie": u.cookie, "its token": u.bound} },
		lives: func(u *user) named { return named{"the other session": u.other, "a token of no session": u.token} },
	},
	"LogoutOthers": {
		act: func(p *process, u *user) { u.other = p.act("/others", u.other) },
		ends: func(u *user) named {
			return named{"the cookie": u.cookie, "its token": u.bound, renewed: u.other}
		},
		lives: func(u *user) named { return named{"the new cookie": u.other, "a token of no session": u.token} },
	},
	"LogoutEverywhere": {
		act: func(p *process, u *user) { p.act("/everywhere?user="+u.name, u.cookie) },
		ends: func(u *user) named {
			return named{"the cookie": u.cookie, "the other session": u.other, "a token of a session": u.bound}
		},
		lives: func(u *user) named { return named{"a token of no session": u.token} },
	},
	"a token revoked": {
		act:  func(p *process, u *user) { p.act("/revoke?token="+u.tokenHandle, credential{}) },
		ends: func(u *user) named { return named{"the token": u.token} },
		lives: func(u *user) named {
			return named{"another token": u.spare, "a token of a session": u.bound, "the cookie": u.cookie}
		},
	},
	"a subject's tokens revoked": {
		act: func(p *process, u *user) {
			p.act("/revoke?issuer="+url.QueryEscape(testissuer.Name)+"&user="+u.name, credential{})
		},
		ends: func(u *user) named {
			return named{"a token": u.token, "another": u.spare, "a token of a session": u.bound}
		},
		lives: func(u *user) named { return named{"the cookie": u.cookie, "the other session": u.other} },
	},
	"a subject's sessions revoked": {
		act: func(p *process, u *user) { p.act("/revoke?issuer=session&user="+u.name, credential{}) },
		ends: func(u *user) named {
			return named{"the cookie": u.cookie, "the other session": u.other, "a token of a session": u.bound}
		},
		lives: func(u *user) named { return named{"a token of no session": u.token} },
	},
	"a session revoked": {
		act:   func(p *process, u *user) { p.act("/revoke?session="+u.handle, credential{}) },
		ends:  func(u *user) named { return named{"the cookie": u.cookie, "its token": u.bound} },
		lives: func(u *user) named { return named{"the other session": u.other, "a token of no session": u.token} },
	},
}

// A process acknowledges a sign-out and is killed at once. A new one on the same store refuses
// the credentials that have ended, and so does another one that ran beside it, at its next
// request; its sockets end at their next recheck. Everything else goes on.
func TestEndsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	for kind, address := range addresses(t) {
		for name, e := range events {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				addr, k := address(t), testissuer.New(t)
				first, beside := start(t, addr, k), start(t, addr, k)
				u, stranger := newUser(first), newUser(first)
				ended, open := map[string]*websocket.Conn{}, map[string]*websocket.Conn{}
				for what, c := range e.ends(u) {
					ended[what] = beside.connect(c)
				}
				for what, c := range e.lives(u) {
					if name != "LogoutOthers" || what != "the new cookie" { // not there yet
						open[what] = beside.connect(c)
					}
				}
				doomed := e.ends(u)
				e.act(first, u)
				first.Kill()

				beside.refuses("the process beside it", doomed)
				after := start(t, addr, k)
				after.refuses("a new process", doomed)
				strangers := named{"the cookie": stranger.cookie, "a token of a session": stranger.bound, "a token": stranger.token}
				for _, p := range []*process{beside, after} {
					for what, c := range e.lives(u) {
						if _, answer := p.me(c); answer != "200" {
							t.Errorf("%s: %s, want 200", what, answer)
						}
					}
					for what, c := range strangers {
						if _, answer := p.me(c); answer != "200" {
							t.Errorf("%s of another user: %s, want 200", what, answer)
						}
					}
				}
				for what, socket := range ended {
					_, want := answers(what)
					if got := ends(socket); got != want {
						t.Errorf("the socket of %s, in the process beside it, ends with %s, want %s", what, got, want)
					}
				}
				for what, socket := range open {
					t.Run("the socket of "+what+" goes on", func(t *testing.T) { echoes(t, socket) })
				}
			})
		}
	}
}

// refuses asks by a request and by a handshake.
func (p *process) refuses(which string, doomed named) {
	p.t.Helper()
	for what, c := range doomed {
		want, _ := answers(what)
		if _, got := p.me(c); got != want {
			p.t.Errorf("%s, %s: %s, want %s", which, what, got, want)
		}
		if _, status := p.dial(c); status != 401 {
			p.t.Errorf("%s, a handshake with %s: %d, want 401", which, what, status)
		}
	}
}
