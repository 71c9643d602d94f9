package middleware

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// deniedFeatures are the powerful features that a page has only if [HeadersConfig] names
// them: sensors, devices, capture, location, payment. Chromium has each of them on every
// platform; it warns in the console about a feature that it does not have.
var deniedFeatures = [...]string{
	"accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "idle-detection", "magnetometer", "microphone",
	"midi", "payment", "usb", "window-management", "xr-spatial-tracking",
}

// isFeature has the names of the W3C's list of policy-controlled features and of
// later specifications.
func isFeature(name string) bool {
	switch name {
	case "bluetooth", "hid", "local-fonts", "serial": // powerful, but not on every platform of Chromium
		return true
	case "local-network", "local-network-access", "loopback-network": // Local Network Access §4.3
		return true
	case "ambient-light-sensor", "aria-notify", "attribution-reporting", "autoplay", "battery", "browsing-topics",
		"captured-surface-control", "clipboard-read", "clipboard-write", "compute-pressure",
		"cross-origin-isolated", "deferred-fetch", "deferred-fetch-minimal", "digital-credentials-create",
		"digital-credentials-get", "encrypted-media", "fullscreen", "gamepad", "identity-credentials-get", "keyboard-map",
		"language-detector", "language-model", "on-device-speech-recognition", "otp-credentials",
		"picture-in-picture", "private-state-token-issuance", "private-state-token-redemption",
		"publickey-credentials-create", "publickey-credentials-get", "rewriter", "screen-wake-lock",
		"speaker-selection", "storage-access", "summarizer", "sync-xhr", "translator", "unload", "web-share", "writer":
		return true
	}
	return slices.Contains(deniedFeatures[:], name)
}

// permissionsPolicy writes the preset with the given allow-lists in it, in the
// order of the names.
func permissionsPolicy(given map[string][]string) (string, error) {
	lists := make(map[string][]string, len(deniedFeatures)+len(given))
	for _, name := range deniedFeatures {
		lists[name] = nil
	}
	maps.Copy(lists, given)
	var errs []error
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		if !isFeature(name) {
			errs = append(errs, fmt.Errorf("middleware: HeadersConfig.Permissions: %q is not a known feature", name))
			continue
		}
		value, err := allowlist(name, lists[name])
		errs = append(errs, err)
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name + "=" + value)
	}
	return b.String(), errors.Join(errs...)
}

// allowlist writes an inner list of a structured field (RFC 9651 §3.1.1): self is a
// token, an origin a string.
func allowlist(feature string, pages []string) (string, error) {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("middleware: HeadersConfig.Permissions: "+feature+": "+format, args...))
	}
	items := make([]string, 0, len(pages))
	for i, p := range pages {
		switch {
		case slices.Contains(pages[:i], p):
			fail("%q is given twice", p)
		case p == "self":
			items = append(items, p)
		case isPlainOrigin(p):
			items = append(items, `"`+p+`"`)
		default:
			fail(`%q is neither self (without quotes) nor an origin like https://app.example`, p)
		}
	}
	if len(pages) > 0 && !slices.Contains(pages, "self") {
		fail("origins without self: a page cannot delegate a feature that it may not use: add self")
	}
	return "(" + strings.Join(items, " ") + ")", errors.Join(errs...)
}

// isPlainOrigin reports whether s is an https origin as browsers write it.
func isPlainOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && isSourceHost(u.Host) && s == "https://"+strings.ToLower(u.Host)
}
