package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// Identity is the user that signs in. It becomes part of the session's principals, beside
// the Manager's Issuer.
type Identity struct {
	_ [0]func()

	Subject    string            // not empty, at most 1024 bytes
	Scopes     []string          // of the session
	Roles      []string          // of the user; see [Manager.SetRoles]
	Attributes map[string]string // a few: 24 KiB together with Scopes and Roles

	// Provider is the sign-in at an OpenID provider that this one rests on; the zero value:
	// none. The session then ends with it: with the provider's session if there is a
	// SessionID, and in any case with a sign-out of that subject there. See
	// bearer.NewBackChannelLogout.
	Provider ProviderSignIn
}

const (
	maxSubject  = 1024
	maxIdentity = 24 << 10
)

func (id Identity) validate() error {
	size := 0
	for _, s := range slices.Concat(id.Scopes, id.Roles) {
		size += len(s) + 3
	}
	for name, value := range id.Attributes {
		size += len(name) + len(value) + 6
	}
	switch {
	case id.Subject == "":
		return errors.New("session: login: Subject is empty")
	case len(id.Subject) > maxSubject:
		return fmt.Errorf("session: login: Subject: more than %d bytes", maxSubject)
	case size > maxIdentity:
		return fmt.Errorf("session: login: Scopes, Roles and Attributes: more than %d bytes", maxIdentity)
	}
	return id.Provider.validate()
}

// Login signs the browser in, under a new token, so that a cookie planted by an attacker
// is worth nothing (session fixation, ASVS 7.2.4). The application's values are kept,
// with those that this request has put before, unless the session was another subject's. The
// session of the request ends, with its connections, and its record is deleted. The new cookie
// travels in the response.
//
// Login must be called before the response begins ([ErrBegun]), not in a handshake
// ([ErrHandshake]), and behind Handler. On an error the user is not signed in;
// [middleware.Refuse] answers it with 503 if the store or the revocations failed, and
// with 500 if the call was wrong.
func (m *Manager) Login(ctx context.Context, id Identity) error {
	if err := id.validate(); err != nil {
		return err
	}
	id.Scopes, id.Roles, id.Attributes = slices.Clone(id.Scopes), slices.Clone(id.Roles), maps.Clone(id.Attributes)
	st, err := m.acquire(ctx, "login")
	if err != nil {
		return err
	}
	defer st.release()
	if p := id.Provider; p.Issuer != "" && p.Issuer == m.issuer && p.Subject != id.Subject {
		return errors.New("session: login: Provider: its Issuer is that of the Manager, and its Subject is not " +
			"Identity.Subject: write another Config.Issuer")
	}
	ctx, cancel := m.committing()
	defer cancel()
	rec := m.newRecord(id, time.Now())
	if rec.values, err = m.valuesToKeep(ctx, st, id.Subject); err != nil {
		return err
	}
	if _, err := rec.encode(); err != nil {
		return err
	}
	if err := m.begin(ctx, rec); err != nil {
		return refused(err)
	}
	token, handle, err := m.signIn(ctx, rec)
	if err != nil {
		return err
	}
	if st.handle != "" {
		if err := m.end(ctx, st.handle, st.rec, renewed); err != nil {
			return unavailable(errors.Join(err, m.store.delete(ctx, handle)))
		}
	}
	if err := st.become(handle, rec, token); err != nil {
		return errors.Join(err, m.store.delete(ctx, handle))
	}
	return nil
}

// signIns bounds the attempts of one signIn: each failed one means that a sign-out of the
// subject came between.
const signIns = 4

// signIn writes the record under a new token, with the marks of its subject. It reads them
// again afterwards: a sign-out in between has ended the new session, and the user signs in
// once more.
func (m *Manager) signIn(ctx context.Context, rec *record) (token, handle string, err error) {
	for range signIns {
		if rec.marks, err = m.marks(ctx, rec.subject); err != nil {
			return "", "", unavailable(err)
		}
		token, handle = newToken()
		if err := m.insert(ctx, handle, rec); err != nil {
			return "", "", unavailable(err)
		}
		now, err := m.marks(ctx, rec.subject)
		if err == nil && now.ends() == rec.marks.ends() {
			return token, handle, nil
		}
		if err = errors.Join(err, m.store.delete(ctx, handle)); err != nil {
			return "", "", unavailable(err)
		}
	}
	return "", "", middleware.Unavailable(errSignOuts)
}

var errSignOuts = errors.New("session: login: each time a sign-out of the subject came between")

func (m *Manager) marks(ctx context.Context, subject string) (marks, error) {
	return bounded.Call(ctx, m.store.calls, "session: store: find", func() (marks, error) { return m.marksRaw(ctx, subject) })
}

// valuesToKeep returns the old session's values as they are now, with this request's
// changes on top. The values of one subject's session are not another subject's.
func (m *Manager) valuesToKeep(ctx context.Context, st *state, subject string) (values []value, err error) {
	changed := st.values.pending()
	if st.rec != nil {
		now, err := m.read(ctx, st.handle)
		switch {
		case err != nil && !errors.Is(err, errGone) && !errors.Is(err, errRevoked):
			return nil, refused(err)
		case err == nil && (now.rec.subject == "" || now.rec.subject == subject):
			values = now.rec.values
		}
		if st.rec.subject != "" && st.rec.subject != subject {
			changed = nil
		}
	}
	values = merge(values, changed)
	if err := fits(values); err != nil {
		return nil, fmt.Errorf("session: login: %w", err)
	}
	return values, nil
}
