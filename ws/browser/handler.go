package browser

import (
	"bytes"
	"net/http"
	"strings"
	"time"
)

// Handler serves the modules and their source maps below /securews/, for GET and HEAD. A
// response for [Module.Path] may be cached for ever; one for /securews/ and
// the file's name must be revalidated, with 304 if it has not changed. The handler is safe for
// concurrent use.
func Handler() http.Handler {
	mux := http.NewServeMux()
	for i := range files {
		m := Module(i)
		file := modules()[m]
		for path, cache := range map[string]string{
			m.Path():          "public, max-age=31536000, immutable", // RFC 8246
			root + m.String(): "no-cache",
		} {
			// RFC 9239 §6, ECMA-426 §11.1.2.1
			mux.Handle("GET "+path, serve(file, "text/javascript; charset=utf-8", cache, "SourceMap", m.String()+".map"))
			sourceMap := built{content: file.sourceMap, tag: file.tag + "-map"}
			mux.Handle("GET "+path+".map", serve(sourceMap, "application/json", cache))
		}
	}
	return mux
}

func serve(file built, mediaType, cache string, more ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		h.Set("Content-Type", mediaType)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", cache)
		h.Set("Vary", "Accept-Encoding")
		content, tag := file.content, file.tag
		if file.gzipped != nil && takesGzip(r.Header.Values("Accept-Encoding")) {
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
