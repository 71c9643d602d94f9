package live

import (
	"net/netip"
	"sync"
)

// addressKey is a client's address: IPv4 whole, IPv6 by its /64, since a client that holds
// one address of it holds all.
type addressKey = netip.Addr

// addresses counts the places of each client address.
type addresses struct {
	mu   sync.Mutex
	open map[addressKey]*share
}

// share is what one address has; guarded by addresses.mu.
type share struct {
	address addressKey
	n       int
}

// enter takes a place in the share of the address; false if it has none left. An unknown
// address has no share.
func (x *addresses) enter(a addressKey, most int) (*share, bool) {
	if !a.IsValid() {
		return nil, true
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.open[a]
	if s == nil {
		s = &share{address: a}
		x.open[a] = s
	}
	if s.n >= most {
		return nil, false
	}
	s.n++
	return s, true
}

func (x *addresses) leave(s *share) {
	if s == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if s.n--; s.n == 0 {
		delete(x.open, s.address)
	}
}
