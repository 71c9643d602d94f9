package redial

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/securews/securews/internal/certificate"
)

// withoutRedirects returns a copy of the client, or a new one, that follows no redirect,
// because the credential would be sent to the other host, and sends nothing to a server whose
// certificate was not verified.
func withoutRedirects(c *http.Client) *http.Client {
	var client http.Client
	if c != nil {
		client = *c
	}
	client.Transport = dropLocation{certificate.Transport(client.Transport)}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// dropLocation removes the Location of a redirect: net/http would return an error that
// quotes an address it cannot parse. An unverified connection is [Permanent]: the next dial
// would use the same settings.
type dropLocation struct{ below http.RoundTripper }

func (s dropLocation) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.below.RoundTrip(r)
	if errors.Is(err, certificate.ErrUnverified) {
		return nil, Permanent(fmt.Errorf("redial: HTTPClient: %w", err))
	}
	if err == nil && res.StatusCode >= 300 && res.StatusCode < 400 {
		res.Header.Del("Location")
	}
	return res, err
}
