package redis

import (
	"slices"
	"sync"
	"time"

	"github.com/securews/securews/internal/entry"
)

// memorySize is how many ends a memory has at most.
const memorySize = 4096

// memories have the ends that a node remembers. Those of subjects, one or two for each, are kept
// apart from those of single sessions and tokens, of which one user may have any number: a user who
// signs in and out in a loop does not have a node forget the sign-out everywhere of another user.
type memories struct{ subjects, singles memory }

func (m *memories) add(s end, now time.Time) {
	if entry.IsOfSubject(s.value) {
		m.subjects.add(s, now)
		return
	}
	m.singles.add(s, now)
}

func (m *memories) all(now time.Time) []end {
	return append(m.subjects.all(now), m.singles.all(now)...)
}

func (m *memories) since(then, now time.Time) []end {
	return append(m.subjects.since(then, now), m.singles.since(then, now)...)
}

// get returns the end of a key, if one is remembered, and the memory that has it.
func (m *memories) get(key string) (known memorized, in *memory) {
	for _, in = range []*memory{&m.subjects, &m.singles} {
		if known, ok := in.get(key); ok {
			return known, in
		}
	}
	return memorized{}, nil
}

// holds returns the end of a key that is remembered and has not expired.
func (m *memories) holds(key string, now time.Time) (end, bool) {
	known, in := m.get(key)
	return known.end, in != nil && known.expires.After(now)
}

// forget drops an end, unless a later one of its key is remembered.
func (m *memories) forget(s end) {
	m.subjects.forget(s)
	m.singles.forget(s)
}

// newest is the greatest id of an end; zero: there was none.
func (m *memories) newest() id {
	a, b := m.subjects.greatest(), m.singles.greatest()
	if a.less(b) {
		return b
	}
	return a
}

// memory has the ends that this node wrote or read last, one for each key, so that they can be
// stored again. It is safe for concurrent use.
type memory struct {
	mu     sync.Mutex
	of     map[string]memorized
	order  []memorized // the oldest first, with those that were replaced since
	newest id          // the greatest of all ends that it has had
}

func (m *memory) greatest() id {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newest
}

type memorized struct {
	end
	at    time.Time // when this node learned of it
	since time.Time // since when the server has had another value; zero: it has not
}

// add keeps an end, unless a later one of its key is known.
func (m *memory) add(s end, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[string]memorized{}
	}
	if known, ok := m.of[s.key]; ok && !known.first.less(s.first) {
		return
	}
	x := memorized{end: s, at: now}
	m.of[s.key] = x
	m.order = append(m.order, x)
	if m.newest.less(s.first) {
		m.newest = s.first
	}
	if len(m.of) > memorySize {
		m.forgetOldest()
	}
	if len(m.order) > 2*memorySize {
		m.order = slices.DeleteFunc(m.order, func(x memorized) bool { return !m.current(x) })
	}
}

func (m *memory) get(key string) (memorized, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	x, ok := m.of[key]
	return x, ok
}

func (m *memory) forget(s end) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current(memorized{end: s}) {
		delete(m.of, s.key)
	}
}

// contradicted notes since when the server has had another value under the key; zero: it has not.
func (m *memory) contradicted(key string, since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if x, ok := m.of[key]; ok {
		x.since = since
		m.of[key] = x
	}
}

// doubt has the reader look up the end of a key as if this node had just learned of it.
func (m *memory) doubt(key string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.of[key]
	if !ok || now.Sub(known.at) < verifyFor/2 { // it is looked up
		return
	}
	known.at = now
	m.of[key] = known
	for i, x := range m.order {
		if x.key == key && m.current(x) {
			m.order[i].at = now
		}
	}
}

func (m *memory) forgetOldest() {
	for i, x := range m.order {
		if m.current(x) {
			delete(m.of, x.key)
			m.order = m.order[i+1:]
			return
		}
	}
}

func (m *memory) current(x memorized) bool {
	known, ok := m.of[x.key]
	return ok && known.first == x.first
}

// all returns the ends that have not expired, the oldest first.
func (m *memory) all(now time.Time) []end { return m.since(time.Time{}, now) }

// since returns those that have not expired and that this node has learned of since then.
func (m *memory) since(then, now time.Time) (found []end) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.order {
		if m.current(x) && x.expires.After(now) && !x.at.Before(then) {
			found = append(found, x.end)
		}
	}
	return found
}
