package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// reading is a session as the store has it.
type reading struct {
	rec   *record
	b     []byte // its bytes
	marks marks  // of its subject, as they are now
	why   error  // it is not alive: errGone, errRevoked; rec may be nil
}

// read returns a live session; errGone, errRevoked, or the error of the store or the
// revocations. Only read makes a session of a record.
func (m *Manager) read(ctx context.Context, handle string) (reading, error) {
	var found reading
	var err error
	if m.store.calls.Direct() { // without the allocations of a function
		found, err = m.readRaw(ctx, handle)
	} else {
		found, err = m.readBounded(ctx, handle)
	}
	if err == nil {
		err = found.why
	}
	if m.revocations != nil && !errors.Is(err, errRevoked) {
		if asked := m.checkRevocations(ctx, handle, found.rec); err == nil || errors.Is(asked, errRevoked) {
			err = asked
		}
	}
	if err != nil {
		return reading{}, err
	}
	return found, nil
}

func (m *Manager) readBounded(ctx context.Context, handle string) (reading, error) {
	return bounded.Call(ctx, m.store.calls, "session: store: find", func() (reading, error) { return m.readRaw(ctx, handle) })
}

// readRaw is read without Config.Revocations, within a bounded.Call: one goroutine for all
// that a request asks the store.
func (m *Manager) readRaw(ctx context.Context, handle string) (found reading, err error) {
	if found.b, err = m.store.findRaw(ctx, handle); err != nil {
		return found, err
	}
	if found.b == nil {
		return m.absentRaw(ctx, handle)
	}
	if found.rec, err = decode(found.b); err == nil && found.rec.issuer != m.issuer {
		found.rec, err = nil, fmt.Errorf("session: record: of the issuer %q, not of Config.Issuer %q", found.rec.issuer, m.issuer)
	}
	switch {
	case err != nil:
		m.log().WarnContext(ctx, "session: a record is not usable", "error", err)
		found.why = errGone
	case !m.live(found.rec, time.Now()):
		found.why = errGone
	default:
		found.rec.current = found.rec.roles
		return found, m.askRaw(ctx, handle, &found)
	}
	return found, nil
}

// absentRaw distinguishes a browser that was signed out from one whose session ran out.
func (m *Manager) absentRaw(ctx context.Context, handle string) (reading, error) {
	b, err := m.store.findRaw(ctx, entryKey(kindEnded, "", handle))
	if err != nil {
		return reading{}, err
	}
	ended, err := fixedPayload(b, kindEnded, tombstoneSize)
	if ended != "" {
		return reading{why: errRevoked}, nil
	}
	return reading{why: errGone}, err
}

// askRaw asks the entries beside a record whether the session has ended. A tombstone is
// asked for only if a deleted record can be written back.
func (m *Manager) askRaw(ctx context.Context, handle string, found *reading) (err error) {
	var stack [subjectEntries + 1 + providerEntries]string
	var values [len(stack)][]byte
	keys := stack[:0]
	if found.rec.subject != "" {
		beside := m.keys.of(found.rec.subject)
		keys = append(keys, beside[:]...)
	}
	ofRecord := len(keys)
	if m.store.swapper == nil {
		keys = append(keys, entryKey(kindEnded, "", handle))
	}
	ofProvider := len(keys)
	keys = append(keys, found.rec.provider.keys()...)
	if err := m.store.findEachRaw(ctx, keys, values[:]); err != nil {
		return err
	}
	if ofProvider < len(keys) {
		reached, err := found.rec.provider.reached(values[ofProvider:len(keys)])
		if err != nil || reached {
			found.why = errRevoked
			return err
		}
	}
	if ofRecord > 0 {
		if err := found.apply([subjectEntries][]byte(values[:])); err != nil {
			return err
		}
	}
	ended := ""
	if m.store.swapper == nil {
		if ended, err = fixedPayload(values[ofRecord], kindEnded, tombstoneSize); err != nil {
			return err
		}
	}
	if ended != "" || found.marks.reached(found.rec.marks) {
		found.why = errRevoked
	}
	return nil
}

// apply sets the marks of the subject, and its roles if they were set after the sign-in.
func (found *reading) apply(values [subjectEntries][]byte) (err error) {
	if found.marks, err = parseMarks(values); err != nil {
		return err
	}
	if now := found.marks.roles; now != "" && now != found.rec.marks.roles {
		found.rec.current, err = rolesOf(values[subjectEntries-1])
	}
	return err
}

// checkRevocations asks Config.Revocations, which is not nil; rec is nil if it is not
// readable.
func (m *Manager) checkRevocations(ctx context.Context, handle string, rec *record) error {
	if rec == nil {
		rec = &record{}
	}
	p := m.principal(handle, rec)
	err := m.askRevocations(ctx, p)
	if err == nil && rec.provider.issuer != "" {
		err = m.askRevocations(ctx, rec.provider.principal(p))
	}
	return err
}

func (m *Manager) askRevocations(ctx context.Context, p middleware.Principal) error {
	revoked, err := bounded.Call(ctx, m.asking, "session: revocations", func() (bool, error) { return m.revocations.Revoked(ctx, p) })
	if err == nil && revoked {
		err = errRevoked
	}
	return err
}
