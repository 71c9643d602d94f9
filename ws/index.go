package ws

import (
	"hash/maphash"
	"sync"

	"github.com/securews/securews/middleware"
)

// index finds the connections of a subject, a session and a token. Its lists run
// through the connections themselves.
type index struct {
	seed   maphash.Seed
	shards [64]indexShard
}

type indexShard struct {
	mu    sync.Mutex
	lists map[indexKey]indexList
}

type indexList struct {
	head *Conn
	n    int
}

const (
	bySubject = iota
	bySession
	byToken
	indexKinds
)

// indexKey names a list; issuer only where kind is bySubject.
type indexKey struct {
	kind          uint8
	issuer, value string
}

// links are a connection's neighbours in the list of one kind, guarded by the
// shard's lock.
type links struct{ next, prev *Conn }

func newIndex() *index {
	x := &index{seed: maphash.MakeSeed()}
	for i := range x.shards {
		x.shards[i].lists = map[indexKey]indexList{}
	}
	return x
}

func (x *index) shard(k indexKey) *indexShard {
	return &x.shards[maphash.Comparable(x.seed, k)%uint64(len(x.shards))]
}

// indexKeys are the lists that a principal's connections stand in; an empty value
// stands for none.
func indexKeys(p *middleware.Principal) [indexKinds]indexKey {
	return [indexKinds]indexKey{
		bySubject: {bySubject, p.Issuer, p.Subject},
		bySession: {bySession, "", p.SessionHandle},
		byToken:   {byToken, "", p.TokenHandle},
	}
}

// add enters c, unless its principal has perPrincipal connections already. A
// principal without a subject is nobody in particular and has no such share.
func (x *index) add(c *Conn, perPrincipal int) bool {
	for _, k := range indexKeys(&c.principal) {
		if k.value == "" {
			continue
		}
		s := x.shard(k)
		s.mu.Lock()
		l := s.lists[k]
		if k.kind == bySubject && l.n >= perPrincipal {
			s.mu.Unlock()
			return false // subjects come first: nothing to undo
		}
		if l.head != nil {
			l.head.links[k.kind].prev = c
		}
		c.links[k.kind] = links{next: l.head}
		s.lists[k] = indexList{head: c, n: l.n + 1}
		s.mu.Unlock()
	}
	return true
}

func (x *index) remove(c *Conn) {
	for _, k := range indexKeys(&c.principal) {
		if k.value == "" {
			continue
		}
		s := x.shard(k)
		s.mu.Lock()
		l, at := s.lists[k], &c.links[k.kind]
		if at.prev != nil {
			at.prev.links[k.kind].next = at.next
		} else {
			l.head = at.next
		}
		if at.next != nil {
			at.next.links[k.kind].prev = at.prev
		}
		*at = links{}
		if l.n--; l.n == 0 {
			delete(s.lists, k)
		} else {
			s.lists[k] = l
		}
		s.mu.Unlock()
	}
}

// covered returns the connections that a revocation may reach.
func (x *index) covered(v middleware.Revocation) []*Conn {
	var found []*Conn
	collect := func(kind uint8, head *Conn) {
		for c := head; c != nil; c = c.links[kind].next {
			if v.Covers(c.principal) {
				found = append(found, c)
			}
		}
	}
	for _, k := range indexKeys(&middleware.Principal{Issuer: v.Issuer, Subject: v.Subject, SessionHandle: v.SessionHandle, TokenHandle: v.TokenHandle}) {
		if k.value == "" || k.kind == bySubject && k.issuer == "" {
			continue
		}
		s := x.shard(k)
		s.mu.Lock()
		collect(k.kind, s.lists[k].head)
		s.mu.Unlock()
	}
	if v.Subject != "" && v.Issuer == "" { // under every issuer: rare, and worth a walk
		for i := range x.shards {
			s := &x.shards[i]
			s.mu.Lock()
			for k, l := range s.lists {
				if k.kind == bySubject && k.value == v.Subject {
					collect(bySubject, l.head)
				}
			}
			s.mu.Unlock()
		}
	}
	return found
}
