package middleware_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// An authenticator that asks others about its credential need not know when that may end: the
// principal has the time of their answers. The earliest time counts.
func TestRecheckByOfThePrincipal(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		own      time.Time   // of the principal that the authenticator returns
		reported []time.Time // within its Authenticate
		want     time.Time
	}{
		"nothing is said":              {want: time.Time{}},
		"by the authenticator":         {own: noon, want: noon},
		"by those that it asks":        {reported: []time.Time{noon.Add(time.Hour), noon}, want: noon},
		"by both, those before":        {own: noon.Add(time.Second), reported: []time.Time{noon}, want: noon},
		"by both, those after":         {own: noon, reported: []time.Time{noon.Add(time.Second)}, want: noon},
		"the zero time is not a time":  {own: noon, reported: []time.Time{{}}, want: noon},
		"nor is it one without others": {reported: []time.Time{{}}, want: time.Time{}},
	} {
		x := funcCredential(func(r *http.Request) (middleware.Principal, error) {
			for _, at := range tt.reported {
				middleware.RecheckBy(r.Context(), at)
			}
			p := middleware.Principal{Issuer: "test", Subject: "ann"}
			p.SetRecheckBy(contextkey.Key(), tt.own)
			return p, nil
		})
		for how, auth := range map[string]*middleware.Auth{"alone": mustAuth(t, x), "within another Auth": mustAuth(t, mustAuth(t, x))} {
			p, err := auth.Authenticate(requestWith("GET", "/"))
			if err != nil || !p.RecheckBy().Equal(tt.want) {
				t.Errorf("%s, %s: %v, %v; want %v", name, how, p.RecheckBy(), err, tt.want)
			}
		}
	}
	middleware.RecheckBy(context.Background(), noon) // no one asks
}
