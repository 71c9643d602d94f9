package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/handle"
	"github.com/securews/securews/middleware"
)

// ProviderSignIn is a sign-in at an OpenID provider, by the claims of its ID token. Issuer and Subject
// are required. The zero value means that there was none.
type ProviderSignIn struct {
	_ [0]func()

	Issuer, Subject string // iss and sub; at most 1024 bytes each
	SessionID       string // sid, if there is one; at most 1024 bytes
}

func (p ProviderSignIn) validate() error {
	switch {
	case p.Issuer == "" && p.Subject == "" && p.SessionID == "":
		return nil
	case p.Issuer == "" || p.Subject == "":
		return errors.New("session: login: Provider: Issuer or Subject is empty: set the iss and sub of the ID token")
	case len(p.Issuer) > maxSubject || len(p.Subject) > maxSubject || len(p.SessionID) > maxSubject:
		return fmt.Errorf("session: login: Provider: more than %d bytes", maxSubject)
	case !utf8.ValidString(p.Issuer + p.Subject + p.SessionID), strings.ContainsFunc(p.Issuer+p.Subject+p.SessionID, unicode.IsControl):
		return errors.New("session: login: Provider: not UTF-8 without control characters") // a NUL separates them in keys
	}
	return nil
}

// provider is a ProviderSignIn as a record stores it.
type provider struct {
	issuer, subject string // empty: the session did not begin at a provider
	session         string // the handle of its session; may be empty
	mark            string // of its subject, at the sign-in
}

func newProvider(p ProviderSignIn) provider {
	kept := provider{issuer: p.Issuer, subject: p.Subject}
	if p.SessionID != "" {
		kept.session = handle.Of(p.Issuer, p.SessionID)
	}
	return kept
}

// providerEntries is how many entries of its provider a load asks for.
const providerEntries = 2

// keys are those of the mark of the subject and of the tombstone of the session.
func (p *provider) keys() []string {
	switch {
	case p.issuer == "":
		return nil
	case p.session == "":
		return []string{entryKey(kindEverywhere, p.issuer, p.subject)}
	}
	return []string{entryKey(kindEverywhere, p.issuer, p.subject), entryKey(kindEnded, "", p.session)}
}

// state reads the values of keys: the mark, and whether the provider's session has ended.
func (p *provider) state(values [][]byte) (mark string, ended bool, err error) {
	if mark, err = fixedPayload(values[0], kindEverywhere, markSize); err != nil || len(values) == 1 {
		return mark, false, err
	}
	tombstone, err := fixedPayload(values[1], kindEnded, tombstoneSize)
	return mark, tombstone != "", err
}

// reached reports whether the values of the keys have ended a session that began with p.
func (p *provider) reached(values [][]byte) (bool, error) {
	mark, ended, err := p.state(values)
	return ended || mark != "" && mark != p.mark, err
}

// begin stores which subject here signed in, and then reads the mark: an end at the provider that
// comes later finds the subject, and an earlier one is found here. The error is errRevoked if
// the session at the provider has ended.
func (m *Manager) begin(ctx context.Context, rec *record) error {
	p := &rec.provider
	if p.issuer == "" {
		return nil
	}
	until := time.Unix(0, max(rec.end, time.Now().Add(time.Minute).UnixNano())) // a later end reaches no session
	for _, key := range m.accountKeys(p.issuer, p.subject, p.session) {
		if err := m.addAccount(ctx, key, rec.subject, until); err != nil {
			return err
		}
	}
	keys := p.keys()
	values, err := m.findEach(ctx, keys)
	if err != nil {
		return err
	}
	ended := false
	if p.mark, ended, err = p.state(values); err == nil && ended {
		err = errRevoked
	}
	return err
}

// accountKeys are the keys of the entries that name the subjects here: by the subject, and by the
// session, at the provider.
func (m *Manager) accountKeys(issuer, subject, session string) (keys []string) {
	if issuer != "" && subject != "" {
		keys = append(keys, entryKey(kindAccount, m.issuer, handle.Of(issuer, subject, "subject")))
	}
	if session != "" {
		keys = append(keys, entryKey(kindAccount, m.issuer, session))
	}
	return keys
}

// accounts returns the subjects here that signed in with the subject or session that v names.
func (m *Manager) accounts(ctx context.Context, v middleware.Revocation) ([]string, error) {
	values, err := m.findEach(ctx, m.accountKeys(v.Issuer, v.Subject, v.SessionHandle))
	if err != nil {
		return nil, err
	}
	var subjects []string
	for _, b := range values {
		named, err := parseAccounts(b)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, named...)
	}
	slices.Sort(subjects)
	return slices.Compact(subjects), nil
}

// tellAccounts calls fn for each subject here whose sessions an end at the provider may reach.
func (m *Manager) tellAccounts(ctx context.Context, v middleware.Revocation, fn func(middleware.Revocation) error) error {
	subjects, err := m.accounts(ctx, v)
	for _, subject := range subjects {
		err = errors.Join(err, fn(m.askAbout(subject, time.Now().Round(0))))
	}
	return err
}

func (m *Manager) findEach(ctx context.Context, keys []string) ([][]byte, error) {
	return bounded.Call(ctx, m.store.calls, "session: store: find", func() ([][]byte, error) {
		values := make([][]byte, len(keys))
		return values, m.store.findEachRaw(ctx, keys, values)
	})
}

// followerTimeout is how long a function that follows [middleware.Revocations] may wait.
const followerTimeout = time.Second

// followRevocations follows Config.Revocations, for ends at a provider too.
func (m *Manager) followRevocations(fn func(middleware.Revocation)) (stop func()) {
	return m.revocations.Follow(func(v middleware.Revocation) {
		fn(v)
		ctx, cancel := context.WithTimeout(context.Background(), min(m.timeout, followerTimeout))
		defer cancel()
		if err := m.tellAccounts(ctx, v, func(v middleware.Revocation) error { fn(v); return nil }); err != nil {
			m.log().Warn("session: the sessions of an end at a provider are not known, until the recheck", "error", err)
		}
	})
}

// principal is that of the sign-in at the provider, about which Config.Revocations is asked.
func (p *provider) principal(own middleware.Principal) middleware.Principal {
	own.Issuer, own.Subject, own.SessionHandle = p.issuer, p.subject, p.session
	own.IssuedAt = own.AuthTime
	return own
}
