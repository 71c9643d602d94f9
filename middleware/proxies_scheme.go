package middleware

import "strings"

// saidScheme is the word of a trusted proxy about the client's scheme.
type saidScheme uint8

const (
	saidNothing saidScheme = iota
	saidPlain
	saidSecure
	saidUnclear // several values that differ, or one that is neither
)

// readScheme combines the values of a scheme header. Which of several is the client's is not
// known, so they must agree.
func (p *Proxies) readScheme(lines []string) (said saidScheme) {
	for _, line := range lines {
		if p.scheme == cfVisitor { // JSON, whose commas separate no values
			said = said.and(schemeOfVisitor(line))
			continue
		}
		for value := range strings.SplitSeq(line, ",") {
			value = strings.Trim(value, " \t")
			switch {
			case p.onOff:
				said = said.and(schemeOfSwitch(value))
			default:
				said = said.and(schemeOf(value))
			}
		}
	}
	return said
}

func (s saidScheme) and(other saidScheme) saidScheme {
	if s == saidNothing || s == other {
		return other
	}
	return saidUnclear
}

func schemeOf(s string) saidScheme {
	switch {
	case strings.EqualFold(s, "https") || strings.EqualFold(s, "wss"):
		return saidSecure
	case strings.EqualFold(s, "http") || strings.EqualFold(s, "ws"):
		return saidPlain
	}
	return saidUnclear
}

// cfVisitor is Cloudflare's header, {"scheme":"https"}.
const cfVisitor = "Cf-Visitor"

func schemeOfVisitor(s string) saidScheme {
	s, begins := strings.CutPrefix(strings.Trim(s, " \t"), "{")
	s, ends := strings.CutSuffix(s, "}")
	name, value, _ := strings.Cut(s, ":")
	if !begins || !ends || strings.Trim(name, " \t") != `"scheme"` {
		return saidUnclear
	}
	switch strings.Trim(value, " \t") {
	case `"https"`:
		return saidSecure
	case `"http"`:
		return saidPlain
	}
	return saidUnclear
}

// isSwitch reports whether the header says on or off.
func isSwitch(name string) bool { return name == "X-Forwarded-Ssl" || name == "Front-End-Https" }

func schemeOfSwitch(s string) saidScheme {
	switch {
	case strings.EqualFold(s, "on"):
		return saidSecure
	case strings.EqualFold(s, "off"):
		return saidPlain
	}
	return saidUnclear
}
