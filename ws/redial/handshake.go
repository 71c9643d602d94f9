package redial

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"

	"github.com/securews/securews/internal/opening"
)

var (
	errNoSubprotocol = errors.New("redial: a credential sent as a subprotocol requires a real one beside it, and Subprotocols is empty")
	errNotSendable   = errors.New("redial: the credential is empty or contains bytes that cannot be sent in its place")
)

// handshake is the request of one dial.
type handshake struct {
	url          string
	header       http.Header
	subprotocols []string // the real ones first, for servers that select the first
	secrets      secrets
}

// add adds the credential to the request.
func (hs *handshake) add(c Credential) error {
	if c.way == wayNone {
		return nil
	}
	if !isToken68(*c.secret) {
		return Permanent(errNotSendable)
	}
	escaped := url.QueryEscape(*c.secret)
	encoded := base64.RawURLEncoding.EncodeToString([]byte(*c.secret))
	hs.secrets.add(*c.secret, escaped, encoded)
	subprotocol := ""
	switch c.way {
	case wayHeader:
		hs.header.Set("Authorization", "Bearer "+*c.secret)
	case wayTicketQuery:
		u, err := url.Parse(hs.url)
		if err != nil {
			return err
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += "ticket=" + escaped
		hs.url = u.String()
	case wayTicketSubprotocol:
		subprotocol = ticketPrefix + *c.secret
	case wayBearerSubprotocol:
		subprotocol = bearerPrefix + "securews." + encoded
	}
	if subprotocol == "" {
		return nil
	}
	if len(hs.subprotocols) == 0 {
		return Permanent(errNoSubprotocol)
	}
	if !opening.IsToken(subprotocol) {
		return Permanent(errNotSendable)
	}
	hs.subprotocols = append(hs.subprotocols[:len(hs.subprotocols):len(hs.subprotocols)], subprotocol)
	return nil
}

// isToken68 reports whether s is a token68 (RFC 9110 §11.2), with = allowed anywhere.
func isToken68(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '-' || c == '.' || c == '_' || c == '~' || c == '+' || c == '/' || c == '=') {
			return false
		}
	}
	return s != ""
}
