package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"time"

	"github.com/securews/securews/examples/localcert"
	"github.com/securews/securews/ws/redial"
)

// account is a signed-in user: the cookie of the session is in the jar.
type account struct {
	origin string
	http   *http.Client
}

// signIn opens a session, as the page does.
func signIn(ctx context.Context, o options, password string) (*account, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if o.fingerprint != "" {
		var err error
		if transport.TLSClientConfig, err = localcert.Pin(o.fingerprint); err != nil {
			return nil, err
		}
	}
	jar, _ := cookiejar.New(nil) // never fails
	a := &account{o.origin, &http.Client{Transport: transport, Jar: jar, Timeout: 30 * time.Second, CheckRedirect: noRedirect}}

	body, err := json.Marshal(map[string]string{"user": o.user, "password": password})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.origin+"/login", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", o.origin)
	answer, err := a.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		var problem struct{ Reason string }
		_ = json.NewDecoder(io.LimitReader(answer.Body, 4<<10)).Decode(&problem)
		return nil, fmt.Errorf("sign in: %s %s", plain(answer.Status), plain(problem.Reason))
	}
	return a, nil
}

// noRedirect keeps a 307 from taking the password to another host.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// tickets returns a source that fetches one ticket for each dial, with the jar's cookie.
func (a *account) tickets(route string) (redial.Source, error) {
	source, err := redial.NewTicket(redial.TicketConfig{
		URL: a.origin + route, HTTPClient: a.http,
		// A cookie is a browser's credential and is accepted only with an Origin. The
		// ticket is then valid for this origin.
		Authorize: func(r *http.Request, _ bool) error {
			r.Header.Set("Origin", a.origin)
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, renew bool) (redial.Credential, error) {
		c, err := source(ctx, renew)
		return c, final(err)
	}, nil
}

// final makes an error permanent if waiting cannot help: the server's certificate has
// changed.
func final(err error) error {
	if errors.Is(err, localcert.ErrOther) {
		return redial.Permanent(err)
	}
	return err
}
