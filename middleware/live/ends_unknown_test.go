package live_test

import (
	"net/http"
	"time"
)

// shortestTimeout is the shortest wait for an answer about the credential of a request: that of
// package bearer for the list of revocations.
const shortestTimeout = time.Second

// unknown reports whether a request was refused since a slow machine has not answered in time
// whether its credential is good: the client then asks again (RFC 9110 §10.2.3). The same refusal
// has another reason if it comes sooner.
func unknown(res *http.Response, asked time.Time) bool {
	return statusIn(res) == comeBack && time.Since(asked) >= shortestTimeout
}

// inTime sends a request again for as long as the answer is unknown.
func inTime(send func() (*http.Response, error)) (*http.Response, error) {
	for end := time.Now().Add(patience); ; {
		asked := time.Now()
		res, err := send()
		if err != nil || !unknown(res, asked) || asked.After(end) {
			return res, err
		}
		_ = res.Body.Close()
	}
}
