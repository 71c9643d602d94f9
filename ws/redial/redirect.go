package redial

import "net/http"

// staying is a copy of the client, or one of its own, that follows no redirect: a
// credential would go along.
func staying(c *http.Client) *http.Client {
	var client http.Client
	if c != nil {
		client = *c
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = stay{client.Transport}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// stay hides where an answer redirects to: net/http would make an error of an address that
// it cannot read, and quote it.
type stay struct{ below http.RoundTripper }

func (s stay) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.below.RoundTrip(r)
	if err == nil && res.StatusCode >= 300 && res.StatusCode < 400 {
		res.Header.Del("Location")
	}
	return res, err
}
