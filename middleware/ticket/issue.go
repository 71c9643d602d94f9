package ticket

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/securews/securews/middleware"
)

// answer is what Issue writes.
type answer struct {
	Ticket       string `json:"ticket"`
	CID          string `json:"cid"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshAfter int64  `json:"refresh_after"`
	Subprotocol  string `json:"subprotocol"`
}

// Issue returns the handler of the route where tickets are fetched, by POST. It stands
// behind a [middleware.Auth], and for pages of another origin behind
// [middleware.OriginPolicy.CORS]. What the request says in its body is not read.
//
// It refuses, in this order: another method; an Origin that Config.Origins does not let
// through; a request that no Auth vouched for, or an anonymous one; more than Config.Rate;
// a credential that ends within the second, of which no whole one could be promised; and
// with 503 where the store is full or cannot be asked. The challenge of a 401 is that of
// the Auth in front: what is wanted here is its credential, and no ticket.
func (t *Tickets) Issue() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, err := t.issue(r)
		if err != nil {
			middleware.Refuse(w, r, middleware.WithChallenge(r.Context(), err))
			return
		}
		body, _ := json.Marshal(a)
		h := w.Header()
		h.Set("Content-Type", "application/json; charset=utf-8")
		h.Set("Cache-Control", "no-store") // ASVS 14.3.2
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(body)
	})
}

func (t *Tickets) issue(r *http.Request) (*answer, error) {
	if t.zero() {
		return nil, refuse(http.StatusForbidden, middleware.ReasonForbidden, errZero)
	}
	if r.Method != http.MethodPost {
		return nil, &middleware.Refusal{
			Status: http.StatusMethodNotAllowed, Reason: middleware.ReasonMethodNotAllowed,
			Header: http.Header{"Allow": {"POST"}}, Err: fmt.Errorf("ticket: issued by POST, not %q", r.Method),
		}
	}
	if err := t.cfg.Origins.Check(r); err != nil {
		return nil, err
	}
	p, err := holder(r.Context())
	if err != nil {
		return nil, err
	}
	if err := t.cfg.Rate.Allow(r); err != nil {
		return nil, err
	}
	life := t.life(p)
	if life < minLifetime {
		return nil, refuse(http.StatusUnauthorized, middleware.ReasonCredentialExpired, errEnding)
	}
	return t.put(r, p, life)
}

// holder is who the ticket is for.
func holder(ctx context.Context) (middleware.Principal, error) {
	p, ok := middleware.FromContext(ctx)
	switch {
	case !ok:
		return p, refuse(http.StatusUnauthorized, middleware.ReasonNoCredential, errors.New("no Auth in front of Issue vouches for the request"))
	case p.Subject == "" || p.Method == "ticket":
		return p, refuse(http.StatusForbidden, middleware.ReasonForbidden, fmt.Errorf("no ticket for method %q and subject %q", p.Method, p.Subject))
	}
	return p, nil
}

// life is how long a ticket is good for: no longer than what it stands for.
func (t *Tickets) life(p middleware.Principal) time.Duration {
	if p.Expires.IsZero() {
		return t.cfg.Lifetime
	}
	return min(t.cfg.Lifetime, time.Until(p.Expires))
}

// put makes a ticket and stores what it is good for under its hash (ASVS 11.5.1).
func (t *Tickets) put(r *http.Request, p middleware.Principal, life time.Duration) (*answer, error) {
	var secret [size]byte
	_, _ = rand.Read(secret[:]) // never fails (crypto/rand)
	ticket := base64.RawURLEncoding.EncodeToString(secret[:])
	key, _ := keyOf(ticket)
	rec := &record{
		Version: recordVersion, Path: t.cfg.Path, Origin: r.Header.Get("Origin"), CID: rand.Text(),
		Expires: time.Now().Add(life).UTC(), Principal: stored(p),
	}
	value, err := rec.encode()
	if err != nil {
		return nil, fmt.Errorf("ticket: %w", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	if err := t.cfg.Store.Put(ctx, key, value, life); err != nil {
		return nil, unavailable(err)
	}
	return &answer{
		Ticket: ticket, CID: rec.CID, ExpiresIn: int64(life / time.Second),
		RefreshAfter: refreshAfter(p.Expires), Subprotocol: prefix + ticket,
	}, nil
}

// refreshAfter is four fifths of what is left of the credential, in whole seconds, at
// least one; 0 where it does not end by itself.
func refreshAfter(expires time.Time) int64 {
	if expires.IsZero() {
		return 0
	}
	return max(1, int64(time.Until(expires)/5*4/time.Second)) // that order: 73 years times four overflow
}
