package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"
)

// Entries of these kinds stand in the store beside the records.
//
// Each subject has two marks: random bytes, never a number or a time. A session has
// copies of both from its sign-in, and is alive as long as they have not been replaced. So a
// sign-out has nothing to read and nothing to compare, and no clock is involved.
const (
	kindEverywhere = 'E' // mark of a subject: LogoutEverywhere replaces it, and nothing else does
	kindOthers     = 'O' // mark of a subject: LogoutOthers replaces it
	kindRoles      = 'R' // mark of a subject, and roles: SetRoles replaces them
	kindEnded      = 'T' // tombstone of a session, by its handle
	kindToken      = 'J' // tombstone of a token, by its handle
	kindCutoff     = 'C' // time before which the tokens of a subject are revoked
)

// entryMagic begins the value of every such entry, before its kind; no record begins so.
const entryMagic = "wsr\x01"

// entryRetention is how long a mark or a cut-off is kept: longer than any session or token, so
// that an absent one means that nothing happened.
const entryRetention = maxAbsolute + time.Hour

// entryKey is the key of an entry. It has the length of a handle, exactly 43 bytes: some
// stores have a column of that width, and truncate or refuse a longer key.
func entryKey(kind byte, issuer, value string) string {
	sum := entrySum(kind, issuer, value)
	return encode32(&sum)
}

func entrySum(kind byte, issuer, value string) [sha256.Size]byte {
	var stack [128]byte
	b := append(stack[:0], "securews/1\x00"...)
	b = append(b, kind, 0)
	b = append(b, issuer...)
	b = append(b, 0)
	b = append(b, value...)
	return sha256.Sum256(b)
}

func entryValue(kind byte, payload string) []byte {
	return append(append([]byte(entryMagic), kind), payload...)
}

var errEntry = errors.New("session: the store returned something else than this package wrote: does it truncate or change keys?")

// payloadOf returns the bytes behind the kind; "" if the entry is absent.
func payloadOf(b []byte, kind byte, size int) (string, error) {
	p, err := payload(b, kind)
	if err != nil || p != nil && len(p) != size {
		return "", errEntry
	}
	return string(p), nil
}

// payload returns nil if the entry is absent.
func payload(b []byte, kind byte) ([]byte, error) {
	switch {
	case b == nil:
		return nil, nil
	case len(b) <= len(entryMagic) || string(b[:len(entryMagic)]) != entryMagic || b[len(entryMagic)] != kind:
		return nil, errEntry
	}
	return b[len(entryMagic)+1:], nil
}

const markSize = 16

// marks are those of a subject; "" is an absent one.
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

// tombstoneSize is that of the payload of kindEnded and kindToken: the end of the entry, in Unix
// nanoseconds.
const tombstoneSize = 8

// marksRaw reads the marks of a subject, within a bounded.Call.
func (s *store) marksRaw(ctx context.Context, issuer, subject string) (now marks, err error) {
	keys := s.keys.of(issuer, subject)
	var values [ofSubject][]byte
	if err := s.findEachRaw(ctx, keys[:], values[:]); err != nil {
		return marks{}, err
	}
	return parseMarks(values)
}

func parseMarks(values [ofSubject][]byte) (now marks, err error) {
	if now.everywhere, err = payloadOf(values[0], kindEverywhere, markSize); err != nil {
		return marks{}, err
	}
	if now.others, err = payloadOf(values[1], kindOthers, markSize); err != nil {
		return marks{}, err
	}
	mark, _, err := splitRoles(values[2])
	now.roles = string(mark)
	return now, err
}
