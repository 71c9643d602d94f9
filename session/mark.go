package session

import (
	"context"
	"crypto/rand"
)

const markSize = 16

// marks are those of a subject: random bytes, never a number or a time; "" is an absent one. A
// session has copies from its sign-in, and is alive as long as everywhere and others have not been
// replaced. So a sign-out has nothing to read and nothing to compare, and no clock is involved.
type marks struct{ everywhere, others, roles string }

func newMark() string {
	var b [markSize]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return string(b[:])
}

// reached reports whether a sign-out has reached a session that began under began. A mark
// that is absent has never been set.
func (now marks) reached(began marks) bool {
	return now.everywhere != "" && now.everywhere != began.everywhere ||
		now.others != "" && now.others != began.others
}

// ends are the marks that sign-outs replace.
func (now marks) ends() marks { return marks{everywhere: now.everywhere, others: now.others} }

// marksRaw reads the marks of a subject, within a bounded.Call.
func (m *Manager) marksRaw(ctx context.Context, subject string) (now marks, err error) {
	keys := m.keys.of(subject)
	var values [subjectEntries][]byte
	if err := m.store.findEachRaw(ctx, keys[:], values[:]); err != nil {
		return marks{}, err
	}
	return parseMarks(values)
}

func parseMarks(values [subjectEntries][]byte) (now marks, err error) {
	if now.everywhere, err = fixedPayload(values[0], kindEverywhere, markSize); err != nil {
		return marks{}, err
	}
	if now.others, err = fixedPayload(values[1], kindOthers, markSize); err != nil {
		return marks{}, err
	}
	mark, _, err := splitRoles(values[2])
	now.roles = string(mark)
	return now, err
}
