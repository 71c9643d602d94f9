package session

import (
	"net/http"
	"strings"
)

// cookie is how the secret travels (RFC 6265bis §4.1).
type cookie struct {
	name       string
	attributes string
	siteData   bool
}

func newCookie(name string, lax, dev bool) cookie {
	c := cookie{name: "__Host-" + name, attributes: "; Path=/; Secure; HttpOnly; SameSite=Strict", siteData: true}
	if dev {
		// Another name, so that neither profile ever reads the other's cookie.
		c = cookie{name: "dev-" + name, attributes: "; Path=/; HttpOnly; SameSite=Strict"}
	}
	if lax {
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

// forget clears the origin's data in the browser, and with "cookies" the cookies of its
// whole registrable domain (ASVS 14.3.1; Clear Site Data §3.1), which a new cookie in the
// same response would not survive. Browsers respect it over https only.
func (c *cookie) forget(h http.Header, cookies bool) {
	switch {
	case c.siteData && cookies:
		h.Set("Clear-Site-Data", `"cache", "cookies", "storage"`)
	case c.siteData:
		h.Set("Clear-Site-Data", `"cache", "storage"`)
	}
}

// send keeps caches from sending the cookie to another client.
func (c *cookie) send(h http.Header, line string) {
	h.Add("Set-Cookie", line)
	h.Set("Cache-Control", "no-store")
}
