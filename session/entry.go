package session

import (
	"crypto/sha256"
	"errors"
	"time"

	"github.com/securews/securews/internal/entry"
)

// Entries stand in the store beside the records, each of one of these kinds.
const (
	kindEverywhere = 'E'               // mark of a subject: LogoutEverywhere replaces it, and nothing else does
	kindOthers     = 'O'               // mark of a subject: LogoutOthers replaces it
	kindRoles      = 'R'               // mark of a subject, and roles: SetRoles replaces them
	kindAccount    = entry.KindAccount // subject here, by a subject or session of an OpenID provider
	kindEnded      = entry.KindEnded   // tombstone of a session, by its handle
	kindToken      = entry.KindToken   // tombstone of a token, by its handle
	kindCutoff     = 'C'               // time before which the tokens of a subject are revoked
)

const entryMagic = entry.Magic

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

// payloadOf returns the bytes behind the kind; nil if the entry is absent.
func payloadOf(b []byte, kind byte) ([]byte, error) {
	switch {
	case b == nil:
		return nil, nil
	case len(b) <= len(entryMagic) || string(b[:len(entryMagic)]) != entryMagic || b[len(entryMagic)] != kind:
		return nil, errEntry
	}
	return b[len(entryMagic)+1:], nil
}

// fixedPayload is payloadOf for a kind whose payloads have one size; "" if the entry is absent.
func fixedPayload(b []byte, kind byte, size int) (string, error) {
	p, err := payloadOf(b, kind)
	if err != nil || p != nil && len(p) != size {
		return "", errEntry
	}
	return string(p), nil
}
