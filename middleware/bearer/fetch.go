package bearer

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/certificate"
)

const (
	maxDocument = 1 << 20  // bytes of a key set or of metadata
	maxHeader   = 64 << 10 // bytes of the header of an answer

	idleTimeout = 30 * time.Second // of a kept connection
	pingTimeout = time.Second      // without an answer on one that is used, and then without one to a ping
)

var (
	errTooLarge = fmt.Errorf("document larger than %d bytes", maxDocument)
	errEncoded  = errors.New("answer has a Content-Encoding other than gzip")
)

// document is the body of an answer and for how long it calls itself fresh.
type document struct {
	body  []byte
	fresh time.Duration
}

// hardened returns a client with the trust of c that follows no redirect, keeps no
// cookies, reads no endless header and sends nothing to a server whose certificate was not
// verified. It keeps at most that many connections. A transport of a foreign type is used
// unchanged.
func hardened(c *http.Client, connections int) *http.Client {
	out := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if c != nil {
		out.Transport = c.Transport
	}
	if out.Transport == nil {
		out.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			ForceAttemptHTTP2:   true,
			TLSHandshakeTimeout: fetchTimeout,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		}
	}
	if t, ok := out.Transport.(*http.Transport); ok {
		t = t.Clone()
		t.DisableCompression = true
		t.DisableKeepAlives = connections == 0 // net/http repeats a request on a connection that it kept and lost
		if connections > 0 {
			t.MaxIdleConnsPerHost, t.IdleConnTimeout = connections, idleTimeout
			if t.HTTP2 == nil {
				t.HTTP2 = &http.HTTP2Config{}
			}
			t.HTTP2.SendPingTimeout, t.HTTP2.PingTimeout = pingTimeout, pingTimeout // finds a dead connection
		}
		if t.MaxResponseHeaderBytes <= 0 || t.MaxResponseHeaderBytes > maxHeader {
			t.MaxResponseHeaderBytes = maxHeader
		}
		out.Transport = t
	}
	out.Transport = certificate.Transport(out.Transport)
	return out
}

// fetch gets one document. The context bounds it as a whole, the body included.
func fetch(ctx context.Context, c *http.Client, from string) (document, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return document{}, errors.New("URL is malformed")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("Accept-Encoding", "identity") // nothing small becomes large here
	res, err := send(c, req)
	if err != nil {
		return document{}, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return document{}, fmt.Errorf("answer has status %d", res.StatusCode)
	}
	if res.ContentLength > maxDocument {
		return document{}, errTooLarge
	}
	decoded, err := decodedBody(res)
	if err != nil {
		return document{}, err
	}
	body, err := io.ReadAll(io.LimitReader(decoded, maxDocument+1))
	if err != nil {
		return document{}, err
	}
	if len(body) > maxDocument {
		return document{}, errTooLarge
	}
	return document{body, maxAge(res.Header.Values("Cache-Control"))}, nil
}

// fetchKeys is fetch with an error that names the field that holds the URL.
func fetchKeys(ctx context.Context, c *http.Client, from, written string) (document, error) {
	doc, err := fetch(ctx, c, from)
	if err != nil {
		err = fmt.Errorf("%s: %w", written, err)
	}
	return doc, err
}

// send is c.Do with an error that does not name the URL, which may hold a secret.
func send(c *http.Client, req *http.Request) (*http.Response, error) {
	res, err := c.Do(req)
	if u, ok := errors.AsType[*url.Error](err); ok {
		return nil, u.Err
	}
	return res, err
}

// contained calls fn and returns a panic as its error: in a goroutine that belongs to no request, a
// transport of Config.HTTPClient that panics would end the process.
func contained[T any](ctx context.Context, fn func(context.Context) (T, error)) (v T, err error) {
	defer bounded.Contain(&err)
	return fn(ctx)
}

// decodedBody takes gzip, which some servers send although it was declined (RFC 9110 §12.5.3
// lets them).
func decodedBody(res *http.Response) (io.Reader, error) {
	switch e := res.Header.Get("Content-Encoding"); {
	case e == "", strings.EqualFold(e, "identity"):
		return res.Body, nil
	case strings.EqualFold(e, "gzip"), strings.EqualFold(e, "x-gzip"):
		return gzip.NewReader(res.Body)
	}
	return nil, errEncoded
}

// maxAge reads max-age (RFC 9111 §5.2.2.1); 0 if there is none.
func maxAge(lines []string) time.Duration {
	for part := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
		if err != nil {
			return 0
		}
		return time.Duration(n) * time.Second
	}
	return 0
}
