package seal

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/securews/securews/ws/wstest"
)

// wrapping is a RoundTripper that cannot be looked into.
type wrapping struct{ below http.RoundTripper }

func (w wrapping) RoundTrip(r *http.Request) (*http.Response, error) { return w.below.RoundTrip(r) }

// ASVS 12.3.2: an attacker who answers in place of the server could replace its keys.
func TestFetchKeysOfAnUnverifiedServer(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	n := wstest.NewServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	skips := n.Client().Transport.(*http.Transport).Clone()
	skips.TLSClientConfig.InsecureSkipVerify = true
	for want, rt := range map[string]http.RoundTripper{
		"InsecureSkipVerify without VerifyConnection": skips, "does not verify the certificate": wrapping{skips},
	} {
		_, err := FetchKeys(t.Context(), &http.Client{Transport: rt}, wstest.URL+DirectoryPath)
		if !errors.Is(err, errDirectory) || !strings.Contains(err.Error(), want) || requests.Load() != 0 {
			t.Errorf("%v, want %q; %d requests", err, want, requests.Load())
		}
	}
}
