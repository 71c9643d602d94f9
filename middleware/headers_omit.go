package middleware

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// omittable lists the header fields of the preset, each with the settings that configure it, or
// "" if none of them is set.
func (cfg *HeadersConfig) omittable() map[string]string {
	csp := cfg.CSP
	csp.FrameAncestors, csp.DangerouslyAnyFrameAncestor = nil, false // X-Frame-Options follows these, too
	given := func(is bool, settings string) string {
		if !is {
			return ""
		}
		return settings
	}
	hsts := cfg.HSTS != 0 || cfg.HSTSThisHostOnly || cfg.HSTSPreload || cfg.DangerouslyShortHSTS || cfg.Proxies != nil
	return map[string]string{
		hstsName:                       given(hsts, "HSTS, HSTSThisHostOnly, HSTSPreload, DangerouslyShortHSTS or Proxies"),
		"Content-Security-Policy":      given(!reflect.ValueOf(csp).IsZero(), "CSP"),
		"X-Frame-Options":              "",
		"X-Content-Type-Options":       "",
		"Referrer-Policy":              given(cfg.ReferrerPolicy != "", "ReferrerPolicy"),
		"Cross-Origin-Opener-Policy":   given(cfg.OpenerPolicy != "", "OpenerPolicy"),
		"Cross-Origin-Resource-Policy": given(cfg.ResourcePolicy != "", "ResourcePolicy"),
		"Permissions-Policy":           given(len(cfg.Permissions) > 0, "Permissions"),
		"Cache-Control":                "",
	}
}

// omit takes the named fields out. Strict-Transport-Security and Cache-Control have places of
// their own.
func (h *Headers) omit(cfg *HeadersConfig) error {
	var errs []error
	fail := func(name, text string) {
		errs = append(errs, fmt.Errorf("middleware: HeadersConfig.DangerouslyOmit: %q: %s", name, text))
	}
	known := cfg.omittable()
	for i, name := range cfg.DangerouslyOmit {
		switch settings, ok := known[name]; {
		case !ok:
			fail(name, "it is none of "+strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		case slices.Contains(cfg.DangerouslyOmit[:i], name):
			fail(name, "it is given twice")
		case settings != "":
			fail(name, settings+" configures it, too: leave one out")
		}
	}
	omitted := func(name string) bool { return slices.Contains(cfg.DangerouslyOmit, name) }
	loadsNothing := cfg.CSP.loadsNothing() && !omitted("Content-Security-Policy")
	h.noStore = (h.nonce || loadsNothing) && !omitted("Cache-Control")
	h.fixed = slices.DeleteFunc(h.fixed, func(f headerField) bool {
		if f.name == hstsName && !omitted(hstsName) {
			h.hsts = f.values
		}
		return f.name == hstsName || omitted(f.name)
	})
	return errors.Join(errs...)
}
