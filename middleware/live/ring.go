package live

import (
	"sync"

	"github.com/securews/securews/middleware"
)

const ringSize = 1024

// ring has the last revocations of an Auth, in order of time.
type ring struct {
	mu     sync.Mutex
	recent []revocation // the last ringSize, the oldest at next once it is full
	next   int
}

// revocation is a revocation, and when this process learned of it.
type revocation struct {
	at int64
	v  middleware.Revocation
}

// add enters v at the present time, which it reads in the order of the entries.
func (r *ring) add(now func() int64, v middleware.Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := revocation{now(), v}
	if len(r.recent) < ringSize {
		r.recent = append(r.recent, e)
		return
	}
	r.recent[r.next] = e
	r.next = (r.next + 1) % ringSize
}

// since looks for revocations of the principal since the time asked, from the newest back. open
// means that the ring does not tell: it does not reach back to asked, or a revocation of the
// subject is in it.
func (r *ring) since(asked int64, p *middleware.Principal) (revoked, open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range len(r.recent) {
		e := &r.recent[(r.next-1-i+2*len(r.recent))%len(r.recent)]
		if e.at < asked {
			return false, open
		}
		switch v := &e.v; {
		case v.Resync:
			open = true
		case v.SessionHandle != "" && v.SessionHandle == p.SessionHandle, v.TokenHandle != "" && v.TokenHandle == p.TokenHandle:
			return true, open
		case v.Subject != "" && v.Subject == p.Subject && (v.Issuer == "" || v.Issuer == p.Issuer):
			open = true
		}
	}
	return false, open || len(r.recent) == ringSize
}
