package bearer

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"
)

// maxKeys is how many keys a set may list. Issuers publish two or three, hosts of many tenants
// hundreds.
const maxKeys = 4096

var (
	errKeySet  = errors.New("not a JSON object with an array of keys (RFC 7517 §5)")
	errTooMany = fmt.Errorf("more than %d keys", maxKeys)
	errNoKey   = errors.New("no usable key")
)

// keySet is an issuer's keys at one moment. It is immutable.
type keySet struct {
	keys      map[slot]*key       // nil: two keys claim the slot, so it names neither
	kids      map[string]struct{} // every kid of the document, usable or not
	usable    map[string]struct{} // the thumbprints of keys
	withdrawn map[string]struct{} // thumbprints that earlier sets had as usable, and this one has not
	gone      map[string]struct{} // kids likewise
	asOf      time.Time           // when it was asked for
	unused    []string            // why keys were left out, for the log
}

// maxWithdrawn bounds the thumbprints and kids that are remembered; issuers withdraw a few a year.
const maxWithdrawn = maxKeys

// parseKeySet reads a JWK set (RFC 7517 §5). A key that cannot be used is left out and
// does not harm the others, so an issuer may publish kinds of keys that are not known
// here. A set without one usable key is an error.
//
// One kid may stand for keys of several algorithms (RFC 7517 §4.5), but if two
// different keys claim the same kid and alg neither is used. A key that prev has as well
// is taken over from there, so that the tokens it verified stay verified.
func parseKeySet(doc []byte, algorithms *algorithmSet, noKeyID bool, prev *keySet) (*keySet, error) {
	members, err := looseObject(doc)
	if err != nil {
		return nil, errKeySet
	}
	var list [][]byte
	ok := false
	for _, m := range members {
		if string(m.name) == "keys" {
			list, ok = array(m.value, maxKeys)
		}
	}
	switch {
	case !ok:
		return nil, errKeySet
	case len(list) > maxKeys:
		return nil, errTooMany
	}
	set := &keySet{keys: map[slot]*key{}, kids: map[string]struct{}{}, usable: map[string]struct{}{}}
	for i, raw := range list {
		k, kid, err := parseKey(raw, algorithms)
		if kid == "" && err == nil && !noKeyID {
			err = errKeyNoID
		}
		if kid != "" {
			set.kids[kid] = struct{}{}
		}
		if err == errKeyUse {
			continue // a key for encryption, as many issuers publish
		}
		if err != nil {
			set.unused = append(set.unused, fmt.Sprintf("key %d, kid %.64q: %v", i, kid, err))
			continue
		}
		set.add(kid, k, prev)
	}
	for _, k := range set.keys {
		if k != nil {
			set.usable[k.thumbprint] = struct{}{}
		}
	}
	if len(set.usable) == 0 {
		return nil, noKey(set.unused)
	}
	set.follow(prev)
	return set, nil
}

// noKey is errNoKey with the reasons of up to three keys.
func noKey(unused []string) error {
	if len(unused) == 0 {
		return errNoKey
	}
	return fmt.Errorf("%w: %s", errNoKey, strings.Join(unused[:min(len(unused), 3)], "; "))
}

// follow notes which keys the issuer has withdrawn since prev.
func (s *keySet) follow(prev *keySet) {
	if prev == nil {
		prev = &keySet{}
	}
	s.withdrawn = without(prev.withdrawn, prev.usable, s.usable)
	s.gone = without(prev.gone, prev.kids, s.kids)
}

// without returns the names of earlier and last, less those of now. Too many earlier ones are
// left out.
func without(earlier, last, now map[string]struct{}) map[string]struct{} {
	names := map[string]struct{}{}
	if len(earlier)+len(last) <= maxWithdrawn {
		maps.Copy(names, earlier)
	}
	maps.Copy(names, last)
	maps.DeleteFunc(names, func(name string, _ struct{}) bool { return has(now, name) })
	return names
}

func has(set map[string]struct{}, name string) bool {
	_, ok := set[name]
	return ok
}

func (s *keySet) add(kid string, k *key, prev *keySet) {
	for _, alg := range k.algorithms {
		at := slot{kid, alg}
		there, taken := s.keys[at]
		switch {
		case !taken:
			s.keys[at] = k
			if prev != nil && prev.keys[at].same(k) {
				s.keys[at] = prev.keys[at]
			}
		case there == nil:
		case !there.same(k):
			s.keys[at] = nil
			s.unused = append(s.unused, fmt.Sprintf("kid %.64q: two keys for %s", kid, alg))
		}
	}
}

// only returns the one key for the algorithm, if there is one.
func (s *keySet) only(alg Algorithm) (at slot, k *key) {
	for found, key := range s.keys {
		switch {
		case found.alg != alg:
		case key == nil || k != nil && !k.same(key):
			return slot{}, nil
		default:
			at, k = found, key
		}
	}
	return at, k
}

// knows reports whether the issuer has published the kid, usable or not.
func (s *keySet) knows(kid string) bool { return has(s.kids, kid) }

// report names the keys that were left out, once per change.
func (s *keySet) report(log *slog.Logger) {
	if len(s.unused) > 0 {
		log.Warn("bearer: keys: left out", "count", len(s.unused), "first", s.unused[:min(len(s.unused), 8)])
	}
}
