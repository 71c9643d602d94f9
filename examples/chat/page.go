package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws/browser"
)

//go:embed page
var pageFiles embed.FS

// page serves the document and its assets.
type page struct {
	document *template.Template
	assets   fs.FS
	prefix   string // "/assets/" and a hash of everything under it
	headers  *middleware.Headers
	storm    bool                                // the page may offer one
	visitor  func(r *http.Request) (user string) // "" without a signed-in user
}

func newPage(visitor func(*http.Request) string) (*page, error) {
	document, err := template.ParseFS(pageFiles, "page/index.html")
	if err != nil {
		return nil, err
	}
	assets, err := fs.Sub(pageFiles, "page/assets")
	if err != nil {
		return nil, err
	}
	version, err := hashOf(assets)
	if err != nil {
		return nil, err
	}
	headers, err := middleware.NewHeaders(middleware.HeadersConfig{CSP: pagePolicy()})
	if err != nil {
		return nil, err
	}
	return &page{document: document, assets: assets, prefix: "/assets/" + version, headers: headers, visitor: visitor}, nil
}

// pagePolicy permits scripts and styles with this response's nonce, and images and
// connections to this origin. Text that a user typed cannot become a script, and a script
// without the nonce cannot run.
func pagePolicy() middleware.CSP {
	return middleware.CSP{
		Nonce:               true,
		Img:                 []string{"'self'"},
		Connect:             []string{"'self'"}, // the wss origin is added for older Safari
		FormAction:          []string{"'self'"},
		RequireTrustedTypes: true, // and no script may use innerHTML and its like
	}
}

// serveDocument is GET /. Each document is for one visitor and has its own nonce.
func (p *page) serveDocument(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	err := p.document.Execute(&b, struct {
		Nonce, Assets, User               string
		Subprotocol, Audience, SealedRoom string
		Storm                             bool
		ImportMap                         template.HTML
	}{
		middleware.Nonce(r.Context()), p.prefix, p.visitor(r),
		subprotocol, audience, sealedRoom, p.storm,
		// The client module, by name, with integrity values. It is HTML, because
		// html/template treats the content of a script of this type as text.
		browser.ImportMap(),
	})
	if err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}

// assetTypes are listed here because mime.TypeByExtension depends on the host.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// serveAsset is GET /assets/{version}/{name}. The version is part of the path, so that a
// response may be cached for ever and a new release has a new address.
func (p *page) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	content, err := fs.ReadFile(p.assets, name)
	kind := assetTypes[path.Ext(name)]
	if err != nil || kind == "" || r.URL.Path != p.prefix+"/"+name {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(content)
}

// hashOf returns a hash of the names and contents of the files.
func hashOf(files fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		h.Write([]byte(name))
		h.Write(content)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}
