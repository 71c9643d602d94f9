// Package entry distinguishes the entries that package session keeps beside the records of sessions,
// such as the marks of a sign-out, from those records.
package entry

import "bytes"

// Magic begins the value of every entry, before its kind, and the value of no record.
const Magic = "wsr\x01"

// KindAccount is the kind of an entry that has the subject of an account at an identity provider. All
// other kinds are of an end or a change of roles: KindEnded and KindToken of a single session or token,
// the rest of a subject.
const (
	KindAccount = 'P'
	KindEnded   = 'T'
	KindToken   = 'J'
)

// MagicOfRecords begins the value of every record of a session, of any version.
const MagicOfRecords = "wss"

// IsRecord reports whether a value of the store is the record of a session. Its key is never used for another.
func IsRecord(value []byte) bool { return bytes.HasPrefix(value, []byte(MagicOfRecords)) }

// IsEnd reports whether a value of the store is an entry of an end, which must not be lost.
func IsEnd(value []byte) bool {
	return len(value) > len(Magic) && string(value[:len(Magic)]) == Magic && value[len(Magic)] != KindAccount
}

// IsOfSubject reports whether a value is an end of a subject, which has one or two of them at most.
func IsOfSubject(value []byte) bool {
	if !IsEnd(value) {
		return false
	}
	kind := value[len(Magic)]
	return kind != KindEnded && kind != KindToken
}
