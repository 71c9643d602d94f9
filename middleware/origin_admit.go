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
	errNotAsked       = errors.New("it is not in OriginConfig.Allow, and OriginConfig.Allowed does not allow it")
	errOpaqueOrigin   = errors.New("it is a sandboxed frame, a local file, or a redirect across sites, which OriginConfig.Allow cannot name")
)

func refuseOrigin(reason Reason, value string, why error) error {
	return refuseFound(http.StatusForbidden, reason, "OriginPolicy: Origin", value, why)
}

// admit returns the tuple of an Origin that is allowed, or the refusal.
func (p *OriginPolicy) admit(r *http.Request, value string) (origin, error) {
	if o, ok := p.raw[value]; ok {
		return o, nil
	}
	if o, ok := p.subdomains.Get(value); ok {
		return o, p.checkTenant(r, o, value)
	}
	// RFC 6454 §7.1: null, in that exact spelling. Chromium sends file:// for a local
	// file that may read others, as in Electron.
	if value == "null" || value == "file://" {
		if p.any {
			return origin{}, nil
		}
		return origin{}, refuseOrigin(ReasonOriginNotAllowed, value, errOpaqueOrigin)
	}
	o, err := parseOrigin(value)
	if err != nil {
		return origin{}, refuseOrigin(ReasonOriginMalformed, value, err)
	}
	if _, ok := p.exact[o]; ok || p.any {
		return o, nil
	}
	if o.scheme == "https" && p.wild.admit(o.endpoint) {
		p.subdomains.Put(value, o.clone())
		return o, p.checkTenant(r, o, value)
	}
	if p.allowed == nil {
		return origin{}, refuseOrigin(ReasonOriginNotAllowed, value, errNotAllowed)
	}
	if o.scheme == "https" && p.allowed(r.Context(), o.String(), p.hostOf(r)) {
		return o, nil
	}
	return origin{}, refuseOrigin(ReasonOriginNotAllowed, value, errNotAsked)
}

// hostOf returns the host of a request in canonical form; "" if it cannot be read.
func (p *OriginPolicy) hostOf(r *http.Request) string {
	e, err := parseEndpoint(p.proxies.Host(r), 443)
	if err != nil {
		return ""
	}
	return e.without(443)
}

// checkTenant keeps a page that a wildcard admits from the hosts that a wildcard admits,
// except the one with its own name: each may belong to another tenant, and the browser sends
// the cookies of the host, SameSite=Strict ones too.
func (p *OriginPolicy) checkTenant(r *http.Request, o origin, value string) error {
	if p.acrossTenants {
		return nil
	}
	host, ok := r.Context().Value(wildHostKey{}).(string)
	if !ok || host == o.host {
		return nil
	}
	return refuseOrigin(ReasonOriginNotAllowed, value, &tenantCause{host})
}

type tenantCause struct{ host string }

func (c *tenantCause) Error() string {
	return fmt.Sprintf("a wildcard admits it, and another the host %.300q, which has another name: name the page in OriginConfig.Allow or the host in NewHostPolicy, or set DangerouslyAcrossTenants", c.host)
}

// checkAllowed asks a predicate about an origin that no page has (RFC 6761 §6.4).
func checkAllowed(allowed func(ctx context.Context, page, host string) bool) error {
	if allowed == nil {
		return nil
	}
	page := "https://" + strings.ToLower(rand.Text()) + ".invalid"
	if allowed(context.Background(), page, "") {
		return fmt.Errorf("middleware: OriginConfig.Allowed: it allows %q, which is invented, and so any: have it look the page up, or use DangerouslyAnyOrigin()", page)
	}
	return nil
}
