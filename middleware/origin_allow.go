package middleware

import (
	"errors"
	"fmt"
	"strings"
)

// parseAllowedOrigin reads an entry of [OriginConfig].Allow. Its errors say what to
// write instead, and never a name that the entry does not have.
func parseAllowedOrigin(entry string, localHTTP bool) (scheme string, p hostPattern, err error) {
	authority, scheme, err := splitAllowedOrigin(entry)
	if err != nil {
		return "", hostPattern{}, err
	}
	if p, err = parsePattern(authority, defaultPort(scheme)); err != nil {
		return "", hostPattern{}, err
	}
	switch {
	case scheme == "https":
	case p.wild && scheme == "http":
		err = errors.New("a wildcard is for pages on TLS: name each local page")
	case p.wild:
		err = fmt.Errorf("a wildcard is for https: name each origin of %s://", scheme)
	case scheme != "http":
	case !isLocalPage(p.host):
		err = fmt.Errorf("anyone on the network can replace a page that is loaded without TLS: write %q", "https://"+authority)
	case !localHTTP:
		err = errors.New("plaintext is for development: write https://, or set DangerouslyAllowLocalHTTP")
	}
	return scheme, p, err
}

// isLocalPage reports whether browsers load a page of this host from this machine: they do
// not ask a resolver for names below localhost (RFC 6761 §6.3).
func isLocalPage(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "127.0.0.1" || host == "[::1]"
}

// opaqueSchemes are those of URLs whose origin is opaque, and sent as null (WHATWG URL §4.7).
// The origin of a blob is that of the page that made it.
const opaqueSchemes = " file data blob about javascript filesystem content "

// splitAllowedOrigin returns the scheme and the authority of an entry that consists of them.
func splitAllowedOrigin(entry string) (authority, scheme string, err error) {
	scheme, rest, ok := strings.Cut(entry, "://")
	end := strings.IndexAny(rest, `/\?#`)
	if end < 0 {
		end = len(rest)
	}
	authority, scheme = rest[:end], strings.ToLower(scheme)
	user, host, hasUser := strings.Cut(authority, "@")
	switch {
	case entry == "":
		err = errors.New(`it is empty: write "https://app.example"`)
	case checkPrintable(entry) != nil:
		err = checkPrintable(entry)
	case strings.EqualFold(entry, "null"):
		err = errors.New(`every sandboxed frame and local file has this origin: write the "https://app.example" that serves the page`)
	case entry == "*" || authority == "*":
		err = errors.New("it is every origin, not a list: name the origins, or use DangerouslyAnyOrigin()")
	case strings.ContainsAny(entry, ",;"):
		err = errors.New("it holds several origins: write one per entry")
	case !ok:
		err = fmt.Errorf("the scheme is missing: write %q", "https://"+strings.TrimLeft(strings.TrimPrefix(entry, "https:"), "/"))
	default:
		err = checkAllowedScheme(scheme, authority)
	}
	switch {
	case err != nil:
	case authority == "":
		err = errors.New(`the host is missing: write "https://app.example"`)
	case hasUser && strings.Contains(user, "."): // which of the two hosts was meant is not known
		err = errors.New("an origin has no user: remove the @ and the part that does not belong to the host")
	case hasUser:
		err = fmt.Errorf("an origin has no user: write %q", scheme+"://"+host)
	case end < len(rest):
		err = fmt.Errorf("an origin has neither path, query nor fragment, and no slash at its end: write %q", scheme+"://"+authority)
	}
	return authority, scheme, err
}

// checkAllowedScheme admits http and https, and the schemes that native shells and browser
// extensions register for the pages that they bring along.
func checkAllowedScheme(scheme, authority string) error {
	switch {
	case !isScheme(scheme):
		return errors.New("what stands before :// is not a scheme (RFC 3986 §3.1)")
	case strings.Contains(opaqueSchemes, " "+scheme+" "):
		return fmt.Errorf("pages of %s: have the opaque origin null, as every sandboxed frame has: serve the page by https, "+
			"or by a scheme of the shell's own", scheme)
	case scheme == "ws" || scheme == "wss":
		return fmt.Errorf("the Origin is that of the page, not of the socket: write %q", "https://"+authority)
	case scheme == "ftp":
		return fmt.Errorf("anyone on the network can replace a page that is loaded without TLS: write %q", "https://"+authority)
	case scheme != "http" && scheme != "https" && (strings.HasPrefix(scheme, "htt") || strings.HasPrefix(scheme, "htp")):
		return fmt.Errorf("the scheme is misspelt: write %q", "https://"+authority)
	}
	return nil
}
