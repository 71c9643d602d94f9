package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// ledger is a list of revocations that keeps the contract, but for one fault.
type ledger struct {
	fault string

	mu        bubbleMutex
	list      map[string]middleware.Revocation // by name
	cached    map[string]bool
	followers []*func(middleware.Revocation)
	past      []middleware.Revocation
	telling   int
}

func newLedger(fault string) *ledger {
	return &ledger{fault: fault, list: map[string]middleware.Revocation{}, cached: map[string]bool{}, mu: make(bubbleMutex, 1)}
}

// bubbleMutex lets the time of a bubble go on while it is waited for, and is open after an
// hour, so that a deadlock ends.
type bubbleMutex chan struct{}

func (m bubbleMutex) Lock() {
	select {
	case m <- struct{}{}:
	case <-time.After(time.Hour):
	}
}

func (m bubbleMutex) Unlock() {
	select {
	case <-m:
	default:
	}
}

func brokenRevocations(fault string) func(testing.TB) middleware.Revocations {
	l := newLedger(fault)
	switch fault {
	case "has data of its own":
		return func(testing.TB) middleware.Revocations { return newLedger("") }
	case "forgets at the end":
		return func(t testing.TB) middleware.Revocations {
			at := maps.Clone(l.list)
			t.Cleanup(func() { l.list = at })
			return l
		}
	}
	return func(testing.TB) middleware.Revocations { return l }
}

func (l *ledger) is(fault string) bool { return l.fault == fault }

// names are the keys of what v names.
func (l *ledger) names(v middleware.Revocation) (names []string) {
	if v.SessionHandle != "" {
		names = append(names, "s\x00"+v.SessionHandle)
	}
	if v.TokenHandle != "" && l.is("takes tokens for sessions") {
		names = append(names, "s\x00"+v.TokenHandle)
	} else if v.TokenHandle != "" {
		names = append(names, "t\x00"+v.TokenHandle)
	}
	if v.Subject != "" {
		names = append(names, l.subject(v.Issuer, v.Subject))
	}
	if l.is("revokes the first that is named") {
		return names[:min(1, len(names))]
	}
	return names
}

func (l *ledger) subject(issuer, subject string) string {
	switch {
	case l.is("compares subjects without capitals"):
		subject = strings.ToLower(subject)
	case l.is("ignores the issuer"):
		issuer = ""
	case l.is("joins issuer and subject"):
		return "u\x00" + issuer + subject
	}
	return "u\x00" + issuer + "\x00" + subject
}

func (l *ledger) Revoke(ctx context.Context, v middleware.Revocation) error {
	if ctx.Err() != nil {
		switch {
		case l.is("does not return if the context has ended"):
			<-time.After(time.Hour)
		case l.is("revokes nothing if the context has ended"):
			return nil
		}
		return ctx.Err()
	}
	if len(l.names(v)) == 0 {
		if l.is("tells of an empty revocation") {
			l.tell(v)
		}
		if l.is("accepts an empty revocation") {
			return nil
		}
		return errors.New("empty")
	}
	given := v
	v = l.complete(v)
	if l.is("tells first") {
		l.tell(v)
	}
	if l.is("revokes later") {
		time.AfterFunc(time.Millisecond, func() { l.write(v) })
		return nil
	}
	l.write(v)
	switch {
	case l.is("tells first"), l.is("tells nobody"):
	case l.is("tells a zero Before"):
		l.tell(given)
	case l.is("tells other times"):
		v.Before, v.Expires = time.Now(), time.Now()
		l.tell(v)
	default:
		l.tell(v)
	}
	return nil
}

func (l *ledger) complete(v middleware.Revocation) middleware.Revocation {
	zero := v.Before.IsZero()
	v = v.Complete(time.Now())
	switch {
	case l.is("takes a zero Before as it is") && zero:
		v.Before = time.Time{}
	case l.is("ignores Before"):
		v.Before = time.Now()
	case l.is("rounds down to the second"):
		v.Before = v.Before.Truncate(time.Second).Add(-time.Second)
	case l.is("rounds up to the hour"):
		v.Before = v.Before.Truncate(time.Hour).Add(time.Hour)
	case l.is("counts nanoseconds"):
		v.Before = time.Unix(0, v.Before.UnixNano())
	case l.is("takes local time for UTC"):
		y, m, d := v.Before.Date()
		v.Before = time.Date(y, m, d, v.Before.Hour(), v.Before.Minute(), v.Before.Second(), 0, time.UTC)
	case l.is("forgets after 30 days") && time.Until(v.Expires) > 30*24*time.Hour:
		v.Expires = time.Now()
	}
	return v
}

func (l *ledger) write(v middleware.Revocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.is("revokes nothing") {
		return
	}
	all := l.list
	if l.is("replaces the whole list") {
		all = maps.Clone(l.list)
		l.mu.Unlock()
		<-time.After(time.Millisecond)
		l.mu.Lock()
	}
	for _, name := range l.names(v) {
		next, old := v, all[name]
		if l.is("compares cut-offs, and writes later") && next.Before.After(old.Before) {
			// the longer a sign-out is about, the sooner it is written
			l.mu.Unlock()
			<-time.After(time.Hour - min(time.Hour, time.Until(next.Before)))
			l.mu.Lock()
		} else if old.Before.After(next.Before) && !l.is("lowers a cut-off") || l.is("ignores a second cut-off") && !old.Before.IsZero() {
			next.Before = old.Before
		}
		if old.Expires.After(next.Expires) && !l.is("shortens") && (!l.is("shortens subjects") || v.Subject == "") {
			next.Expires = old.Expires
		}
		all[name] = next
	}
	l.list = all
	if l.is("tells under its lock") {
		for _, fn := range l.followers {
			(*fn)(v)
		}
	}
}

func (l *ledger) Revoked(ctx context.Context, p middleware.Principal) (bool, error) {
	if ctx.Err() != nil {
		switch {
		case l.is("does not return if the context has ended"):
			<-time.After(time.Hour)
		case l.is("answers no if the context has ended"):
			return false, nil
		}
		return false, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.is("revokes everything") {
		return true, nil
	}
	id := p.Subject + p.SessionHandle + p.TokenHandle
	if yes, ok := l.cached[id]; ok && l.is("answers from a cache") {
		return yes, nil
	}
	yes := l.find(p)
	l.cached[id] = yes
	return yes, nil
}

func (l *ledger) find(p middleware.Principal) bool {
	handles := l.names(middleware.Revocation{SessionHandle: p.SessionHandle, TokenHandle: p.TokenHandle})
	for _, name := range handles {
		if v, ok := l.list[name]; ok && time.Now().Before(v.Expires) {
			return true
		}
	}
	if p.Subject == "" || l.is("passes without IssuedAt") && p.IssuedAt.IsZero() {
		return false
	}
	for _, issuer := range []string{p.Issuer, ""} {
		v, ok := l.list[l.subject(issuer, p.Subject)]
		if ok && p.IssuedAt.Before(v.Before) && time.Now().Before(v.Expires) && (issuer != "" || !l.is("needs an issuer")) {
			return true
		}
	}
	return false
}

func (l *ledger) tell(v middleware.Revocation) {
	if l.is("tells under its lock") ||
		l.is("tells subjects alone") && v.Subject == "" || l.is("tells handles alone") && v.SessionHandle+v.TokenHandle == "" {
		return
	}
	l.mu.Lock()
	followers := slices.Clone(l.followers)
	l.past = append(l.past, v)
	l.telling++
	busy := l.telling > 1
	l.mu.Unlock()
	if l.is("tells one follower") {
		followers = followers[:min(1, len(followers))]
	}
	if l.is("drops what comes too fast") {
		<-time.After(time.Millisecond)
	}
	for _, fn := range followers {
		if !busy || !l.is("drops what comes too fast") {
			(*fn)(v)
		}
	}
	l.mu.Lock()
	l.telling--
	l.mu.Unlock()
}

func (l *ledger) Follow(fn func(middleware.Revocation)) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.followers = append(l.followers, &fn)
	if l.is("tells earlier ones") {
		for _, v := range l.past {
			fn(v)
		}
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case l.is("does not stop"):
		case l.is("stops all"):
			l.followers = nil
		case l.is("loses followers when others stop"):
			l.followers = l.followers[min(1, len(l.followers)):]
		default:
			l.followers = slices.DeleteFunc(slices.Clone(l.followers), func(f *func(middleware.Revocation)) bool { return f == &fn })
		}
	}
}
