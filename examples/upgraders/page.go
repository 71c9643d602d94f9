package main

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"

	"github.com/securews/securews/middleware"
)

//go:embed page.html page.css page.js
var files embed.FS

var document = template.Must(template.ParseFS(files, "page.html"))

// row is one connection of the page's table.
type row struct {
	Name, Path      string
	Kind            string // "socket" or "events"
	Hello, Template string // see upgrader
	Missing         string // why it cannot be connected to; empty: it can
	Install         string // the command that brings the missing program
}

// pagePolicy permits the script and the style with the response's nonce, and connections
// to this origin.
func pagePolicy() middleware.CSP {
	return middleware.CSP{Nonce: true, Img: []string{"data:"}, Connect: []string{"'self'"}, RequireTrustedTypes: true}
}

// bindPage mounts the page with its table of rows.
func (s *site) bindPage(rows []row) error {
	headers, err := middleware.NewHeaders(middleware.HeadersConfig{CSP: pagePolicy()})
	if err != nil {
		return err
	}
	s.mux.Handle("GET /{$}", headers.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.servePage(w, r, rows)
	})))
	s.mux.Handle("GET /page.css", asset("page.css", "text/css; charset=utf-8"))
	s.mux.Handle("GET /page.js", asset("page.js", "text/javascript; charset=utf-8"))
	return nil
}

// servePage is GET /. Each document is for one user and has its own nonce.
func (s *site) servePage(w http.ResponseWriter, r *http.Request, rows []row) {
	p, _ := s.auth.Authenticate(r) // after an error the page shows the button to sign in
	var b bytes.Buffer
	err := document.Execute(&b, struct {
		Nonce, User string
		Rows        []row
	}{middleware.Nonce(r.Context()), p.Subject, rows})
	if err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}

// asset serves an embedded file. Its type is given because mime.TypeByExtension depends on
// the host.
func asset(name, contentType string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		content, _ := files.ReadFile(name) // cannot fail
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(content)
	})
}
