package browser

import (
	"bytes"
	"net/http"
	"strings"
	"time"
)

// Handler serves the modules below [Root], for GET and HEAD. A response for [Module.Path] may
// be cached for ever; one for Root and the file's name must be revalidated, with 304 if it
// has not changed. The handler is safe for concurrent use.
func Handler() http.Handler {
	mux := http.NewServeMux()
	for i := range files {
		m := Module(i)
		mux.Handle("GET "+m.Path(), serve(m, "public, max-age=31536000, immutable")) // RFC 8246
		mux.Handle("GET "+Root+m.String(), serve(m, "no-cache"))
	}
	return mux
}

func serve(m Module, cache string) http.HandlerFunc {
	file := modules()[m]
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/javascript; charset=utf-8") // RFC 9239 §6
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", cache)
		h.Set("Vary", "Accept-Encoding")
		content, tag := file.content, file.tag
		if takesGzip(r.Header.Values("Accept-Encoding")) {
			content, tag = file.gzipped, tag+"-gzip"
			h.Set("Content-Encoding", "gzip")
		}
		h.Set("ETag", `"`+tag+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

// takesGzip reports whether Accept-Encoding admits gzip (RFC 9110 §12.5.3). For "*" and for
// values it cannot parse it returns false: a response without encoding is always correct.
func takesGzip(lines []string) bool {
	for entry := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		coding, weight, _ := strings.Cut(entry, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, isQ := strings.CutPrefix(strings.ToLower(strings.Join(strings.Fields(weight), "")), "q=") // OWS: spaces and tabs
			return !isQ || strings.Trim(q, "0.") != ""
		}
	}
	return false
}
