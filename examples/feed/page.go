package main

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"

	"github.com/securews/securews/middleware"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// pagePolicy permits scripts and styles with the page's nonce, and connections to this
// origin.
func pagePolicy() middleware.CSP {
	return middleware.CSP{Nonce: true, Img: []string{"data:"}, Connect: []string{"'self'"}, RequireTrustedTypes: true}
}

// servePage is GET /. The nonce makes the response valid for one request only.
func servePage(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, middleware.Nonce(r.Context())); err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}
