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

// record is the stored form of a ticket, as JSON.
type record struct {
	Version   int       `json:"v"`
	Path      string    `json:"path"`
	Origin    string    `json:"origin"` // "": issued to a client without one
	CID       string    `json:"cid"`
	Expires   time.Time `json:"exp"`
	Principal principal `json:"principal"`
}

// principal is the stored form of a [middleware.Principal].
type principal struct {
	Issuer        string            `json:"iss"`
	Subject       string            `json:"sub"`
	SessionHandle string            `json:"sid,omitempty"`
	TokenHandle   string            `json:"jti,omitempty"`
	Method        string            `json:"method"`
	Scopes        []string          `json:"scopes,omitempty"`
	Attributes    map[string]string `json:"attributes,omitempty"`
	IssuedAt      time.Time         `json:"iat,omitzero"`
	Expires       time.Time         `json:"exp,omitzero"`

	// These came later, and are written only if they are set: a node that does not know
	// one of them refuses such a record, and reads all others.
	CertificateSHA256 string            `json:"x5t#S256,omitempty"`
	KeyThumbprint     string            `json:"jkt,omitempty"`
	Roles             []string          `json:"roles,omitempty"`
	AuthTime          time.Time         `json:"auth_time,omitzero"`
	SigningKey        string            `json:"signing_key,omitempty"`
	Claims            map[string]string `json:"claims,omitempty"`
	SealedToken       string            `json:"sealed_token,omitempty"`
}

const (
	recordVersion  = 1
	maxRecordBytes = 16 << 10
)

var errNotUTF8 = errors.New("the principal is not UTF-8, and JSON would change it")

// encode refuses text that is not UTF-8: JSON would write U+FFFD in its place, and make
// one subject of two (ASVS 1.5.3).
func (rec *record) encode() ([]byte, error) {
	if !rec.Principal.isUTF8() {
		return nil, errNotUTF8
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // six bytes for a < would count against maxRecordBytes
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
	texts := slices.Concat([]string{
		p.Issuer, p.Subject, p.SessionHandle, p.TokenHandle, p.CertificateSHA256, p.KeyThumbprint, p.SigningKey, p.SealedToken, p.Method,
	}, p.Scopes, p.Roles)
	for _, values := range [...]map[string]string{p.Attributes, p.Claims} {
		for name, value := range values {
			texts = append(texts, name, value)
		}
	}
	return utf8.ValidString(strings.Join(texts, " ")) // a space neither completes nor breaks a letter
}

var errRecord = errors.New("the stored record is not a ticket of this version")

// decode accepts the output of encode and nothing else: a store may be shared with other
// versions, and with other programs.
func decode(value []byte) (*record, error) {
	if len(value) > maxRecordBytes {
		return nil, errRecord
	}
	var rec record
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if err := d.Decode(&rec); err != nil {
		return nil, errRecord // its text may quote a secret
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
		Issuer: p.Issuer, Subject: p.Subject, SessionHandle: p.SessionHandle, TokenHandle: p.TokenHandle, Method: p.Method,
		Scopes: p.Scopes, Roles: p.Roles, Attributes: p.Attributes, Claims: p.Claims,
		IssuedAt: writable(p.IssuedAt), AuthTime: writable(p.AuthTime), Expires: writable(p.Expires),
		CertificateSHA256: p.Binding.CertificateSHA256, KeyThumbprint: p.Binding.KeyThumbprint,
		SigningKey: p.SigningKey, SealedToken: p.SealedToken,
	}
}

// writable is t in UTC, at most the end of the year 9999: RFC 3339 §1 cannot write a later
// time, and the credential ends then.
func writable(t time.Time) time.Time {
	if t = t.UTC(); t.Year() > 9999 {
		return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	return t
}

// OriginalMethod is the attribute of an accepted [middleware.Principal] that names the
// Method it was issued a ticket for: "session", "bearer".
const OriginalMethod = "ticket_method"

// method is the Method of an accepted principal.
const method = "ticket"

// accepted returns the principal of the ticket: that of the issuing request, with all
// fields by which it can end.
func (rec *record) accepted() middleware.Principal {
	p := &rec.Principal
	attributes := p.Attributes
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes[OriginalMethod] = p.Method
	return middleware.Principal{
		Issuer: p.Issuer, Subject: p.Subject, SessionHandle: p.SessionHandle, TokenHandle: p.TokenHandle, Method: method,
		Connection: rec.CID, Binding: middleware.Binding{CertificateSHA256: p.CertificateSHA256, KeyThumbprint: p.KeyThumbprint},
		SigningKey: p.SigningKey, SealedToken: p.SealedToken,
		Scopes: p.Scopes, Roles: p.Roles, Attributes: attributes, Claims: p.Claims,
		IssuedAt: p.IssuedAt, AuthTime: p.AuthTime, Expires: p.Expires,
	}
}
