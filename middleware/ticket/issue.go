package ticket

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/securews/securews/internal/bounded"
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

// Issue returns the handler of the route where tickets are fetched, by POST. It
// authenticates with Config.Auth itself, unless a layer in front did; for pages of another
// origin it needs [middleware.OriginPolicy.CORS] in front. It does not read the body.
//
// It refuses, in this order: another method; an Origin that Config.Origins does not admit;
// a request that Config.Auth does not admit, or admits as anonymous or by a ticket; more
// than Config.Rate; a credential that ends within the second, because expires_in counts
// whole seconds; and with 503 if the store is full or does not answer. The challenge of a
// 401 is that of Config.Auth.
func (t *Tickets) Issue() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, err := t.issue(r)
		if err != nil {
			if !t.zero() {
				err = t.cfg.Auth.WithChallenge(err)
			}
			middleware.Refuse(w, r, err)
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
		return nil, middleware.Forbidden(fmt.Errorf("ticket: %w", errZero))
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
	r, err := t.cfg.Auth.Admit(r)
	if err != nil {
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
		return nil, refuse(middleware.ReasonCredentialExpired, errEnding)
	}
	return t.put(r, p, life)
}

// holder returns the principal that the ticket is issued for.
func holder(ctx context.Context) (middleware.Principal, error) {
	p, _ := middleware.FromContext(ctx)
	if p.Subject == "" || p.Method == method {
		return p, middleware.Forbidden(fmt.Errorf("ticket: none is issued for method %q and subject %q", p.Method, p.Subject))
	}
	return p, nil
}

// life is how long a ticket is good for: no longer than the credential.
func (t *Tickets) life(p middleware.Principal) time.Duration {
	if p.Expires.IsZero() {
		return t.cfg.Lifetime
	}
	return min(t.cfg.Lifetime, time.Until(p.Expires))
}

// put makes a ticket and stores its record under its hash (ASVS 11.5.1).
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
	ctx, cancel := t.bounded(r.Context())
	defer cancel()
	_, err = bounded.Call(ctx, t.calls, "store", func() (struct{}, error) {
		return struct{}{}, t.cfg.Store.Put(ctx, key, value, life)
	})
	if err != nil {
		return nil, unavailable(err)
	}
	return &answer{
		Ticket: ticket, CID: rec.CID, ExpiresIn: int64(life / time.Second),
		RefreshAfter: refreshAfter(p.Expires), Subprotocol: prefix + ticket,
	}, nil
}

// refreshAfter is four fifths of the remaining time of the credential, in whole seconds, at
// least one; 0 if it does not end by itself.
func refreshAfter(expires time.Time) int64 {
	if expires.IsZero() {
		return 0
	}
	return max(1, int64(time.Until(expires)/5*4/time.Second)) // that order: 73 years times four overflow
}
