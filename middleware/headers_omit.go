package middleware

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// omittable lists the header fields of the preset, each with whether the configuration has
// something to say about it.
func (cfg *HeadersConfig) omittable() map[string]bool {
	csp := cfg.CSP
	csp.FrameAncestors, csp.DangerouslyAnyFrameAncestor = nil, false // X-Frame-Options follows these, too
	return map[string]bool{
		hstsName:                       cfg.HSTS != 0 || cfg.HSTSThisHostOnly || cfg.HSTSPreload || cfg.DangerouslyShortHSTS || cfg.Proxies != nil,
		"Content-Security-Policy":      !reflect.ValueOf(csp).IsZero(),
		"X-Frame-Options":              false,
		"X-Content-Type-Options":       false,
		"Referrer-Policy":              cfg.ReferrerPolicy != "",
		"Cross-Origin-Opener-Policy":   cfg.OpenerPolicy != "",
		"Cross-Origin-Resource-Policy": cfg.ResourcePolicy != "",
		"Permissions-Policy":           len(cfg.Permissions) > 0,
		"Cache-Control":                false,
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
		switch configured, ok := known[name]; {
		case !ok:
			fail(name, "it is none of "+strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		case slices.Contains(cfg.DangerouslyOmit[:i], name):
			fail(name, "it is given twice")
		case configured:
			fail(name, "the configuration sets it, too: leave one out")
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
