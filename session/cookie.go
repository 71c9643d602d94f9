package session

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// cookie is how the secret travels (RFC 6265bis §4.1).
type cookie struct {
	name       string
	previous   string // of PreviousName; "": none
	attributes string
	persistent bool

	clearsCache, clearsCookies bool
	local                      bool // browsers respect Clear-Site-Data over https only
}

func newCookie(cfg Config) cookie {
	c := cookie{
		persistent: cfg.Persistent, local: cfg.DangerouslyAllowLocalHTTP,
		clearsCache: cfg.LogoutClearsCache, clearsCookies: cfg.LogoutClearsCookies,
	}
	prefix, secure := "__Host-", "; Secure"
	if c.local {
		prefix, secure = "dev-", "" // another name, so that neither profile reads the other's cookie
	}
	suffix, sameSite := "", "Strict"
	switch {
	case cfg.SameSiteLax:
		sameSite = "Lax"
	case cfg.DangerouslyEmbedded:
		suffix = "-embedded" // another name, because a cookie that is not partitioned would be sent beside it
		sameSite = "None; Partitioned"
	}
	c.name = prefix + cfg.Name + suffix
	if cfg.PreviousName != "" {
		c.previous = prefix + cfg.PreviousName + suffix
	}
	c.attributes = "; Path=/" + secure + "; HttpOnly; SameSite=" + sameSite
	return c
}

// read returns the cookie's value and how many cookies of that name there are; if there is
// none, those of the previous name. The name is compared exactly: browsers enforce the rules of
// a prefix in any letter case, but this package sends one case only (RFC 6265bis §5.7).
func (c *cookie) read(h http.Header) (value string, n int, previous bool) {
	before, older := "", 0
	c.each(h, func(name, v string) {
		if name == c.name {
			value, n = v, n+1
		} else {
			before, older = v, older+1
		}
	})
	if n == 0 && older > 0 {
		return before, older, true
	}
	return value, n, false
}

// each calls fn with the cookies of both names.
func (c *cookie) each(h http.Header, fn func(name, value string)) {
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			name, v, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if ok && (name == c.name || c.previous != "" && name == c.previous) {
				fn(name, v)
			}
		}
	}
}

// set sends the secret. The cookie has no Max-Age unless it is persistent: the browser then
// removes it when it closes.
func (c *cookie) set(h http.Header, token string, lifetime time.Duration) {
	age := ""
	if c.persistent {
		age = "; Max-Age=" + strconv.FormatInt(max(1, int64(lifetime/time.Second)), 10)
	}
	c.send(h, c.name+"="+token+c.attributes+age)
}

// clear removes the cookie, under both names.
func (c *cookie) clear(h http.Header) {
	c.send(h, c.name+"="+c.attributes+"; Max-Age=0")
	c.clearPrevious(h)
}

func (c *cookie) clearPrevious(h http.Header) {
	if c.previous != "" {
		c.send(h, c.previous+"="+c.attributes+"; Max-Age=0")
	}
}

// forget has the browser clear the origin's data (ASVS 14.3.1; Clear Site Data §3.1). A new
// cookie in the same response would not survive "cookies".
func (c *cookie) forget(h http.Header, renewed bool) {
	if c.local {
		return
	}
	data := `"storage"`
	if c.clearsCookies && !renewed {
		data = `"cookies", ` + data
	}
	if c.clearsCache {
		data = `"cache", ` + data
	}
	h.Set("Clear-Site-Data", data)
}

// send keeps caches from sending the cookie to another client.
func (c *cookie) send(h http.Header, line string) {
	h.Add("Set-Cookie", line)
	h.Set("Cache-Control", "no-store")
}
