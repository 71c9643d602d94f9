package middleware

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	hstsDefault = 2 * 365 * 24 * time.Hour
	hstsLeast   = 365 * 24 * time.Hour // ASVS 3.4.1; https://hstspreload.org asks for the same
)

// hsts returns the value of Strict-Transport-Security.
func (cfg *HeadersConfig) hsts() (string, error) {
	age := cfg.HSTS
	if age == 0 {
		age = hstsDefault
	}
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("middleware: HeadersConfig."+format, args...))
	}
	switch {
	case age < 0:
		fail("HSTS: %v is negative: write 0 for two years", age)
	case age%time.Second != 0:
		fail("HSTS: %v is not in whole seconds", age)
	case age < hstsLeast && cfg.HSTSPreload:
		fail("HSTSPreload: the lists want a year or more, not %v", age)
	case age < hstsLeast && !cfg.DangerouslyShortHSTS:
		fail("HSTS: %v is less than a year: write 0 for two years, or set DangerouslyShortHSTS for a roll-out", age)
	}
	if age >= hstsLeast && cfg.DangerouslyShortHSTS {
		fail("DangerouslyShortHSTS: HSTS is %v, which is not short: leave it out", age)
	}
	if cfg.HSTSPreload && cfg.HSTSThisHostOnly {
		fail("HSTSPreload: the lists want the subdomains, which HSTSThisHostOnly leaves out")
	}
	value := "max-age=" + strconv.FormatInt(int64(age/time.Second), 10)
	if !cfg.HSTSThisHostOnly {
		value += "; includeSubDomains"
	}
	if cfg.HSTSPreload {
		value += "; preload"
	}
	return value, errors.Join(errs...)
}

const isolationGroup = "isolation" // of Reporting-Endpoints

// addChoices adds the headers that have one of a few values.
func (h *Headers) addChoices(cfg *HeadersConfig) error {
	openers := []string{"same-origin", "same-origin-allow-popups", "noopener-allow-popups"}
	embedders := []string{"require-corp", "credentialless"}
	var errs []error
	for _, c := range []struct {
		field, name, given string
		choices            []string
		reports            bool
	}{
		{
			field: "ReferrerPolicy", name: "Referrer-Policy", given: cfg.ReferrerPolicy,
			choices: []string{"same-origin", "no-referrer", "strict-origin", "strict-origin-when-cross-origin"},
		},
		{
			field: "ResourcePolicy", name: "Cross-Origin-Resource-Policy",
			given: cfg.ResourcePolicy, choices: []string{"same-origin", "same-site", "cross-origin"},
		},
		{field: "OpenerPolicy", name: "Cross-Origin-Opener-Policy", given: cfg.OpenerPolicy, choices: openers, reports: true},
		{
			field: "EmbedderPolicy", name: "Cross-Origin-Embedder-Policy",
			given: cfg.EmbedderPolicy, choices: append([]string{""}, embedders...), reports: true,
		},
		{
			field: "OpenerPolicyReportOnly", name: "Cross-Origin-Opener-Policy-Report-Only",
			given: cfg.OpenerPolicyReportOnly, choices: append([]string{""}, openers...), reports: true,
		},
		{
			field: "EmbedderPolicyReportOnly", name: "Cross-Origin-Embedder-Policy-Report-Only",
			given: cfg.EmbedderPolicyReportOnly, choices: append([]string{""}, embedders...), reports: true,
		},
	} {
		value, err := chooseHeader(c.field, c.given, c.choices)
		errs = append(errs, err)
		if value == "" {
			continue
		}
		if c.reports && cfg.IsolationReportTo != "" {
			value += `; report-to="` + isolationGroup + `"`
		}
		h.set(c.name, value)
	}
	return errors.Join(append(errs, cfg.checkIsolation())...)
}

// checkIsolation finds reports without a receiver, and report-only policies that are enforced already.
func (cfg *HeadersConfig) checkIsolation() error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("middleware: HeadersConfig."+format, args...))
	}
	reportOnly := cfg.OpenerPolicyReportOnly + cfg.EmbedderPolicyReportOnly
	switch to := cfg.IsolationReportTo; {
	case to == "" && reportOnly != "":
		fail("IsolationReportTo: required by OpenerPolicyReportOnly and EmbedderPolicyReportOnly: name the URL that receives the reports")
	case to != "" && !isReportURL(to):
		fail(`IsolationReportTo: %q is neither an https URL nor a path on this host: write `+
			`"https://reports.example/isolation" or "/isolation"`, to)
	}
	enforced := cfg.OpenerPolicy
	if enforced == "" {
		enforced = "same-origin"
	}
	// Beside a report-only embedder policy, "same-origin" tries out isolation.
	if cfg.OpenerPolicyReportOnly == enforced && cfg.EmbedderPolicyReportOnly == "" {
		fail("OpenerPolicyReportOnly: %q is enforced already: leave it out", enforced)
	}
	if cfg.EmbedderPolicyReportOnly != "" && cfg.EmbedderPolicyReportOnly == cfg.EmbedderPolicy {
		fail("EmbedderPolicyReportOnly: %q is enforced already: leave it out", cfg.EmbedderPolicy)
	}
	return errors.Join(errs...)
}

// frameOptions is frame-ancestors for browsers without CSP (RFC 7034 §2.1); "" if that header
// cannot express it.
func frameOptions(c *CSP) string {
	switch list := c.FrameAncestors; {
	case c.DangerouslyAnyFrameAncestor:
		return ""
	case len(list) == 0, len(list) == 1 && list[0] == "'none'":
		return "DENY"
	case len(list) == 1 && list[0] == "'self'":
		return "SAMEORIGIN"
	}
	return ""
}

// chooseHeader returns the given one of the choices; for "" the first.
func chooseHeader(field, given string, choices []string) (string, error) {
	if given == "" {
		return choices[0], nil
	}
	if slices.Contains(choices, given) {
		return given, nil
	}
	known := slices.DeleteFunc(slices.Clone(choices), func(s string) bool { return s == "" })
	return "", fmt.Errorf("middleware: HeadersConfig.%s: %q is none of %s", field, given, strings.Join(known, ", "))
}

func joinNonEmpty(a, separator, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + separator + b
}
