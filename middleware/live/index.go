package live

import (
	"hash/maphash"
	"sync"

	"github.com/securews/securews/middleware"
)

// index finds the bindings of a subject, a session and a token. Its lists run through the
// bindings themselves. A list is found by a hash, so it may hold bindings of several keys of
// one kind, which are told apart by their principals.
type index struct {
	hash   func(key) uint64
	shards [64]indexShard

	mu      sync.RWMutex
	issuers map[string]struct{} // of all principals that were ever entered
}

type indexShard struct {
	mu    sync.Mutex
	heads [indexKinds]map[uint64]*Binding
}

// key names a list; issuer only if kind is bySubject.
type key struct {
	kind          uint8
	issuer, value string
}

func keyOf(kind uint8, p *middleware.Principal) key {
	switch kind {
	case bySubject:
		return key{bySubject, p.Issuer, p.Subject}
	case bySession:
		return key{bySession, "", p.SessionHandle}
	}
	return key{byToken, "", p.TokenHandle}
}

func (x *index) init() {
	seed := maphash.MakeSeed()
	x.hash = func(k key) uint64 { return maphash.Comparable(seed, k) }
	x.issuers = map[string]struct{}{}
	for i := range x.shards {
		for kind := range x.shards[i].heads {
			x.shards[i].heads[kind] = map[uint64]*Binding{}
		}
	}
}

func (x *index) shard(k key) (*indexShard, uint64) {
	h := x.hash(k)
	return &x.shards[h%uint64(len(x.shards))], h
}

// add enters b, unless its principal has perPrincipal bindings already. A principal
// without a subject has no such share, and stands in no list of subjects.
func (x *index) add(b *Binding, p *middleware.Principal, perPrincipal int) bool {
	if p.Subject != "" && !x.link(b, keyOf(bySubject, p), perPrincipal) {
		return false
	}
	x.linkHandles(b, p)
	x.meet(p.Issuer)
	return true
}

// meet remembers an issuer, for revocations of a subject under every issuer.
func (x *index) meet(issuer string) {
	x.mu.RLock()
	_, known := x.issuers[issuer]
	x.mu.RUnlock()
	if known {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.issuers[issuer] = struct{}{}
}

const unlimited = 1 << 30

func (x *index) linkHandles(b *Binding, p *middleware.Principal) {
	for _, kind := range [...]uint8{bySession, byToken} {
		if k := keyOf(kind, p); k.value != "" {
			x.link(b, k, unlimited)
		}
	}
}

func (x *index) link(b *Binding, k key, most int) bool {
	s, h := x.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	head := s.heads[k.kind][h]
	if k.kind == bySubject && !b.counted(head, most) {
		return false
	}
	if head != nil {
		head.links[k.kind].prev = b
	}
	b.links[k.kind].next = head
	s.heads[k.kind][h] = b
	return true
}

// counted counts b as the new head of a subject's list; false if the list is full.
func (b *Binding) counted(head *Binding, most int) bool {
	n := int32(1)
	if head != nil {
		n += head.ofSubject
	}
	if int(n) > most {
		return false
	}
	b.ofSubject = n
	return true
}

func (x *index) remove(b *Binding, p *middleware.Principal) {
	for kind := range uint8(indexKinds) {
		if k := keyOf(kind, p); k.value != "" {
			x.unlink(b, k)
		}
	}
}

func (x *index) unlink(b *Binding, k key) {
	s, h := x.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := b.links[k.kind]
	b.links[k.kind] = links{}
	if at.next != nil {
		at.next.links[k.kind].prev = at.prev
	}
	was := s.heads[k.kind][h]
	head := was
	switch {
	case at.prev != nil:
		at.prev.links[k.kind].next = at.next
	case at.next != nil:
		head = at.next
		s.heads[k.kind][h] = head
	default:
		delete(s.heads[k.kind], h)
	}
	if k.kind == bySubject {
		was.ofSubject, head.ofSubject = 0, was.ofSubject-1
	}
}

// replace moves b from the lists of old to those of p, a principal of the same subject. A
// revocation of p that comes before b has p does not find it: the caller asks afterwards.
func (x *index) replace(b *Binding, old, p *middleware.Principal) {
	for _, kind := range [...]uint8{bySession, byToken} {
		was, is := keyOf(kind, old), keyOf(kind, p)
		if was == is {
			continue
		}
		if was.value != "" {
			x.unlink(b, was)
		}
		if is.value != "" {
			x.link(b, is, unlimited)
		}
	}
	b.principal.Store(p)
}

// list returns the bindings of a key.
func (x *index) list(k key) (found []*Binding) {
	if k.value == "" {
		return nil
	}
	s, h := x.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	for b := s.heads[k.kind][h]; b != nil; b = b.links[k.kind].next {
		if p := b.principal.Load(); keyOf(k.kind, p) == k {
			found = append(found, b)
		}
	}
	return found
}

// all returns every binding that has a subject or a handle, once.
func (x *index) all() map[*Binding]struct{} {
	found := map[*Binding]struct{}{}
	for i := range x.shards {
		x.shards[i].all(found)
	}
	return found
}

func (s *indexShard) all(found map[*Binding]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for kind := range s.heads {
		for _, b := range s.heads[kind] {
			for ; b != nil; b = b.links[kind].next {
				found[b] = struct{}{}
			}
		}
	}
}

// subject returns the bindings of a subject; an empty issuer is every issuer.
func (x *index) subject(issuer, subject string) []*Binding {
	if issuer != "" {
		return x.list(key{bySubject, issuer, subject})
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found []*Binding
	for issuer := range x.issuers {
		found = append(found, x.list(key{bySubject, issuer, subject})...)
	}
	return found
}
