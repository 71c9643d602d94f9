package live_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// user is a user with a session, and one more credential.
type user struct {
	opening      sync.Mutex // guards cells while an event happens
	acknowledged bool       // no response is opened any more
	site         *site
	name         string
	credential   credential
	ctx          context.Context
	cancel       context.CancelFunc
	tls          *tls.Config
	http1        *http.Client
	http2        *http.Client

	cookie   string // of the first session
	session  string // its handle
	token    string // handle of the token or key
	expires  time.Time
	signedIn time.Time
	header   http.Header // presents the credential
	quiet    chan struct{}

	failed   atomic.Bool
	disabled atomic.Bool
	mu       sync.Mutex
	tickets  map[string][]string // by path, for after the event
	cells    []*cell
}

// newUser signs a user in. The end of the other credentials is zero for an hour.
func newUser(s *site, of credential, lifetime time.Duration) (*user, error) {
	u := &user{
		site: s, name: "user of the " + of.name, credential: of,
		header: http.Header{"Origin": {s.URL}}, quiet: make(chan struct{}), tickets: map[string][]string{},
	}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	u.tls = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	u.tls.NextProtos = nil
	certificate, err := newCertificate()
	if err != nil {
		return nil, err
	}
	u.tls.Certificates = []tls.Certificate{certificate}
	u.http1 = &http.Client{Transport: &http.Transport{TLSClientConfig: u.tls.Clone(), MaxIdleConnsPerHost: 2, DisableCompression: true}}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	u.http2 = &http.Client{Transport: &http.Transport{TLSClientConfig: u.tls.Clone(), Protocols: protocols, DisableCompression: true}}
	s.users.Store(u.name, u)
	if u.cookie, u.session, err = u.login(); err != nil {
		return nil, err
	}
	u.signedIn = time.Now() // at the latest
	if lifetime > 0 {
		u.expires = time.Now().Add(lifetime)
	}
	return u, errors.Join(of.issue(u), u.awaitKeys())
}

// awaitKeys waits until the issuer's keys have been fetched.
func (u *user) awaitKeys() error {
	token, _ := u.site.issuer.mint(u.name, time.Time{}, nil)
	for end := time.Now().Add(patience); ; {
		r, err := http.NewRequestWithContext(u.ctx, "GET", u.site.URL+"/poll?again=1", nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := u.http1.Do(r)
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		if res.StatusCode == 200 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%w: a new token: %s", errStatus, res.Status)
		}
	}
}

func (u *user) close() {
	u.cancel()
	u.http1.CloseIdleConnections()
	u.http2.CloseIdleConnections()
}

// post sends a form without content to a route of sessions, with the cookie of one.
func (u *user) post(path, cookie string) (res *http.Response, body string, err error) {
	r, err := http.NewRequestWithContext(u.ctx, "POST", u.site.URL+path+"?user="+url.QueryEscape(u.name), nil)
	if err != nil {
		return nil, "", err
	}
	r.Header.Set("Origin", u.site.URL)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	if res, err = u.http1.Do(r); err != nil {
		return nil, "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

func (u *user) login() (cookie, session string, err error) {
	res, session, err := u.post("/login", "")
	if err != nil {
		return "", "", err
	}
	if res.StatusCode != 200 || len(res.Cookies()) != 1 {
		return "", "", fmt.Errorf("login: %s, %d cookies", res.Status, len(res.Cookies()))
	}
	return res.Cookies()[0].Name + "=" + res.Cookies()[0].Value, session, nil
}

// ticket returns a ticket for a path: one that was fetched before the event, if there is one.
func (u *user) ticket(path string) (string, error) {
	u.mu.Lock()
	list := u.tickets[path]
	if len(list) > 0 {
		u.tickets[path] = list[1:]
	}
	u.mu.Unlock()
	if len(list) > 0 {
		return list[0], nil
	}
	r, err := http.NewRequestWithContext(u.ctx, "POST", u.site.URL+"/issue"+path, nil)
	if err != nil {
		return "", err
	}
	r.Header = u.header.Clone()
	res, err := inTime(func() (*http.Response, error) { return u.http1.Do(r) })
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	var a struct{ Ticket string }
	if res.StatusCode != 200 {
		return "", fmt.Errorf("%w: no ticket: %s", errStatus, res.Status)
	}
	err = json.NewDecoder(res.Body).Decode(&a)
	return a.Ticket, err
}

// wantTickets wants tickets, or refusals of them.
func (u *user) wantTickets(want answer) {
	for _, c := range u.cells {
		if u.credential.ticket && c.consumer.socket {
			if _, err := u.ticket(c.ticketPath()); (err == nil) != (want == admitted) {
				c.problem("a ticket after the event: %v, want %s", err, want)
			}
		}
	}
}

// open opens a response of every kind with the credential.
func (u *user) open() {
	for _, x := range consumers {
		u.cells = append(u.cells, newCell(u, x))
	}
	for _, c := range u.cells {
		if !c.opens() {
			c.wantRequest(refused)
		} else if err := c.consumer.open(c); err != nil {
			u.problem(fmt.Errorf("%s: %w", c.consumer.name, err))
			return
		}
		u.touch()
	}
	for _, c := range u.cells {
		if c.opens() {
			c.wantOpen()
		}
		u.touch()
	}
	if err := u.fetchTickets(); err != nil {
		u.problem(err)
	}
}

// problem says that nothing of the user can be looked at.
func (u *user) problem(err error) {
	u.failed.Store(true)
	for _, c := range u.cells {
		c.problem("%v", err)
	}
}

// touch is a request in the session, which postpones its idle end.
func (u *user) touch() {
	res, _, err := u.post("/touch", u.cookie)
	if err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("%w: a request in the session: %s", errStatus, res.Status)
	}
	if err != nil {
		u.problem(err)
	}
}

// fetchTickets fetches the tickets for the requests after the event.
func (u *user) fetchTickets() error {
	if !u.credential.ticket {
		return nil
	}
	tickets := map[string][]string{}
	for _, c := range u.cells {
		t, err := u.ticket(c.ticketPath())
		if err != nil {
			return err
		}
		tickets[c.ticketPath()] = append(tickets[c.ticketPath()], t)
	}
	u.tickets = tickets
	return nil
}

// opens reports whether the credential opens such a response.
func (c *cell) opens() bool { return c.consumer.socket || !c.user.credential.ticket }

// acknowledge is called when an event has returned.
func (u *user) acknowledge() {
	u.opening.Lock()
	defer u.opening.Unlock()
	u.acknowledged = true
	for _, c := range u.cells {
		c.acknowledge()
	}
}

func (c *cell) query() string { return strings.ReplaceAll(url.QueryEscape(c.id), "+", "%20") }
