package middleware

import (
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// wildcards are the patterns of a list, by the parents of the names that they stand for.
type wildcards struct {
	subdomains map[endpoint]struct{}
	labels     map[endpoint][]labelPattern
}

func (w *wildcards) add(p hostPattern) {
	if p.label == (labelPattern{}) {
		if w.subdomains == nil {
			w.subdomains = map[endpoint]struct{}{}
		}
		w.subdomains[p.endpoint] = struct{}{}
		return
	}
	if w.labels == nil {
		w.labels = map[endpoint][]labelPattern{}
	}
	w.labels[p.endpoint] = append(w.labels[p.endpoint], p.label)
}

func (w *wildcards) empty() bool { return len(w.subdomains)+len(w.labels) == 0 }

// admit reports whether a pattern stands for the host, at the same port. It does not
// reach past a public suffix, which [checkWildcard] cannot see from above: below
// s3.amazonaws.com there are other owners than below amazonaws.com.
func (w *wildcards) admit(e endpoint) bool {
	if w.empty() {
		return false
	}
	whole, first := e.host, true
	for {
		label, parent, ok := strings.Cut(e.host, ".")
		if !ok {
			return false
		}
		e.host = parent
		_, found := w.subdomains[e]
		if !found && first {
			found = slices.ContainsFunc(w.labels[e], func(l labelPattern) bool { return l.matches(label) })
		}
		if found { // the suffix is looked for only now: that allocates
			suffix, _ := publicsuffix.PublicSuffix(whole)
			return len(e.host) > len(suffix)
		}
		first = false
	}
}
