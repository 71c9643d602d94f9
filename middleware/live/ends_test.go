package live_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/memstore"
)

// Nothing that either side begins to send after the acknowledgement of an event reaches the
// other, over any kind of response, if the event ends the credential that opened it; new requests
// with it are refused. Nothing changes if the event ends another one.
//
// An event that is found at a recheck, or at a deadline, has a bound in place of the
// acknowledgement. A download goes on for live.Timeouts.Grace, and so do event streams and long
// polls after an expiry.
func TestEndsOfCredentials(t *testing.T) {
	var all sync.WaitGroup
	users := map[string][]*user{}
	for _, e := range slow {
		list := e.openAll(t)
		users[e.name] = list
		all.Go(func() { e.happenTo(list) })
	}
	for _, e := range immediate {
		users[e.name] = e.openAll(t)
		e.happenTo(users[e.name])
	}
	all.Wait()
	for _, e := range slices.Concat(slow, immediate) {
		for _, u := range users[e.name] {
			for _, c := range u.cells {
				t.Run(e.name+"/"+u.site.name+"/"+u.credential.name+"/"+c.consumer.name, c.report)
			}
		}
	}
}

// openAll starts sites, on each kind of store, and opens all that the event is to end.
func (e event) openAll(t *testing.T) (users []*user) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	for _, cfg := range e.sites() {
		cfg.idle, cfg.absolute, cfg.recheck, cfg.interval = e.config.idle, e.config.absolute, e.config.recheck, e.config.interval
		s := newSite(t, cfg)
		for _, of := range credentials {
			if cfg.sessionsAlone && !slices.Contains(ofSessions, of.name) {
				continue
			}
			u, err := newUser(s, of, e.lifetime)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(u.close)
			users = append(users, u)
			all.Go(u.open)
		}
	}
	return users
}

// sites are a store that compares before it writes, which the memory of a process is, and one that
// does not; for ends of sessions also with a program that has no other revocations.
func (e event) sites() []siteConfig {
	list := []siteConfig{{name: "compares"}, {name: "does not compare", store: memstore.NewWithCleanupInterval(0)}}
	if e.elsewhere {
		list[0].store = comparingStore{&steppingStore{MemStore: memstore.NewWithCleanupInterval(0)}}
	}
	if !e.waits() && slices.Equal(e.goesOn, ofNoSession) {
		list = append(list,
			siteConfig{name: "compares, sessions alone", sessionsAlone: true},
			siteConfig{name: "does not compare, sessions alone", sessionsAlone: true, store: memstore.NewWithCleanupInterval(0)},
		)
	}
	if racing {
		return list[:1]
	}
	return list
}

// happenTo has the event happen to each of the users.
func (e event) happenTo(users []*user) {
	var all sync.WaitGroup
	for _, u := range users {
		all.Go(func() { u.experience(e) })
	}
	all.Wait()
	for _, u := range users {
		u.close()
	}
}

func (c *cell) report(t *testing.T) {
	for _, p := range c.problems {
		t.Error(p)
	}
}

// experience has the event happen, and looks at all that is open.
func (u *user) experience(e event) {
	if u.failed.Load() {
		return
	}
	if e.quiet {
		close(u.quiet)
	}
	b, err := e.happen(u)
	if err != nil {
		u.problem(err)
		return
	}
	if cause := e.causes[u.credential.name]; cause != nil {
		e.cause = cause
	}
	var each sync.WaitGroup
	for _, c := range u.cells {
		each.Go(func() { c.look(e, b) })
	}
	each.Wait()
	ends := !slices.Contains(e.goesOn, u.credential.name)
	if ends && !e.reauth {
		u.wantTickets(refused)
	} else {
		u.wantTickets(admitted)
	}
	if ends {
		u.wantLeft()
	}
}

// look looks at the response of the cell, and then at the answer to a new request.
func (c *cell) look(e event, b bound) {
	goesOn := slices.Contains(e.goesOn, c.user.credential.name)
	again := goesOn || e.reauth && !c.user.credential.ticket // a ticket is from before
	switch {
	case !c.opens():
		again = false
	case e.quiet && c.consumer.path == "/rest":
		_ = goesOn || within(c.user.cells[len(c.user.cells)-1].closed, b.patience()) // a socket has ended
	case goesOn, e.reauth && c.consumer.path == "/rest":
		c.wantOpenAfter(b)
	default:
		c.wantEnd(e, b)
	}
	switch {
	case again:
		c.wantRequest(admitted)
	case e.unknown:
		c.wantRequest(refusedOrUnknown)
	default:
		c.wantRequest(refused)
	}
}

// wantLeft wants that the registry has forgotten all that has ended.
func (u *user) wantLeft() {
	deadline := time.After(patience)
	for {
		left := slices.Concat(u.site.live.List("session", u.name), u.site.live.List(u.site.issuer.name, u.name))
		if len(left) == 0 {
			return
		}
		select {
		case <-deadline:
			u.cells[0].problem("the registry still has %d members of the user", len(left))
			return
		case <-time.After(time.Millisecond):
		}
	}
}
