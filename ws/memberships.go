package ws

import (
	"slices"
	"sync"
)

// memberships are the groups that a connection is a member of. The mutex is locked before that of a
// group.
type memberships struct {
	mu     sync.Mutex
	groups []*Group
	closed bool // the connection joins none any more
}

func (m *memberships) join(g *Group, o *outbound) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed && g.add(o) {
		m.groups = append(m.groups, g)
	}
}

func (m *memberships) leave(g *Group, o *outbound) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.groups, g); i >= 0 {
		m.groups = slices.Delete(m.groups, i, i+1)
		g.remove(o)
	}
}

// end ends every membership of a connection that ends.
func (m *memberships) end(o *outbound) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.groups {
		g.remove(o)
	}
	m.groups, m.closed = nil, true
}
