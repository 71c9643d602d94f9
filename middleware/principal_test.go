package middleware_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// richCredential admits every request as a principal with every field set.
type richCredential struct{ p middleware.Principal }

func (richCredential) Ambient() bool { return false }

func (c richCredential) Authenticate(*http.Request) (middleware.Principal, error) { return c.p, nil }

func richPrincipal() middleware.Principal {
	return middleware.Principal{
		Issuer: "https://id.example", Subject: "ann", SessionHandle: "session-handle", TokenHandle: "token-handle",
		Binding:    middleware.Binding{CertificateSHA256: "thumbprint", KeyThumbprint: "proof"},
		SigningKey: "signing-key", SealedToken: "sealed-token", Method: "bearer",
		Scopes: []string{"chat:read"}, Attributes: map[string]string{"tenant": "t1"}, Claims: map[string]string{"level": "3"},
		IssuedAt: time.Unix(1_700_000_000, 0), Expires: time.Unix(1_700_003_600, 0),
	}
}

func TestFromContextWithoutAuth(t *testing.T) {
	t.Parallel()
	if p, ok := middleware.FromContext(t.Context()); ok || p.Subject != "" {
		t.Errorf("%+v, %v", p, ok)
	}
}

// A handler cannot change the principal that the next handler sees.
func TestFromContextHandsOutCopies(t *testing.T) {
	t.Parallel()
	auth := mustAuth(t, richCredential{richPrincipal()})
	r, err := auth.Admit(requestWith("GET", "/"))
	if err != nil {
		t.Fatal(err)
	}
	p, _ := middleware.FromContext(r.Context())
	p.Subject = "eve"
	p.Scopes[0] = "admin"
	p.Scopes = append(p.Scopes, "admin")
	p.Attributes["tenant"] = "t2"
	p.Claims["level"] = "4"
	again, _ := middleware.FromContext(r.Context())
	if again.Subject != "ann" || len(again.Scopes) != 1 || again.HasScope("admin") || again.Attributes["tenant"] != "t1" ||
		again.Claims["level"] != "3" {
		t.Errorf("a copy leaked back: %+v", again)
	}
}

// No exported function but the methods of Auth returns a context or a request, so that a
// principal cannot be forged. Stripped returns the given request with less in its header and
// URL; an Authenticator may leave values in its context under keys of its own.
func TestNoExportedWayToForgeAPrincipal(t *testing.T) {
	t.Parallel()
	permitted := map[string]bool{"Admit": true, "Stripped": true}
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Type.Results == nil || permitted[f.Name.Name] {
				continue
			}
			for _, result := range f.Type.Results.List {
				if kind := typeText(result.Type); kind == "context.Context" || kind == "*http.Request" {
					t.Errorf("%s: %s returns a %s: argue for it here", name, f.Name.Name, kind)
				}
			}
		}
	}
}

func typeText(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.StarExpr:
		return "*" + typeText(x.X)
	case *ast.SelectorExpr:
		return typeText(x.X) + "." + x.Sel.Name
	case *ast.Ident:
		return x.Name
	}
	return ""
}

// Handles and attributes stay out of logs (ASVS 16.2.5).
func TestPrincipalLogValue(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "principal", richPrincipal())
	for _, want := range []string{`"issuer":"https://id.example"`, `"subject":"ann"`, `"method":"bearer"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in %s", want, log.String())
		}
	}
	for _, secret := range []string{"session-handle", "token-handle", "thumbprint", "signing-key", "tenant", "t1", "chat:read"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q in %s", secret, log.String())
		}
	}
}

// A credential that is bound to a client certificate is good for its holder alone
// (RFC 8705 §3): SHA-256 of "certificate", in base64url. A credential that is bound to a key
// is refused, because its proofs cannot be verified (RFC 9449).
func TestPrincipalHeldBy(t *testing.T) {
	t.Parallel()
	const thumbprint = "A9Zt0Ig1wco_EozOrNHzGslBYwlrIPRFroQoW8CDLXI"
	with := func(raw string) *tls.ConnectionState {
		return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: []byte(raw)}}}
	}
	for _, tt := range []struct {
		name    string
		binding middleware.Binding
		state   *tls.ConnectionState
		held    bool
	}{
		{"no binding, without TLS", middleware.Binding{}, nil, true},
		{"no binding", middleware.Binding{}, with("another"), true},
		{"the certificate", middleware.Binding{CertificateSHA256: thumbprint}, with("certificate"), true},
		{"another certificate", middleware.Binding{CertificateSHA256: thumbprint}, with("another"), false},
		{"no certificate", middleware.Binding{CertificateSHA256: thumbprint}, &tls.ConnectionState{}, false},
		{"no TLS", middleware.Binding{CertificateSHA256: thumbprint}, nil, false},
		{"a part of the thumbprint", middleware.Binding{CertificateSHA256: thumbprint[:42]}, with("certificate"), false},
		{"the thumbprint and more", middleware.Binding{CertificateSHA256: thumbprint + "A"}, with("certificate"), false},
		{"a key", middleware.Binding{KeyThumbprint: thumbprint}, with("certificate"), false},
		{
			"a key and the certificate",
			middleware.Binding{CertificateSHA256: thumbprint, KeyThumbprint: thumbprint},
			with("certificate"), false,
		},
	} {
		r := requestWith("GET", "/")
		r.TLS = tt.state
		err := middleware.Principal{Binding: tt.binding}.HeldBy(r)
		if (err == nil) != tt.held {
			t.Errorf("%s: %v, want held %v", tt.name, err, tt.held)
		}
		var f *middleware.Refusal
		if err != nil && (!errors.As(err, &f) || f.Status != 401 || f.Reason != "credential_invalid") {
			t.Errorf("%s: %v, want a Refusal with 401 credential_invalid", tt.name, err)
		}
	}
}
