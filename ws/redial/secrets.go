package redial

import (
	"errors"
	"net/http"
	"strings"
)

// secrets are the parts of a request that no error may contain: net/http and coder quote
// answers that they cannot parse, and an answer may quote the request.
type secrets []string

// add adds a secret in each form that is sent. A value of less than 8 bytes is not treated
// as secret, since it would match unrelated text.
func (s *secrets) add(written ...string) {
	for _, secret := range written {
		if len(secret) >= 8 {
			*s = append(*s, secret)
		}
	}
}

// secretsOf finds the secrets of a request that a callback has authorised.
func secretsOf(h http.Header) (s secrets) {
	for _, name := range []string{"Authorization", "Cookie"} {
		for _, value := range h.Values(name) {
			s.add(strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(" ;=", c) })...)
		}
	}
	return s
}

func (s secrets) in(text string) bool { return s.redact(text) != text }

func (s secrets) redact(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	return text
}

// redacted returns err, or an error with its redacted text if that quotes a secret.
func (s secrets) redacted(err error) error {
	if text := err.Error(); s.in(text) {
		return errors.New(s.redact(text))
	}
	return err
}
