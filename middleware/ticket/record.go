package ticket

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/securews/securews/middleware"
)

// record is what the store keeps of a ticket, as JSON.
type record struct {
	Version   int       `json:"v"`
	Path      string    `json:"path"`
	Origin    string    `json:"origin"` // "": issued to a client without one
	CID       string    `json:"cid"`
	Expires   time.Time `json:"exp"`
	Principal principal `json:"principal"`
}

// principal spells the fields of a [middleware.Principal] for the store.
type principal struct {
	Issuer     string            `json:"iss"`
	Subject    string            `json:"sub"`
	Session    string            `json:"sid,omitempty"`
	Token      string            `json:"jti,omitempty"`
	Method     string            `json:"method"`
	Scopes     []string          `json:"scopes,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	IssuedAt   time.Time         `json:"iat,omitzero"`
	Expires    time.Time         `json:"exp,omitzero"`

	// Certificate came later. It is there where it binds only: who does not know it
	// refuses such a record, and reads all others as before.
	Certificate string `json:"x5t#S256,omitempty"`
}

const (
	recordVersion  = 1
	maxRecordBytes = 16 << 10
)

var errNotUTF8 = errors.New("the principal is not UTF-8, and would come back as another")

// encode refuses what JSON cannot write: it would put U+FFFD in its place, and make one
// subject of two (ASVS 1.5.3).
func (rec *record) encode() ([]byte, error) {
	if !rec.Principal.isUTF8() {
		return nil, errNotUTF8
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // a store is no page, and six bytes for a < are not the principal's
	if err := e.Encode(rec); err != nil {
		return nil, err
	}
	value := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(value) > maxRecordBytes {
		return nil, fmt.Errorf("the principal takes %d bytes, %d at most", len(value), maxRecordBytes)
	}
	return value, nil
}

func (p *principal) isUTF8() bool {
	texts := slices.Concat([]string{p.Issuer, p.Subject, p.Session, p.Token, p.Certificate, p.Method}, p.Scopes)
	for name, value := range p.Attributes {
		texts = append(texts, name, value)
	}
	return utf8.ValidString(strings.Join(texts, " ")) // a space neither completes nor breaks a letter
}

var errRecord = errors.New("what the store has is no ticket of this version")

// decode takes what encode has written and nothing else: a store may be shared with other
// versions, and with others.
func decode(value []byte) (*record, error) {
	if len(value) > maxRecordBytes {
		return nil, errRecord
	}
	var rec record
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if err := d.Decode(&rec); err != nil {
		return nil, errRecord // its text may quote what is secret
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errRecord
	}
	if rec.Version != recordVersion || rec.Path == "" || rec.CID == "" || rec.Expires.IsZero() || rec.Principal.Subject == "" {
		return nil, errRecord
	}
	return &rec, nil
}

func stored(p middleware.Principal) principal {
	return principal{
		Issuer: p.Issuer, Subject: p.Subject, Session: p.SessionHandle, Token: p.TokenHandle,
		Certificate: p.Binding.CertificateSHA256, Method: p.Method,
		Scopes: p.Scopes, Attributes: p.Attributes, IssuedAt: writable(p.IssuedAt), Expires: writable(p.Expires),
	}
}

// writable is t in UTC, and the end of the year 9999 for all that is later: RFC 3339 §1
// ends there, and so will the credential, sooner than it could have.
func writable(t time.Time) time.Time {
	if t = t.UTC(); t.Year() > 9999 {
		return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	return t
}

// OriginalMethod is the attribute of a redeemed [middleware.Principal] that names the
// Method it was issued a ticket for: "session", "bearer".
const OriginalMethod = "ticket_method"

// redeemed is who the ticket's bearer is: the principal of the issuing request, with all
// that ends it.
func (rec *record) redeemed() middleware.Principal {
	p := &rec.Principal
	attributes := p.Attributes
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes[OriginalMethod] = p.Method
	return middleware.Principal{
		Issuer: p.Issuer, Subject: p.Subject, SessionHandle: p.Session, TokenHandle: p.Token,
		Connection: rec.CID, Binding: middleware.Binding{CertificateSHA256: p.Certificate}, Method: "ticket", Scopes: p.Scopes, Attributes: attributes,
		IssuedAt: p.IssuedAt, Expires: p.Expires,
	}
}
