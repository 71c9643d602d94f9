package session_test

import (
	"net/http"
	"strings"
	"testing"

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
