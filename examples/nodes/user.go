package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const subprotocol = "nodes"

// user is a client with a credential: a cookie, or a token.
type user struct {
	*deployment
	name          string
	header, value string
}

// signIn signs a user in on a node, or through the node that the proxy chooses if that is "".
func (d *deployment) signIn(ctx context.Context, on, name string) (*user, string, error) {
	u := &user{deployment: d, name: name}
	res, err := u.send(ctx, on, http.MethodPost, "/login?user="+url.QueryEscape(name))
	if err != nil {
		return nil, "", err
	}
	if res.status != http.StatusOK || len(res.cookies) != 1 {
		return nil, "", fmt.Errorf("%s cannot sign in: %s", name, res)
	}
	u.header, u.value = "Cookie", res.cookies[0].Name+"="+res.cookies[0].Value
	return u, res.node, nil
}

// withToken returns a user with a token of the identity provider.
func (d *deployment) withToken(name string) (*user, error) {
	token, err := d.tokens.token(name)
	return &user{deployment: d, name: name, header: "Authorization", value: "Bearer " + token}, err
}

// answer is a response to a request.
type answer struct {
	status     int
	reason     string // the word of a refusal
	node       string // that gave it
	retryAfter string
	cookies    []*http.Cookie
	body       []byte
}

func (a answer) String() string { return strings.TrimSpace(fmt.Sprint(a.status, " ", a.reason)) }

// send sends a request with the user's credential to a node, or to any if on is "".
func (u *user) send(ctx context.Context, on, method, path string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, u.origin+path, nil)
	if err != nil {
		return answer{}, err
	}
	r.Header = u.headers(on)
	res, err := u.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	var refusal struct{ Reason string }
	_ = json.Unmarshal(body, &refusal)
	return answer{res.StatusCode, refusal.Reason, res.Header.Get(nodeHeader), res.Header.Get("Retry-After"), res.Cookies(), body}, err
}

func (u *user) headers(on string) http.Header {
	h := http.Header{"Origin": {u.origin}}
	if on != "" {
		h.Set(nodeHeader, on)
	}
	if u.header != "" {
		h.Set(u.header, u.value)
	}
	return h
}

// do posts, and returns how long the acknowledgement took.
func (u *user) do(ctx context.Context, on, path string) (time.Duration, error) {
	began := time.Now()
	res, err := u.send(ctx, on, http.MethodPost, path)
	if err == nil && res.status != http.StatusOK {
		err = fmt.Errorf("POST %s on %s: %s", path, on, res)
	}
	return time.Since(began), err
}

// expect returns an error if a request to /me has none of the wanted answers.
func (u *user) expect(ctx context.Context, on string, want ...string) error {
	res, err := u.send(ctx, on, http.MethodGet, "/me")
	if err != nil {
		return err
	}
	if slices.Contains(want, res.String()) {
		return nil
	}
	return fmt.Errorf("a request of %s on %s: %s, want %s", u.name, on, res, strings.Join(want, " or "))
}
