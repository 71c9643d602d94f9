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

	"github.com/securews/securews/internal/loopback"
)

// TicketConfig is what [NewTicket] compiles. URL is required.
type TicketConfig struct {
	_ [0]func()

	// URL is the ticket route: https, or http to a loopback address or localhost with
	// DangerouslyAllowLocalHTTP.
	URL string

	// HTTPClient sends the requests; nil: one with http.DefaultTransport. With a cookie
	// jar, it can authenticate to the ticket route by a cookie. The rules about certificates are
	// those of Config.HTTPClient.
	HTTPClient *http.Client

	// Authorize, if set, adds to each request the fields that the ticket route requires,
	// such as an Authorization header or an Origin. If renew is true, the last ticket was refused or
	// the connection is about to expire.
	Authorize func(r *http.Request, renew bool) error

	// Query sends the ticket as `?ticket=` instead of as a subprotocol.
	Query bool

	// DangerouslyAllowLocalHTTP permits http:// to a loopback address or localhost.
	DangerouslyAllowLocalHTTP bool
}

// NewTicket returns a [Source] that posts to a ticket route before every dial. A 401 of
// that route counts as a refused credential, its 403 ends Run, Retry-After is respected, as in
// the handshake. After a response that is neither a ticket nor a refusal by a securews server,
// such as a proxy's page, the route is asked again after a back-off.
func NewTicket(cfg TicketConfig) (Source, error) {
	u, err := url.Parse(cfg.URL)
	var errs []error
	switch {
	case cfg.URL == "" || err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		errs = append(errs, wrong("TicketConfig.URL: want an absolute https URL without user and fragment"))
	case u.Scheme == "https", u.Scheme == "http" && loopback.Is(u.Hostname()) && cfg.DangerouslyAllowLocalHTTP:
	default:
		errs = append(errs, wrong("TicketConfig.URL: scheme %q: want https", u.Scheme))
	}
	errs = append(errs, checkClient(cfg.HTTPClient))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	cfg.HTTPClient = withoutRedirects(cfg.HTTPClient)
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
	if res.StatusCode == http.StatusSwitchingProtocols { // the body is a connection, which no context ends
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
// the lifetime of the ticket, not of the connection, and is ignored.
func (cfg *TicketConfig) parse(h http.Header, body []byte, asked time.Time) (Credential, error) {
	var answer struct {
		Ticket       string `json:"ticket"`
		RefreshAfter int64  `json:"refresh_after"`
	}
	if typ, _, _ := mime.ParseMediaType(h.Get("Content-Type")); typ != "application/json" {
		return Credential{}, errors.New("redial: ticket: the answer is not JSON")
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Ticket == "" {
		return Credential{}, errors.New("redial: ticket: the answer contains no ticket") // not err, which may quote the ticket
	}
	c := TicketSubprotocol(answer.Ticket)
	if cfg.Query {
		c = TicketQuery(answer.Ticket)
	}
	const day = 24 * 60 * 60
	if s := answer.RefreshAfter; s > 0 && s < 3650*day {
		c.Renew = asked.Add(time.Duration(s) * time.Second)
	}
	return c, nil
}
