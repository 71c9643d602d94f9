package middleware_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// richCredential admits everybody as a principal with every field set.
type richCredential struct{ p middleware.Principal }

func (richCredential) Ambient() bool { return false }

func (c richCredential) Authenticate(*http.Request) (middleware.Principal, error) { return c.p, nil }

func richPrincipal() middleware.Principal {
	return middleware.Principal{
		Issuer: "https://id.example", Subject: "ann", SessionHandle: "session-handle", TokenHandle: "token-handle", Certificate: "thumbprint", Method: "bearer",
		Scopes: []string{"chat:read"}, Attributes: map[string]string{"tenant": "t1"},
		IssuedAt: time.Unix(1_700_000_000, 0), Expires: time.Unix(1_700_003_600, 0),
	}
}

func TestFromContextWithoutAuth(t *testing.T) {
	t.Parallel()
	if p, ok := middleware.FromContext(t.Context()); ok || p.Subject != "" {
		t.Errorf("%+v, %v", p, ok)
	}
}

// What one handler does to its copy, the next does not see.
func TestFromContextHandsOutCopies(t *testing.T) {
	t.Parallel()
	auth := mustAuth(t, richCredential{richPrincipal()})
	r, _, err := auth.Authenticate(requestWith("GET", "/"))
	if err != nil {
		t.Fatal(err)
	}
	p, _ := middleware.FromContext(r.Context())
	p.Subject = "eve"
	p.Scopes[0] = "admin"
	p.Scopes = append(p.Scopes, "admin")
	p.Attributes["tenant"] = "t2"
	again, _ := middleware.FromContext(r.Context())
	if again.Subject != "ann" || len(again.Scopes) != 1 || again.HasScope("admin") || again.Attributes["tenant"] != "t1" {
		t.Errorf("a copy leaked back: %+v", again)
	}
}

// No exported function but Auth's methods and Detach, which copies, gives back a
// context or a request: a principal cannot be forged. Stripped and
// CutSubprotocols give back the request they were given, with less in its header and URL:
// what an authenticator left in its context beside that is under a key of its own.
func TestNoExportedWayToForgeAPrincipal(t *testing.T) {
	t.Parallel()
	permitted := map[string]bool{"Authenticate": true, "Detach": true, "Stripped": true, "CutSubprotocols": true}
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

type foreignKey struct{}

// Principal and request id cross the upgrade; values, cancellation and deadline of
// the request do not.
func TestDetach(t *testing.T) {
	t.Parallel()
	auth := mustAuth(t, richCredential{richPrincipal()})
	var detached context.Context
	var id string
	h := middleware.Chain(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id = middleware.RequestID(r.Context())
		ctx := context.WithValue(r.Context(), foreignKey{}, "pooled by a router")
		detached = middleware.Detach(context.WithoutCancel(t.Context()), ctx)
	}), middleware.AccessLog(slog.New(slog.DiscardHandler)), auth.Handler)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	h.ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/").WithContext(ctx))
	cancel()
	if detached.Err() != nil {
		t.Errorf("ended with the request: %v", detached.Err())
	}
	if _, ok := detached.Deadline(); ok {
		t.Error("carries the request's deadline")
	}
	if p, ok := middleware.FromContext(detached); !ok || p.Subject != "ann" {
		t.Errorf("principal %+v, %v", p, ok)
	}
	if got := middleware.RequestID(detached); got == "" || got != id {
		t.Errorf("request id %q, want %q", got, id)
	}
	if v := detached.Value(foreignKey{}); v != nil {
		t.Errorf("carries %v", v)
	}
}

func TestDetachEndsWithItsBase(t *testing.T) {
	t.Parallel()
	base, cancel := context.WithCancel(t.Context())
	detached := middleware.Detach(base, t.Context())
	cancel()
	if detached.Err() == nil {
		t.Error("outlives its base")
	}
	if _, ok := middleware.FromContext(detached); ok || middleware.RequestID(detached) != "" {
		t.Error("found a principal or an id where there was none")
	}
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
	for _, secret := range []string{"session-handle", "token-handle", "thumbprint", "tenant", "t1", "chat:read"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q in %s", secret, log.String())
		}
	}
}

// A credential that is bound to a client certificate is good for its holder alone
// (RFC 8705 §3): SHA-256 of "certificate", in base64url.
func TestPrincipalHeldBy(t *testing.T) {
	t.Parallel()
	const thumbprint = "A9Zt0Ig1wco_EozOrNHzGslBYwlrIPRFroQoW8CDLXI"
	with := func(raw string) *tls.ConnectionState {
		return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: []byte(raw)}}}
	}
	for _, tt := range []struct {
		name        string
		certificate string
		state       *tls.ConnectionState
		held        bool
	}{
		{"bound to nothing, without TLS", "", nil, true},
		{"bound to nothing", "", with("another"), true},
		{"the certificate", thumbprint, with("certificate"), true},
		{"another certificate", thumbprint, with("another"), false},
		{"no certificate", thumbprint, &tls.ConnectionState{}, false},
		{"no TLS", thumbprint, nil, false},
		{"a part of the thumbprint", thumbprint[:42], with("certificate"), false},
		{"the thumbprint and more", thumbprint + "A", with("certificate"), false},
	} {
		if got := (middleware.Principal{Certificate: tt.certificate}).HeldBy(tt.state); got != tt.held {
			t.Errorf("%s: held %v, want %v", tt.name, got, tt.held)
		}
	}
}
