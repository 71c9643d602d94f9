package bearer

import (
	"fmt"
	"slices"
	"strings"
)

// issuerRule says which iss is accepted.
type issuerRule struct {
	name           string // Config.Issuer
	before, behind string // of the tenant, if there is one for each
	claim          string // that names the tenant; empty: one issuer
	tenants        []string
	allowed        func(tenant string) bool
}

const tenantPlace = "{tenant}"

func newIssuerRule(cfg Config) issuerRule {
	r := issuerRule{name: cfg.Issuer}
	if before, behind, ok := strings.Cut(cfg.Issuer, tenantPlace); ok {
		r.before, r.behind = before, behind
		r.claim, r.tenants, r.allowed = cfg.Profile.Tenant, slices.Clone(cfg.Tenants), cfg.TenantAllowed
	}
	return r
}

// owns reports whether an issuer is one of the rule, with any tenant.
func (r *issuerRule) owns(iss string) bool {
	if r.claim == "" {
		return iss == r.name
	}
	return len(iss) > len(r.before)+len(r.behind) && strings.HasPrefix(iss, r.before) && strings.HasSuffix(iss, r.behind)
}

// names are the issuers that can be listed: not those of tenants that a function accepts.
func (r *issuerRule) names() (list []string) {
	if r.claim == "" {
		return []string{r.name}
	}
	for _, tenant := range r.tenants {
		list = append(list, r.before+tenant+r.behind)
	}
	return list
}

// subjectIssuer is the Issuer of a revocation of a subject under every issuer of the rule.
func (r *issuerRule) subjectIssuer() string {
	if r.claim == "" {
		return r.name
	}
	return ""
}

// check compares iss, and the claim of the tenant with it.
func (r *issuerRule) check(iss string, members []member) error {
	if r.claim == "" {
		if iss != r.name {
			return fmt.Errorf("%w: iss is %.200q; want Config.Issuer, %.200q", errIssuer, iss, r.name)
		}
		return nil
	}
	tenant, _ := text(find(members, r.claim))
	switch {
	case tenant == "" || iss != r.before+tenant+r.behind:
		return fmt.Errorf("%w: iss is %.200q and %s is %.80q; want Config.Issuer, %.200q", errIssuer, iss, r.claim, tenant, r.name)
	case slices.Contains(r.tenants, tenant), r.allowed != nil && r.allowed(tenant):
		return nil
	}
	return fmt.Errorf("%w: %s is %.80q; see Config.Tenants", errTenant, r.claim, tenant)
}

// maySign returns an error if the Profile has tenants and the key is that of another one.
func (c *rules) maySign(k *key, iss string) error {
	if c.profile.Tenant == "" || k.isFor(iss) {
		return nil
	}
	return fmt.Errorf("%w: iss is %.200q, and the key is of issuer %.200q", errKeyTenant, iss, k.issuer)
}
