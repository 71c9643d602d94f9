package session

import (
	"encoding/base64"
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// ofSubject is how many entries of its subject a load asks for.
const ofSubject = 3

// subjectKeys remembers the keys of the subjects that were asked about last: to compute them is
// a sixth of a load. It has keys alone, and no value of the store.
type subjectKeys struct {
	seed   maphash.Seed
	recent [512]atomic.Pointer[keysOf]
}

type keysOf struct {
	issuer, subject string
	keys            [ofSubject]string
}

func newSubjectKeys() *subjectKeys { return &subjectKeys{seed: maphash.MakeSeed()} }

func (x *subjectKeys) of(issuer, subject string) *[ofSubject]string {
	slot := &x.recent[maphash.String(x.seed, subject)%uint64(len(x.recent))]
	if k := slot.Load(); k != nil && k.subject == subject && k.issuer == issuer {
		return &k.keys
	}
	k := &keysOf{issuer: issuer, subject: strings.Clone(subject)} // it is a part of a record
	var text [ofSubject * tokenLen]byte
	for i, kind := range [...]byte{kindEverywhere, kindOthers, kindRoles} {
		sum := entrySum(kind, issuer, subject)
		base64.RawURLEncoding.Encode(text[i*tokenLen:], sum[:])
	}
	all := string(text[:])
	for i := range k.keys {
		k.keys[i] = all[i*tokenLen : (i+1)*tokenLen]
	}
	slot.Store(k)
	return &k.keys
}
