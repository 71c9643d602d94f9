package bearer_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware/bearer"
)

// The log names the addresses that were asked, and both spellings of an issuer, because a slash
// too many is the most common mistake. An address that is not made of Config.Issuer alone may
// hold a secret, and is not named.
func TestCausesOfAFailedFetch(t *testing.T) {
	t.Parallel()
	const realm = "https://id.example/realms/shop"
	const document = realm + "/.well-known/openid-configuration"
	meta := func(jwks string) string { return object{"issuer": realm, "jwks_uri": jwks}.String() }
	for _, tt := range []struct {
		name   string
		issuer string
		pages  map[string]string
		jwks   string
		want   []string
	}{
		{
			name: "a slash too many", issuer: realm + "/", pages: map[string]string{document: meta(realm + "/certs")},
			want: []string{document, `issuer is "` + realm + `"; want Issuer, "` + realm + `/"`},
		},
		{
			name: "a realm that is not there", issuer: "https://id.example/realms/Shop",
			want: []string{"https://id.example/realms/Shop/.well-known/openid-configuration: answer has status 404"},
		},
		{
			name: "keys over http", issuer: realm, pages: map[string]string{document: meta("http://id.example/certs")},
			want: []string{"jwks_uri is not https"},
		},
		{
			name: "no keys where the metadata says", issuer: realm, pages: map[string]string{document: meta(realm + "/certs?key=secret")},
			want: []string{"jwks_uri: answer has status 404"},
		},
		{
			name: "no keys at JWKS", issuer: realm, jwks: realm + "/certs?key=secret",
			want: []string{"JWKS: answer has status 404"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			web := roundTrip(func(r *http.Request) (*http.Response, error) {
				if page, ok := tt.pages[r.URL.String()]; ok {
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(page))}, nil
				}
				return &http.Response{StatusCode: 404, Header: http.Header{}, Body: http.NoBody}, nil
			})
			var out bytes.Buffer
			a := newAuthenticator(t, bearer.Config{
				Issuer: tt.issuer, Audience: []string{audience}, JWKS: tt.jwks, Discovery: tt.jwks == "",
				HTTPClient: &http.Client{Transport: web}, Log: slog.New(slog.NewJSONHandler(&out, nil)),
			})
			_, err := a.Authenticate(request(token(header(), claims())))
			if outcome(err) != unavailable || !strings.Contains(err.Error(), "none were fetched yet") {
				t.Errorf("%v", err)
			}
			_ = a.Close() // the log is complete
			logged := strings.ReplaceAll(out.String(), `\"`, `"`)
			for _, want := range tt.want {
				if !strings.Contains(logged, want) {
					t.Errorf("the log has not %s:\n%s", want, logged)
				}
			}
			mustNotContain(t, "the log", logged, "secret")
		})
	}
}

// A token whose times are not now is refused with the distance, by which one tells an old token
// from clocks that disagree.
func TestCausesOfTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAuthenticator(t, config())
		now := time.Now()
		for _, tt := range []struct {
			name string
			of   object
			want string
		}{
			{"RFC 7519 §4.1.4: ended an hour ago", timed(claims()).with("exp", now.Add(-time.Hour).Unix()), "token expired: 59m30s ago"},
			{
				"RFC 7519 §4.1.5: of a clock that is an hour ahead",
				timed(claims()).with("nbf", now.Add(time.Hour).Unix()), "nbf or iat is 59m30s beyond Config.Leeway",
			},
		} {
			if _, err := a.Authenticate(request(token(header(), tt.of))); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	})
}
