package bearer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// resource is this service as RFC 9728 describes it.
type resource struct {
	path, query string // of the URL of its metadata
	metadata    string // that URL; empty: Config.Resource is not set
	document    resourceDocument
}

// resourceDocument is the metadata (RFC 9728 §2).
type resourceDocument struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	Scopes               []string `json:"scopes_supported,omitempty"`
}

const resourceWellKnown = "/.well-known/oauth-protected-resource"

// newResource follows RFC 9728 §3.1: the well-known part stands between the host and the path,
// and a path that is one slash is left out.
func newResource(cfg Config, issuers []string) resource {
	u, err := url.Parse(cfg.Resource)
	if cfg.Resource == "" || err != nil {
		return resource{}
	}
	r := resource{path: resourceWellKnown + u.EscapedPath(), query: u.RawQuery}
	if u.Path == "/" {
		r.path = resourceWellKnown
	}
	r.metadata = u.Scheme + "://" + u.Host + r.path
	if r.query != "" {
		r.metadata += "?" + r.query
	}
	r.document = resourceDocument{
		Resource: cfg.Resource, AuthorizationServers: issuers,
		BearerMethods: []string{"header"}, Scopes: slices.Clone(cfg.ResourceScopes),
	}
	return r
}

func (c Config) validateResource() (errs []error) {
	if c.Resource != "" {
		err := checkURL(c.Resource, c.DangerouslyAllowLocalHTTP)
		if err == nil && strings.ContainsFunc(c.Resource, notNQChar) {
			err = fmt.Errorf("%.80q is not a URL for a header: write printable ASCII without spaces and quotes", c.Resource)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("bearer: Resource: %w", err))
		}
	}
	if len(c.ResourceScopes) > 0 && c.Resource == "" {
		errs = append(errs, errors.New("bearer: ResourceScopes: Resource is empty: set it, or leave both out"))
	}
	for _, s := range c.ResourceScopes {
		if !isScope(s) {
			errs = append(errs, fmt.Errorf("bearer: ResourceScopes: %.80q is not a scope: write one word for each (RFC 6749 §3.3)", s))
		}
	}
	return errs
}

// Metadata answers a GET of the metadata of Config.Resource (RFC 9728 §3), by which clients find
// the issuer, and passes every other request to next. It belongs outside of an Auth. Pages of
// every origin may read the answer. Without Config.Resource it returns next.
func (a *Authenticator) Metadata(next http.Handler) http.Handler {
	if a == nil {
		return next
	}
	return a.rules.resource.serve(next)
}

// Metadata is as [Authenticator.Metadata], for IntrospectionConfig.Resource.
func (i *Introspector) Metadata(next http.Handler) http.Handler {
	if i.zero() {
		return next
	}
	return i.rules.resource.serve(next)
}

// Metadata is [Authenticator.Metadata], with the issuers of all.
func (s *Issuers) Metadata(next http.Handler) http.Handler {
	if s == nil || s.first == nil {
		return next
	}
	all := s.first.rulesOrNil().resource
	all.document.AuthorizationServers = nil
	for _, x := range s.all() {
		for _, name := range x.rulesOrNil().resource.document.AuthorizationServers {
			if !slices.Contains(all.document.AuthorizationServers, name) {
				all.document.AuthorizationServers = append(all.document.AuthorizationServers, name)
			}
		}
	}
	return all.serve(next)
}

func (m resource) serve(next http.Handler) http.Handler {
	if m.metadata == "" {
		return next
	}
	body, _ := json.Marshal(m.document) // strings: no error
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read := r.Method == http.MethodGet || r.Method == http.MethodHead
		if !read || r.URL.EscapedPath() != m.path || r.URL.RawQuery != m.query {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		_, _ = w.Write(body)
	})
}
