package redial

import (
	"errors"
	"net/http"
	"strings"
)

// secrets are what a request shows and no error may tell: net/http and coder quote answers
// that they do not understand, and an answer may quote the request.
type secrets []string

// add takes a secret, as it is written. One of a few letters is none, and would be found
// everywhere.
func (s *secrets) add(written ...string) {
	for _, secret := range written {
		if len(secret) >= 8 {
			*s = append(*s, secret)
		}
	}
}

// secretsOf finds them in a request that somebody else has authorised.
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

// redacted is err, or its text where that quotes a secret.
func (s secrets) redacted(err error) error {
	if text := err.Error(); s.in(text) {
		return errors.New(s.redact(text))
	}
	return err
}
