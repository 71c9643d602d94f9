package middleware

import (
	"context"
	"fmt"
	"net/http"
)

// The lists of pages and of hosts may both have wildcards, and each name under them may
// belong to another tenant. A page that a wildcard of an OriginPolicy admits may then use, of the
// hosts that a wildcard of a HostPolicy admits, the one with its own name: the browser sends
// the cookies of the host, SameSite=Strict ones too. The policy that decides second compares
// with the name that the first has put into the context.

type (
	wildHostKey struct{} // for a string, the name that a wildcard of a HostPolicy admitted
	wildPageKey struct{} // for a *wildPage
)

// wildPage is an Origin that a wildcard admitted, unless its policy lets tenants mix.
type wildPage struct{ name, value string }

// checkTenant compares a page that a wildcard admits with the host that an outer HostPolicy
// has found.
func (p *OriginPolicy) checkTenant(r *http.Request, o origin, value string) error {
	if p.acrossTenants {
		return nil
	}
	host, ok := r.Context().Value(wildHostKey{}).(string)
	if !ok || host == o.host {
		return nil
	}
	return refuseTenant(value, host)
}

// checkTenant compares a host that a wildcard admits with the page that an outer
// OriginPolicy has found.
func (p *HostPolicy) checkTenant(r *http.Request, host string) error {
	page, ok := r.Context().Value(wildPageKey{}).(*wildPage)
	if !ok || host == page.name {
		return nil
	}
	return refuseTenant(page.value, host)
}

func withWildHost(r *http.Request, host string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), wildHostKey{}, host))
}

func (p *OriginPolicy) withWildPage(r *http.Request, o origin) *http.Request {
	if p.acrossTenants {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), wildPageKey{}, &wildPage{o.host, o.String()}))
}

func refuseTenant(page, host string) error {
	return refuseOrigin(ReasonOriginNotAllowed, page, &tenantCause{host})
}

type tenantCause struct{ host string }

func (c *tenantCause) Error() string {
	return fmt.Sprintf("a wildcard admits it, and another the host %.300q, which has another name: name the page in OriginConfig.Allow "+
		"or the host in NewHostPolicy, or set OriginConfig.DangerouslyAcrossTenants", c.host)
}
