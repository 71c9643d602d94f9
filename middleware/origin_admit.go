package middleware

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

var (
	originMissing error = &Refusal{
		Status: http.StatusForbidden, Reason: ReasonOriginMissing,
		Err: errors.New("middleware: OriginPolicy: no Origin: browsers send one; OriginConfig.AllowMissing admits native clients"),
	}

	errSeveralOrigins = errors.New("it is one of several Origin headers (RFC 6454 §7.3)")
	errNotAllowed     = errors.New("it is not in OriginConfig.Allow")
	errNotAsked       = errors.New("it is not in OriginConfig.Allow, and OriginConfig.AllowFunc does not allow it")
	errOpaqueOrigin   = errors.New("it is a sandboxed frame, a local file, or a redirect across sites, which " +
		"OriginConfig.Allow cannot name")
)

func refuseOrigin(reason Reason, value string, why error) error {
	return refuseFound(http.StatusForbidden, reason, "OriginPolicy: Origin", value, why)
}

// admit returns an Origin that is allowed, and whether a wildcard allows it, or the refusal.
func (p *OriginPolicy) admit(r *http.Request, value string) (o origin, wild bool, err error) {
	if o, ok := p.raw[value]; ok {
		return o, false, nil
	}
	if o, ok := p.subdomains.Get(value); ok {
		return o, true, p.checkTenant(r, o, value)
	}
	// RFC 6454 §7.1: null, in that exact spelling. Chromium sends file:// for a local
	// file that may read others, as in Electron.
	if value == "null" || value == "file://" {
		if p.any {
			return origin{}, false, nil
		}
		return origin{}, false, refuseOrigin(ReasonOriginNotAllowed, value, errOpaqueOrigin)
	}
	if o, err = parseOrigin(value); err != nil {
		return origin{}, false, refuseOrigin(ReasonOriginMalformed, value, err)
	}
	if _, ok := p.exact[o]; ok || p.any {
		return o, false, nil
	}
	if o.scheme == "https" && p.wild.admit(o.endpoint) {
		p.subdomains.Put(value, o.clone())
		return o, true, p.checkTenant(r, o, value)
	}
	if p.allowFunc == nil {
		return origin{}, false, refuseOrigin(ReasonOriginNotAllowed, value, errNotAllowed)
	}
	if o.scheme == "https" && p.allowFunc(r.Context(), o.String(), p.hostOf(r)) {
		return o, false, nil
	}
	return origin{}, false, refuseOrigin(ReasonOriginNotAllowed, value, errNotAsked)
}

// hostOf returns the host of a request in canonical form; "" if it cannot be read.
func (p *OriginPolicy) hostOf(r *http.Request) string {
	e, err := parseEndpoint(p.proxies.Host(r), 443)
	if err != nil {
		return ""
	}
	return e.without(443)
}

// checkAllowFunc calls it with an origin that no page has (RFC 6761 §6.4).
func checkAllowFunc(allowed func(ctx context.Context, page, host string) bool) error {
	if allowed == nil {
		return nil
	}
	page := "https://" + strings.ToLower(rand.Text()) + ".invalid"
	if allowed(context.Background(), page, "") {
		return fmt.Errorf("middleware: OriginConfig.AllowFunc: it allows %q, a page that cannot exist: have it look the page "+
			"up, or use DangerouslyAnyOrigin()", page)
	}
	return nil
}
