package live_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// credential is a kind of credential.
type credential struct {
	name   string
	ticket bool                // the client gets tickets for it
	issue  func(u *user) error // sets the header of the user's requests
}

func (c credential) prefix() string {
	if c.ticket {
		return "/ticket"
	}
	return ""
}

var credentials = []credential{
	{name: "cookie", issue: (*user).useCookie},
	{name: "token with sid", issue: func(u *user) error { return u.useToken(map[string]any{"sid": u.session}) }},
	{name: "token without sid", issue: func(u *user) error { return u.useToken(nil) }},
	{name: "ticket of a cookie", ticket: true, issue: (*user).useCookie},
	{name: "ticket of a token", ticket: true, issue: func(u *user) error { return u.useToken(map[string]any{"sid": u.session}) }},
	{name: "certificate-bound token", issue: (*user).useCertificate},
	{name: "key of a session", issue: func(u *user) error { return u.useKey(u.session) }},
	{name: "key without a session", issue: func(u *user) error { return u.useKey("") }},
}

// ofSessions are those that end with a session, by the session alone.
var ofSessions = []string{"cookie", "token with sid", "ticket of a cookie", "ticket of a token", "certificate-bound token"}

func (u *user) useCookie() error {
	u.header.Set("Cookie", u.cookie)
	return nil
}

func (u *user) useToken(claims map[string]any) error {
	token, handle := u.site.issuer.mint(u.name, u.expires, claims)
	u.header.Set("Authorization", "Bearer "+token)
	u.token = handle
	return nil
}

// useCertificate binds the token to the client's certificate (RFC 8705 §3).
func (u *user) useCertificate() error {
	sum := sha256.Sum256(u.tls.Certificates[0].Certificate[0])
	return u.useToken(map[string]any{
		"sid": u.session,
		"cnf": map[string]string{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])},
	})
}

// newCertificate returns the certificate of a client, or of a server on this machine.
func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

func (u *user) useKey(session string) error {
	key := rand.Text()
	u.token = "handle of " + u.name
	u.site.own.keys.Store(key, middleware.Principal{
		Issuer: "session", Subject: u.name, SessionHandle: session,
		TokenHandle: u.token, Method: "key", IssuedAt: time.Now(), Expires: u.expires,
	})
	u.header.Set("X-Api-Key", key)
	return nil
}

// keyring is an authenticator of the application's own, without revocations.
type keyring struct{ keys sync.Map }

func (*keyring) Ambient() bool { return false }

func (k *keyring) Authenticate(r *http.Request) (middleware.Principal, error) {
	key := r.Header.Get("X-Api-Key")
	if key == "" {
		return middleware.Principal{}, middleware.ErrNoCredential
	}
	p, ok := k.keys.Load(key)
	if !ok {
		return middleware.Principal{}, middleware.Unauthorized(middleware.ReasonCredentialInvalid, nil)
	}
	if p := p.(middleware.Principal); p.Expires.IsZero() || time.Now().Before(p.Expires) {
		return p, nil
	}
	return middleware.Principal{}, middleware.Unauthorized(middleware.ReasonCredentialExpired, nil)
}

// tokenIssuer issues access tokens (RFC 9068), and serves its key set.
type tokenIssuer struct {
	name string
	mu   sync.Mutex
	keys map[string]ed25519.PrivateKey
}

func newTokenIssuer(audience string) *tokenIssuer {
	i := &tokenIssuer{name: audience + "/issuer", keys: map[string]ed25519.PrivateKey{}}
	for _, kid := range []string{"first", "second"} {
		_, i.keys[kid], _ = ed25519.GenerateKey(rand.Reader)
	}
	return i
}

// remove removes a key from the set.
func (i *tokenIssuer) remove(kid string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.keys, kid)
}

func (i *tokenIssuer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := []map[string]string{}
	for kid, key := range i.keys {
		list = append(list, map[string]string{
			"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey)),
		})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": list})
}

// mint returns a token that is signed with the first key, and its handle.
func (i *tokenIssuer) mint(subject string, expires time.Time, more map[string]any) (token, handle string) {
	jti := rand.Text()
	if expires.IsZero() {
		expires = time.Now().Add(time.Hour)
	}
	claims := map[string]any{
		"iss": i.name, "aud": i.name[:len(i.name)-len("/issuer")], "sub": subject, "jti": jti, "client_id": "app",
		"iat": time.Now().Add(-10 * time.Second).Unix(), // well before any cut-off
		"exp": float64(expires.UnixMilli()) / 1000,
	}
	for name, value := range more {
		claims[name] = value
	}
	header := map[string]string{"alg": "EdDSA", "kid": "first", "typ": "at+jwt"}
	input := base64.RawURLEncoding.EncodeToString(marshal(header)) + "." + base64.RawURLEncoding.EncodeToString(marshal(claims))
	i.mu.Lock()
	defer i.mu.Unlock()
	signature := ed25519.Sign(i.keys["first"], []byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), bearer.TokenHandle(i.name, jti)
}
