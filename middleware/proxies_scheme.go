package middleware

import "strings"

// clientScheme is the scheme of the client's request, as a trusted proxy names it.
type clientScheme uint8

const (
	schemeMissing clientScheme = iota
	schemeHTTP
	schemeHTTPS
	schemeUnclear // the values differ, or one is neither
)

// readScheme returns the scheme that all values of a scheme header name: which of several is
// the client's is not known.
func (p *Proxies) readScheme(lines []string) (scheme clientScheme) {
	for _, line := range lines {
		if p.scheme == cfVisitor { // JSON, whose commas separate no values
			scheme = scheme.and(schemeOfVisitor(line))
			continue
		}
		for value := range strings.SplitSeq(line, ",") {
			value = strings.Trim(value, " \t")
			switch {
			case p.onOff:
				scheme = scheme.and(schemeOfSwitch(value))
			default:
				scheme = scheme.and(schemeOf(value))
			}
		}
	}
	return scheme
}

func (s clientScheme) and(other clientScheme) clientScheme {
	if s == schemeMissing || s == other {
		return other
	}
	return schemeUnclear
}

func schemeOf(s string) clientScheme {
	switch {
	case strings.EqualFold(s, "https") || strings.EqualFold(s, "wss"):
		return schemeHTTPS
	case strings.EqualFold(s, "http") || strings.EqualFold(s, "ws"):
		return schemeHTTP
	}
	return schemeUnclear
}

// cfVisitor is Cloudflare's header, {"scheme":"https"}.
const cfVisitor = "Cf-Visitor"

func schemeOfVisitor(s string) clientScheme {
	s, begins := strings.CutPrefix(strings.Trim(s, " \t"), "{")
	s, ends := strings.CutSuffix(s, "}")
	name, value, _ := strings.Cut(s, ":")
	if !begins || !ends || strings.Trim(name, " \t") != `"scheme"` {
		return schemeUnclear
	}
	switch strings.Trim(value, " \t") {
	case `"https"`:
		return schemeHTTPS
	case `"http"`:
		return schemeHTTP
	}
	return schemeUnclear
}

// isSwitch reports whether the header says on or off.
func isSwitch(name string) bool { return name == "X-Forwarded-Ssl" || name == "Front-End-Https" }

func schemeOfSwitch(s string) clientScheme {
	switch {
	case strings.EqualFold(s, "on"):
		return schemeHTTPS
	case strings.EqualFold(s, "off"):
		return schemeHTTP
	}
	return schemeUnclear
}
