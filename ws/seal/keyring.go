package seal

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/securews/securews/middleware"
)

// maxKeys bounds the ServerHello and the directory.
const maxKeys = 16

// Keyring holds the keys that a server offers, and is the handler of [DirectoryPath]. It is
// safe for concurrent use. The zero Keyring has no keys.
type Keyring struct {
	keys atomic.Pointer[[]Key] // by notAfter, latest first
}

// NewKeyring returns a ring of the keys, or the error of [Keyring.Replace].
func NewKeyring(keys ...Key) (*Keyring, error) {
	r := &Keyring{}
	if err := r.Replace(keys...); err != nil {
		return nil, err
	}
	return r, nil
}

// Replace replaces all keys of the ring. To rotate, keep the old key beside its successor
// until its end, so that clients which know only the old one can still connect. The newest
// key, which is the one that lasts longest, is offered first. Open connections are not
// affected. A ring has 1 to 16 keys, each once. With any other number, with the zero Key or with a
// key that has expired, Replace returns an error, and the ring keeps its keys.
func (r *Keyring) Replace(keys ...Key) error {
	var errs []error
	if len(keys) == 0 || len(keys) > maxKeys {
		errs = append(errs, fmt.Errorf("seal: keyring: %d keys: want 1 to %d", len(keys), maxKeys))
	}
	seen := map[kid]bool{}
	for i, k := range keys {
		switch {
		case k.private == nil:
			errs = append(errs, fmt.Errorf("seal: keyring: key %d is the zero Key", i))
		case seen[k.id]:
			errs = append(errs, fmt.Errorf("seal: keyring: key %d, %v, is given twice", i, k))
		case ended(k.notAfter, time.Now()):
			errs = append(errs, fmt.Errorf("seal: keyring: key %d, %v, has expired at %v", i, k, k.notAfter))
		}
		seen[k.id] = true
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	sorted := slices.Clone(keys)
	slices.SortStableFunc(sorted, func(a, b Key) int { return b.notAfter.Compare(a.notAfter) })
	r.keys.Store(&sorted)
	return nil
}

// live returns the keys that have not ended, the newest first.
func (r *Keyring) live() []Key {
	all := r.keys.Load()
	if all == nil {
		return nil
	}
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(*all), func(k Key) bool { return ended(k.notAfter, now) })
}

// offered returns the live keys of the suites, by suite first.
func (r *Keyring) offered(suites []Suite) []Key {
	keys := slices.DeleteFunc(r.live(), func(k Key) bool { return !slices.Contains(suites, k.suite) })
	slices.SortStableFunc(keys, func(a, b Key) int {
		return cmp.Compare(slices.Index(suites, a.suite), slices.Index(suites, b.suite))
	})
	return keys
}

// ServeHTTP answers GET and HEAD with the public keys, the newest first. The response may
// be cached for a minute; clients are offered a key from the moment it is in the ring.
func (r *Keyring) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		middleware.Refuse(w, req, &middleware.Refusal{
			Status: http.StatusMethodNotAllowed, Reason: middleware.ReasonMethodNotAllowed,
			Header: http.Header{"Allow": {"GET, HEAD"}}, Err: fmt.Errorf("seal: directory: %.20q", req.Method),
		})
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(appendDirectory(nil, r.live())) // net/http drops the body of a HEAD
}
