package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/securews/securews/internal/bounded"
)

// endpoint is the introspection endpoint of the issuer.
type endpoint struct {
	client    *http.Client
	url       func(context.Context) (string, error)
	authorize func(*http.Request) error
}

func newEndpoint(c IntrospectionConfig) *endpoint {
	e := &endpoint{client: hardened(c.HTTPClient, maxInFlight), authorize: c.Authorize}
	e.url = func(context.Context) (string, error) { return c.Endpoint, nil }
	if c.Discovery {
		metadata := hardened(c.HTTPClient, 0)
		e.url = (&location{find: func(ctx context.Context) (string, error) {
			return discover(ctx, metadata, c.Issuer, "introspection_endpoint", c.DangerouslyAllowLocalHTTP)
		}}).get
	}
	if id, secret := c.ClientID, c.ClientSecret; id != "" {
		e.authorize = func(r *http.Request) error {
			if secret == "" {
				r.PostForm.Set("client_id", id)
			} else {
				r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) // RFC 6749 §2.3.1
			}
			return nil
		}
	}
	return e
}

// send asks about a token and returns the body of the answer (RFC 7662 §2). ctx bounds it as
// a whole.
func (e *endpoint) send(ctx context.Context, token string) ([]byte, error) {
	to, err := e.url(ctx)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, nil)
	if err != nil {
		return nil, errors.New("URL is malformed")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header["Idempotency-Key"] = nil // not sent: net/http may repeat it on another connection
	req.PostForm = url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	if err := authorized(e.authorize, req); err != nil {
		return nil, fmt.Errorf("by Authorize: %w", err)
	}
	form := req.PostForm.Encode()
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(form)), nil }
	req.Body, _ = req.GetBody()
	req.ContentLength = int64(len(form))
	res, err := send(e.client, req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	return bodyOf(res)
}

// authorized calls authorize and returns a panic as an error.
func authorized(authorize func(*http.Request) error, r *http.Request) (err error) {
	defer bounded.Contain(&err)
	return authorize(r)
}

// bodyOf returns the body of an answer in JSON, or errUnsupported.
func bodyOf(res *http.Response) ([]byte, error) {
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	encoding := res.Header.Get("Content-Encoding")
	switch status := res.StatusCode; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return nil, fmt.Errorf("answer has status %d: the endpoint refuses this service; see ClientID, ClientSecret and Authorize", status)
	case status >= 300 && status < 400:
		return nil, fmt.Errorf("answer has status %d: redirects are not followed; see Endpoint", status)
	case status == http.StatusBadRequest && media == "application/json" && saysUnsupported(res.Body):
		return nil, errUnsupported
	case status != http.StatusOK:
		return nil, fmt.Errorf("answer has status %d", status)
	case media != "application/json":
		return nil, fmt.Errorf("answer has Content-Type %.80q; want application/json", res.Header.Get("Content-Type"))
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return nil, fmt.Errorf("answer has Content-Encoding %.40q, which was declined", encoding)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("answer is larger than %d bytes", maxAnswer)
	}
	return body, err
}

// saysUnsupported reads the error of RFC 7009 §2.2.1, with which some endpoints answer about a
// JWT. Like active false it is about the token: the next answer will be the same.
func saysUnsupported(body io.Reader) bool {
	answer, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err != nil {
		return false
	}
	members, err := object(answer)
	code, _ := text(find(members, "error"))
	return err == nil && code == "unsupported_token_type"
}
