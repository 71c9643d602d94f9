package session_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// RFC 6265bis §4.1, ASVS 3.3.1-3.3.5.
func TestCookieAttributes(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  session.Config
		rest string
	}{
		"strict by default": {session.Config{}, "; Path=/; Secure; HttpOnly; SameSite=Strict"},
		"lax where asked":   {session.Config{SameSiteLax: true}, "; Path=/; Secure; HttpOnly; SameSite=Lax"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, app(t, newManager(t, tt.cfg)))
			res := b.get("/login?u=alice")
			lines := res.Header["Set-Cookie"]
			if len(lines) != 1 {
				t.Fatalf("Set-Cookie: %q", lines)
			}
			value, ok := strings.CutPrefix(lines[0], "__Host-session=")
			token, rest, _ := strings.Cut(value, ";")
			if !ok || len(token) != 43 || ";"+rest != tt.rest {
				t.Errorf("Set-Cookie: %s", lines[0])
			}
			if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Vary") != "Cookie" {
				t.Errorf("caches: %v", res.Header)
			}
			res = b.get("/logout")
			if got, want := res.Header.Get("Set-Cookie"), "__Host-session="+tt.rest+"; Max-Age=0"; got != want {
				t.Errorf("Set-Cookie: %s, want %s", got, want)
			}
			if res := b.get("/page"); res.Header["Set-Cookie"] != nil {
				t.Errorf("a page that changes nothing sets %q", res.Header["Set-Cookie"])
			}
		})
	}
}

// A handle is in logs and lists: it must not open the session it names.
func TestHandleIsNoCookie(t *testing.T) {
	m := newManager(t, session.Config{})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	b.cookies[hostCookie] = b.mustPrincipal(m).SessionHandle
	b.wants("/me", 401, "no_credential")
}

func TestCookiesOfARequest(t *testing.T) {
	m := newManager(t, session.Config{})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	token := b.cookies[hostCookie]
	good := hostCookie + "=" + token
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	twin := token[:42] + string(alphabet[strings.IndexByte(alphabet, token[42])+1]) // the same 32 bytes to a lax decoder
	for name, tt := range map[string]struct {
		lines  []string
		status int
		reason string
	}{
		"the cookie alone":               {[]string{good}, 200, "alice"},
		"among others":                   {[]string{"a=b; " + good + "; c"}, 200, "alice"},
		"on a second line":               {[]string{"a=b", good}, 200, "alice"},
		"none":                           {nil, 401, "no_credential"},
		"tossed twice, RFC 6265bis §8.6": {[]string{good + "; " + hostCookie + "=" + strings.Repeat("A", 43)}, 400, "credential_malformed"},
		"the same twice":                 {[]string{good + "; " + good}, 400, "credential_malformed"},
		"twice on two lines":             {[]string{good, good}, 400, "credential_malformed"},
		"in another letter case":         {[]string{"__host-session=" + token}, 401, "no_credential"},
		"without its prefix":             {[]string{"session=" + token}, 401, "no_credential"},
		"under the name of DangerouslyAllowLocalHTTP": {[]string{"dev-session=" + token}, 401, "no_credential"},
		"empty":                                {[]string{hostCookie + "="}, 401, "no_credential"},
		"quoted":                               {[]string{hostCookie + `="` + token + `"`}, 401, "no_credential"},
		"one letter short":                     {[]string{hostCookie + "=" + token[:42]}, 401, "no_credential"},
		"one letter long":                      {[]string{good + "A"}, 401, "no_credential"},
		"padded":                               {[]string{good + "="}, 401, "no_credential"},
		"32 KiB":                               {[]string{hostCookie + "=" + strings.Repeat("A", 32<<10)}, 401, "no_credential"},
		"of the wrong alphabet":                {[]string{hostCookie + "=" + strings.Repeat("+", 43)}, 401, "no_credential"},
		"of bits that base64url leaves unused": {[]string{hostCookie + "=" + twin}, 401, "no_credential"},
		"with line feeds a decoder would skip": {[]string{hostCookie + "=" + token[:41] + "\n\n"}, 401, "no_credential"},
		"well formed, of no session":           {[]string{hostCookie + "=" + strings.Repeat("A", 43)}, 401, "no_credential"},
		"a path to another record":             {[]string{hostCookie + "=" + strings.Repeat("../", 14) + "x"}, 401, "no_credential"},
		"nameless, spelling ours":              {[]string{"=" + good}, 401, "no_credential"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, b.h)
			var header []string
			for _, line := range tt.lines {
				header = append(header, "Cookie", line)
			}
			res := b.get("/me", header...)
			body := make([]byte, 512)
			n, _ := res.Body.Read(body)
			if res.StatusCode != tt.status || !strings.Contains(string(body[:n]), tt.reason) {
				t.Errorf("%d %s, want %d %s", res.StatusCode, body[:n], tt.status, tt.reason)
			}
		})
	}
}

// A cookie that ran out does not keep its browser from what others may do.
func TestDeadCookieBesideAnonymous(t *testing.T) {
	m := newManager(t, session.Config{})
	auth, err := middleware.NewAuth(m, middleware.Anonymous())
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	b.cookies[hostCookie] = strings.Repeat("A", 43)
	b.wants("/", 200, "")
}

// RFC 9110 §15.5.2: a 401 names a scheme.
func TestChallenge(t *testing.T) {
	b := newBrowser(t, app(t, newManager(t, session.Config{Issuer: "https://app.example"})))
	res := b.wants("/me", 401, "no_credential")
	if got := res.Header.Get("WWW-Authenticate"); got != `Cookie realm="https://app.example"` {
		t.Errorf("WWW-Authenticate: %s", got)
	}
}

// ASVS 14.3.1, Clear Site Data §3.1: the browser clears the data of this site, and of others only
// if that is asked for.
func TestLogoutClears(t *testing.T) {
	for want, cfg := range map[string]session.Config{
		`"storage"`:                     {},
		`"cache", "storage"`:            {LogoutClearsCache: true},
		`"cookies", "storage"`:          {LogoutClearsCookies: true},
		`"cache", "cookies", "storage"`: {LogoutClearsCache: true, LogoutClearsCookies: true},
	} {
		b := newBrowser(t, app(t, newManager(t, cfg)))
		b.get("/login?u=alice")
		for _, whose := range []string{"alice", "a stranger"} {
			if got := b.get("/logout").Header["Clear-Site-Data"]; len(got) != 1 || got[0] != want {
				t.Errorf("the logout of %s: %q, want %s", whose, got, want)
			}
		}
		if got := b.get("/page").Header["Clear-Site-Data"]; got != nil {
			t.Errorf("a page: %q", got)
		}
	}
}

// An installed app keeps its session when the system ends its process. The cookie lives as long
// as the session can, and no longer after a renewal.
func TestPersistentCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, session.Config{Persistent: true, Absolute: 24 * time.Hour})
		b := newBrowser(t, app(t, m))
		if line := b.get("/login?u=alice").Header.Get("Set-Cookie"); !strings.HasSuffix(line, "; SameSite=Strict; Max-Age=86400") {
			t.Errorf("Set-Cookie: %s", line)
		}
		time.Sleep(10 * time.Minute)
		if line := b.get("/others").Header.Get("Set-Cookie"); !strings.HasSuffix(line, "; Max-Age=85800") {
			t.Errorf("renewed, Set-Cookie: %s", line)
		}
	})
}

// CHIPS: a partitioned cookie, for an app in a frame of another site.
func TestEmbeddedCookie(t *testing.T) {
	m := newManager(t, session.Config{DangerouslyEmbedded: true})
	b := newBrowser(t, app(t, m))
	value, ok := strings.CutPrefix(b.get("/login?u=alice").Header.Get("Set-Cookie"), "__Host-session-embedded=")
	if _, attributes, _ := strings.Cut(value, ";"); !ok || attributes != " Path=/; Secure; HttpOnly; SameSite=None; Partitioned" {
		t.Errorf("Set-Cookie: %s", value)
	}
	b.cookies["__Host-session"] = strings.Repeat("A", 43) // of the time before, which is not partitioned
	b.wants("/me", 200, "alice")
}

// A session goes on under the new name of its cookie, and the old cookie goes.
func TestCookieGetsAnotherName(t *testing.T) {
	store := memstore.NewWithCleanupInterval(0)
	before := newManager(t, session.Config{Store: store, Name: "old"})
	after := newManager(t, session.Config{Store: store, PreviousName: "old"})
	moving := func() *browser {
		b := newBrowser(t, app(t, before))
		b.get("/login?u=alice")
		b.h = app(t, after)
		return b
	}
	const cleared = "__Host-old=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"

	b := moving()
	secret := b.cookies["__Host-old"]
	res := b.get("/page")
	want := []string{"__Host-session=" + secret + "; Path=/; Secure; HttpOnly; SameSite=Strict", cleared}
	if got := res.Header["Set-Cookie"]; !slices.Equal(got, want) {
		t.Errorf("Set-Cookie: %q, want %q", got, want)
	}
	b.wants("/me", 200, "alice")
	if got := b.get("/page").Header["Set-Cookie"]; got != nil {
		t.Errorf("the second page sets %q", got)
	}

	b = moving()
	if got := b.get("/logout").Header["Set-Cookie"]; len(got) != 2 || got[1] != cleared {
		t.Errorf("Logout sets %q", got)
	}
	b = moving()
	p := b.mustPrincipal(after)
	if got := b.get("/login?u=alice").Header["Set-Cookie"]; len(got) != 2 || got[1] != cleared {
		t.Errorf("Login sets %q", got)
	}
	if after.Alive(t.Context(), p) == nil {
		t.Error("the session under the old name outlives the Login")
	}
	b = moving()
	b.cookies["__Host-session"] = strings.Repeat("A", 43) // the new name counts
	b.wants("/me", 401, "no_credential")
	b = moving()
	b.cookies["__Host-old"] = strings.Repeat("A", 43) // of no session
	if got := b.get("/page").Header["Set-Cookie"]; got != nil {
		t.Errorf("a dead cookie sets %q", got)
	}
}

// The previous cookie of an embedded app was a partitioned one, too.
func TestEmbeddedCookieGetsAnotherName(t *testing.T) {
	store := memstore.NewWithCleanupInterval(0)
	b := newBrowser(t, app(t, newManager(t, session.Config{Store: store, Name: "old", DangerouslyEmbedded: true})))
	b.get("/login?u=alice")
	secret := b.cookies["__Host-old-embedded"]
	b.h = app(t, newManager(t, session.Config{Store: store, PreviousName: "old", DangerouslyEmbedded: true}))
	const attributes = "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"
	want := []string{"__Host-session-embedded=" + secret + attributes, "__Host-old-embedded=" + attributes + "; Max-Age=0"}
	if got := b.get("/page").Header["Set-Cookie"]; !slices.Equal(got, want) {
		t.Errorf("Set-Cookie: %q, want %q", got, want)
	}
	b.wants("/me", 200, "alice")
}
