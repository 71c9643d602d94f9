package bearer

import (
	"errors"
	"fmt"
	"strings"
)

var errScope = errors.New("token scope is malformed")

// takeScopes follows RFC 8693 §4.2: a string of words. Profile.ScopeLists admits a list.
func (c *rules) takeScopes(out *claims, members []member) error {
	for _, name := range c.profile.Scopes {
		value := find(members, name)
		if value == nil {
			continue
		}
		ok := false
		if s, isText := text(value); isText {
			out.scopes, ok = splitScope(s)
		} else if c.profile.ScopeLists {
			out.scopes, ok = appendStrings(nil, value, c.profile.MaxBytes, isScope)
		}
		if !ok {
			return fmt.Errorf("%w: %q is %.80q; see Profile.Scopes", errScope, name, value)
		}
		return nil
	}
	return nil
}

// splitScope follows RFC 6749 §3.3: words with a space between them. Some issuers write
// "" for none, and more than one space; they are read so.
func splitScope(scope string) (words []string, ok bool) {
	words, size := make([]string, 0, min(strings.Count(scope, " ")+1, 64)), 0
	for w := range strings.SplitSeq(scope, " ") {
		if w != "" {
			if !isScope(w) {
				return nil, false
			}
			words, size = append(words, w), size+len(w)+1
		}
	}
	if len(scope) > 2*size { // the words would keep the spaces in memory
		for i, w := range words {
			words[i] = strings.Clone(w)
		}
	}
	return words, true
}

// isScope follows RFC 6749 §3.3.
func isScope(s string) bool { return s != "" && !strings.ContainsFunc(s, notNQChar) }

// notNQChar reports whether r is none of NQCHAR (RFC 6749, appendix A): printable ASCII without
// space, quote and backslash.
func notNQChar(r rune) bool { return r <= 0x20 || r >= 0x7f || r == '"' || r == '\\' }
