package redial

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/certificate"
	"github.com/securews/securews/internal/loopback"
	"github.com/securews/securews/internal/opening"
)

func wrong(format string, args ...any) error { return fmt.Errorf("redial: "+format, args...) }

// checkURL quotes only scheme and host in its errors: the rest may contain a secret.
func checkURL(raw string, plaintext bool) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return wrong("URL: empty: want wss://…")
	case err != nil:
		return wrong("URL: does not parse")
	case u.Hostname() == "" || u.Opaque != "":
		return wrong("URL: no host")
	}
	var errs []error
	switch {
	case u.Scheme == "wss":
	case u.Scheme != "ws":
		errs = append(errs, wrong("URL: scheme %q: want wss", u.Scheme))
	case !loopback.Is(u.Hostname()):
		errs = append(errs, wrong("URL: ws:// to %s: without TLS any host on the path can read and change messages (ASVS 4.4.1)",
			u.Hostname()))
	case !plaintext:
		errs = append(errs, wrong("URL: ws:// without DangerouslyAllowLocalHTTP"))
	}
	if u.User != nil {
		errs = append(errs, wrong("URL: user or password: use Credential"))
	}
	if u.Fragment != "" || strings.HasSuffix(raw, "#") {
		errs = append(errs, wrong("URL: a fragment (RFC 6455 §3)"))
	}
	for name := range u.Query() {
		switch strings.ToLower(name) {
		case "ticket", "token", "access_token":
			errs = append(errs, wrong("URL: %s in the query: use Credential", name))
		}
	}
	return errors.Join(errs...)
}

func checkOrigin(origin string) error {
	if origin == "" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Scheme+"://"+u.Host != origin || u.Host == "" || u.User != nil {
		return wrong("Origin: %q is not scheme://host[:port] (RFC 6454 §6.2)", origin)
	}
	return nil
}

func checkSubprotocols(list []string) error {
	var errs []error
	for i, s := range list {
		switch {
		case !opening.IsToken(s):
			errs = append(errs, wrong("Subprotocols: %q is not a token (RFC 6455 §4.1)", s))
		case slices.Contains(list[:i], s):
			errs = append(errs, wrong("Subprotocols: %q is given twice", s))
		case strings.HasPrefix(s, ticketPrefix), strings.HasPrefix(s, bearerPrefix):
			errs = append(errs, wrong("Subprotocols: %.8q…: a credential: use Credential", s))
		}
	}
	return errors.Join(errs...)
}

// checkHeader rejects the fields that belong to the handshake or to a Credential.
func checkHeader(h http.Header) error {
	var errs []error
	for name, values := range h {
		if slices.ContainsFunc(values, func(v string) bool { return !isFieldValue(v) }) {
			errs = append(errs, wrong("Header: %s: a value contains control characters", name))
		}
		switch canonical := http.CanonicalHeaderKey(name); {
		case !opening.IsToken(name):
			errs = append(errs, wrong("Header: %q is not a field name", name))
		case canonical == "Authorization":
			errs = append(errs, wrong("Header: Authorization: use Credential"))
		case canonical == "Origin":
			errs = append(errs, wrong("Header: Origin: use Config.Origin"))
		case canonical == "Host", canonical == "Connection", canonical == "Upgrade", strings.HasPrefix(canonical, "Sec-"):
			errs = append(errs, wrong("Header: %s is set by the handshake", canonical))
		}
	}
	return errors.Join(errs...)
}

// checkClient rejects settings that disable the verification of certificates or permit
// obsolete versions of TLS, as far as they can be seen before a dial.
func checkClient(c *http.Client) error {
	var transport http.RoundTripper
	if c != nil {
		transport = c.Transport
	}
	var errs []error
	for _, err := range certificate.Check(transport) {
		errs = append(errs, wrong("HTTPClient: %v", err))
	}
	return errors.Join(errs...)
}

func checkRetryCodes(codes []websocket.StatusCode) error {
	var errs []error
	for _, code := range codes {
		if !slices.Contains([]websocket.StatusCode{1000, 1005, 1008}, code) && (code < 4000 || code > 4999) {
			errs = append(errs, wrong("RetryCodes: %d is not 1000, 1005, 1008 or 4000-4999", code))
		}
	}
	return errors.Join(errs...)
}

func checkRetryStatuses(statuses []int) error {
	var errs []error
	for _, status := range statuses {
		if status < 400 || status > 599 {
			errs = append(errs, wrong("RetryStatuses: %d is not 400-599", status))
		}
	}
	return errors.Join(errs...)
}

// isFieldValue reports whether s is a field value (RFC 9110 §5.5), which net/http requires.
func isFieldValue(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) < 0
}
