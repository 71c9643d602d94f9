package session

import (
	"encoding/base64"

	"github.com/securews/securews/internal/recent"
)

// subjectEntries is how many entries of its subject a load asks for.
const subjectEntries = 3

// subjectKeys computes the keys of the entries of a Manager's subjects, and remembers them: they
// are a sixth of a load. It has keys alone, and no value of the store.
type subjectKeys struct {
	issuer string
	recent *recent.Cache[[subjectEntries]string]
}

func newSubjectKeys(issuer string) subjectKeys {
	return subjectKeys{issuer, recent.New[[subjectEntries]string]()}
}

func (x *subjectKeys) of(subject string) [subjectEntries]string {
	keys, ok := x.recent.Get(subject)
	if ok {
		return keys
	}
	var text [subjectEntries * tokenLen]byte
	for i, kind := range [...]byte{kindEverywhere, kindOthers, kindRoles} {
		sum := entrySum(kind, x.issuer, subject)
		base64.RawURLEncoding.Encode(text[i*tokenLen:], sum[:])
	}
	all := string(text[:])
	for i := range keys {
		keys[i] = all[i*tokenLen : (i+1)*tokenLen]
	}
	x.recent.Put(subject, keys)
	return keys
}
