package session

import (
	"net/http"
	"strings"
)

// cookie is how the secret travels (RFC 6265bis §4.1).
type cookie struct {
	name       string
	attributes string

	clearsCache, clearsCookies bool
	local                      bool // browsers respect Clear-Site-Data over https only
}

func newCookie(cfg Config) cookie {
	c := cookie{
		name: "__Host-" + cfg.Name, attributes: "; Path=/; Secure; HttpOnly; SameSite=Strict",
		clearsCache: cfg.LogoutClearsCache, clearsCookies: cfg.LogoutClearsCookies, local: cfg.DangerouslyAllowLocalHTTP,
	}
	if c.local {
		// Another name, so that neither profile ever reads the other's cookie.
		c.name, c.attributes = "dev-"+cfg.Name, "; Path=/; HttpOnly; SameSite=Strict"
	}
	if cfg.SameSiteLax {
		c.attributes = strings.TrimSuffix(c.attributes, "Strict") + "Lax"
	}
	return c
}

// read returns the cookie's value and how many cookies of that name there are.
// The name is compared exactly: browsers enforce the rules of a prefix in any letter
// case, but this package sends one case only (RFC 6265bis §5.7).
func (c *cookie) read(h http.Header) (value string, n int) {
	c.each(h, func(v string) { value, n = v, n+1 })
	return value, n
}

func (c *cookie) each(h http.Header, fn func(value string)) {
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			name, v, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if ok && name == c.name {
				fn(v)
			}
		}
	}
}

// set sends the secret. It has no Max-Age: the server ends sessions, and the
// browser forgets them when it closes.
func (c *cookie) set(h http.Header, token string) {
	c.send(h, c.name+"="+token+c.attributes)
}

// clear takes the cookie back.
func (c *cookie) clear(h http.Header) {
	c.send(h, c.name+"="+c.attributes+"; Max-Age=0")
}

// forget has the browser clear the origin's data (ASVS 14.3.1; Clear Site Data §3.1). A new
// cookie in the same response would not survive "cookies".
func (c *cookie) forget(h http.Header, renewed bool) {
	if c.local {
		return
	}
	what := `"storage"`
	if c.clearsCookies && !renewed {
		what = `"cookies", ` + what
	}
	if c.clearsCache {
		what = `"cache", ` + what
	}
	h.Set("Clear-Site-Data", what)
}

// send keeps caches from sending the cookie to another client.
func (c *cookie) send(h http.Header, line string) {
	h.Add("Set-Cookie", line)
	h.Set("Cache-Control", "no-store")
}
