package session_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// The cause of a 503 names the setting that bounds the wait.
func TestCauseOfASlowStoreNamesTheSetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &hangingStore{shakyStore: newShakyStore(), release: make(chan struct{})}
		m := newManager(t, session.Config{Store: store})
		b := newBrowser(t, app(t, m))
		b.get("/login?u=alice")
		p := b.mustPrincipal(m)
		store.hangs = true
		err := m.Alive(context.Background(), p)
		close(store.release)
		wantsRefusal(t, "Alive", err, 503, "unavailable")
		if !strings.Contains(err.Error(), "Config.StoreTimeout") {
			t.Errorf("the cause is %q, without the setting", err)
		}
	})
}

// The log names the Issuer of a record that belongs to another Manager, and this one's.
func TestLogOfARecordOfAnotherIssuerNamesBoth(t *testing.T) {
	var log bytes.Buffer
	store := newShakyStore()
	users := newBrowser(t, app(t, newManager(t, session.Config{Store: store, Issuer: "users"})))
	users.get("/login?u=root")
	admins := newManager(t, session.Config{Store: store, Issuer: "admins", Log: slog.New(slog.NewJSONHandler(&log, nil))})
	forged := newBrowser(t, app(t, admins))
	forged.cookies = users.cookies
	forged.wants("/me", 401, "no_credential")
	for _, want := range []string{"users", "Config.Issuer", "admins"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log is %s, without %q", log.String(), want)
		}
	}
}

// The cause of a 401 tells a cookie of a session that has ended from a request without one.
func TestCauseOfACookieThatNamesNoLiveSession(t *testing.T) {
	t.Parallel()
	elsewhere := newBrowser(t, app(t, newManager(t, session.Config{})))
	elsewhere.get("/login?u=root")
	auth, err := middleware.NewAuth(newManager(t, session.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	cause := func(cookies map[string]string) string {
		r := httptest.NewRequest("GET", "https://app.example/me", nil)
		for name, value := range cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		_, err := auth.Authenticate(r)
		wantsRefusal(t, "Authenticate", err, 401, "no_credential")
		return err.Error()
	}
	const want = "session: the cookie names no live session: it has run out, or the store does not have it"
	if got := cause(elsewhere.cookies); !strings.Contains(got, want) {
		t.Errorf("%q, without %q", got, want)
	}
	if got := cause(nil); strings.Contains(got, "cookie") {
		t.Errorf("without a cookie: %q", got)
	}
}
