package redial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// Bearer makes a [Source] of access tokens, sent in the Authorization header. Clients
// that share it share its calls too: those that ask while one is under way get its
// answer, or its error unless that is of the asker's own context. token is told by renew
// that a cached one will not do; its expiry may be zero.
func Bearer(token func(ctx context.Context, renew bool) (token string, expires time.Time, err error)) Source {
	if token == nil {
		return nil
	}
	s := &shared{turn: make(chan struct{}, 1), ask: func(ctx context.Context, renew bool) (Credential, error) {
		t, expires, err := token(ctx, renew)
		c := BearerToken(t)
		c.Expires = expires
		return c, err
	}}
	return s.credential
}

// shared lets one caller at a time ask; those who waited take what it was told.
type shared struct {
	turn    chan struct{} // held while asking; guards what follows
	ask     Source
	last    Credential
	err     error
	renewed bool
	ended   time.Time // of the call that answered last and err
}

func (s *shared) credential(ctx context.Context, renew bool) (Credential, error) {
	arrived := time.Now()
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return Credential{}, context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if s.ended.After(arrived) && (s.renewed || !renew) {
		return s.last, s.err
	}
	c, err := s.ask(ctx, renew)
	if err == nil || ctx.Err() == nil {
		s.last, s.err, s.renewed, s.ended = c, err, renew, time.Now()
	}
	return c, err
}

// TicketConfig is what [NewTicket] compiles. URL is required.
type TicketConfig struct {
	_ [0]func()

	// URL is the ticket route, https (http to a loopback address where the
	// connection's own URL may be ws://).
	URL string

	// HTTPClient posts; nil: one with http.DefaultTransport. A cookie jar in it is
	// one way to be known to the ticket route.
	HTTPClient *http.Client

	// Authorize, if set, puts into each request what the ticket route asks for: an
	// Authorization header, an Origin. It is told by renew that the last ticket was
	// refused or the connection is about to expire.
	Authorize func(r *http.Request, renew bool) error

	// Query sends the ticket as `?ticket=` and not as a subprotocol.
	Query bool

	// DangerouslyAllowPlaintext permits http:// to a loopback address or localhost.
	DangerouslyAllowPlaintext bool
}

// NewTicket makes a [Source] that posts to a ticket route before every dial. A 401
// from there is a refused credential, a 403 ends Run, Retry-After is respected.
func NewTicket(cfg TicketConfig) (Source, error) {
	u, err := url.Parse(cfg.URL)
	var errs []error
	switch {
	case cfg.URL == "" || err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		errs = append(errs, wrong("TicketConfig.URL: not an absolute https URL without user and fragment"))
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()) && cfg.DangerouslyAllowPlaintext:
	default:
		errs = append(errs, wrong("TicketConfig.URL: the scheme is %q, not https", u.Scheme))
	}
	errs = append(errs, checkClient(cfg.HTTPClient))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	cfg.HTTPClient = staying(cfg.HTTPClient)
	return cfg.fetch, nil
}

func (cfg *TicketConfig) fetch(ctx context.Context, renew bool) (Credential, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, cfg.URL, http.NoBody)
	if err != nil {
		return Credential{}, err
	}
	r.Header.Set("Accept", "application/json")
	if cfg.Authorize != nil {
		if err := cfg.Authorize(r, renew); err != nil {
			return Credential{}, err
		}
	}
	asked, shown := time.Now(), secretsOf(r.Header)
	res, err := cfg.HTTPClient.Do(r)
	if err != nil {
		return Credential{}, fmt.Errorf("redial: ticket: %w", shown.redacted(withoutURL(err)))
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols { // what follows is no body, and no context ends it
		return Credential{}, refusedBy("ticket", res.StatusCode, nil, nil, shown)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 16<<10))
	if err != nil {
		return Credential{}, fmt.Errorf("redial: ticket: %w", err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return Credential{}, refusedBy("ticket", res.StatusCode, res.Header, body, shown)
	}
	return cfg.parse(res.Header, body, asked)
}

// parse reads {"ticket","cid","expires_in","refresh_after","subprotocol"}. expires_in is
// the ticket's own end and of no matter to the connection.
func (cfg *TicketConfig) parse(h http.Header, body []byte, asked time.Time) (Credential, error) {
	var answer struct {
		Ticket       string `json:"ticket"`
		RefreshAfter int64  `json:"refresh_after"`
	}
	if typ, _, _ := mime.ParseMediaType(h.Get("Content-Type")); typ != "application/json" {
		return Credential{}, Permanent(errors.New("redial: ticket: the answer is not JSON"))
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Ticket == "" {
		return Credential{}, Permanent(errors.New("redial: ticket: the answer holds none")) // not err: it may quote the ticket
	}
	c := SingleUse(answer.Ticket)
	if cfg.Query {
		c = SingleUseQuery(answer.Ticket)
	}
	const day = 24 * 60 * 60
	if s := answer.RefreshAfter; s > 0 && s < 3650*day {
		c.Renew = asked.Add(time.Duration(s) * time.Second)
	}
	return c, nil
}
