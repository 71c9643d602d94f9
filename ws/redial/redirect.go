package redial

import "net/http"

// withoutRedirects returns a copy of the client, or a new one, that follows no redirect,
// because the credential would be sent to the other host.
func withoutRedirects(c *http.Client) *http.Client {
	var client http.Client
	if c != nil {
		client = *c
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = dropLocation{client.Transport}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// dropLocation removes the Location of a redirect: net/http would return an error that
// quotes an address it cannot parse.
type dropLocation struct{ below http.RoundTripper }

func (s dropLocation) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.below.RoundTrip(r)
	if err == nil && res.StatusCode >= 300 && res.StatusCode < 400 {
		res.Header.Del("Location")
	}
	return res, err
}
