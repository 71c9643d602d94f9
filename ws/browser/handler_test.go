package browser_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/securews/securews/ws/browser"
)

var modules = []browser.Module{browser.Client, browser.Seal}

func get(t *testing.T, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	browser.Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func committed(t *testing.T, m browser.Module) []byte {
	t.Helper()
	b, err := os.ReadFile("dist/" + m.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestModulesAreServed(t *testing.T) {
	for _, m := range modules {
		for path, cache := range map[string]string{
			m.Path():                  "public, max-age=31536000, immutable", // RFC 8246
			"/securews/" + m.String(): "no-cache",
		} {
			res := get(t, path)
			if got := body(t, res); res.StatusCode != 200 || !bytes.Equal(got, committed(t, m)) {
				t.Errorf("%s: %d and %d bytes, want 200 and dist/%s", path, res.StatusCode, len(got), m)
			}
			for name, want := range map[string]string{
				"Content-Type":           "text/javascript; charset=utf-8", // RFC 9239 §6
				"X-Content-Type-Options": "nosniff",
				"Cache-Control":          cache,
				"Vary":                   "Accept-Encoding",
				"Content-Encoding":       "",
			} {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got, want)
				}
			}
		}
	}
}

func TestPathHoldsTheContentsHash(t *testing.T) {
	for _, m := range modules {
		if !regexp.MustCompile(`^/securews/[0-9a-f]{24}/(securews|seal)\.js$`).MatchString(m.Path()) {
			t.Errorf("path %q", m.Path())
		}
	}
	if browser.Client.Path() == browser.Seal.Path() {
		t.Error("one path for both")
	}
}

// Unknown paths are not found, in particular those with an old or foreign hash, whose
// response would be cached for ever.
func TestOthersAreNotFound(t *testing.T) {
	for _, path := range []string{
		"/securews/", "/securews/securews.d.ts", "/securews/000000000000000000000000/securews.js", "/securews.js",
		strings.TrimSuffix(browser.Client.Path(), "securews.js") + "seal.js", "/securews/../module.go",
	} {
		if res := get(t, path); res.StatusCode != 404 && res.StatusCode != 301 && res.StatusCode != 307 ||
			res.Header.Get("Cache-Control") != "" {
			t.Errorf("%s: %d, Cache-Control %q", path, res.StatusCode, res.Header.Get("Cache-Control"))
		}
	}
	w := httptest.NewRecorder()
	browser.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, browser.Client.Path(), nil))
	if w.Code != 405 {
		t.Errorf("POST: %d, want 405", w.Code)
	}
}

func TestRevalidation(t *testing.T) {
	for _, m := range modules {
		tags := map[string]bool{}
		for _, coding := range []string{"", "gzip"} {
			tag := get(t, m.Path(), "Accept-Encoding", coding).Header.Get("ETag")
			if !regexp.MustCompile(`^"[^"]+"$`).MatchString(tag) || tags[tag] {
				t.Errorf("%s %q: ETag %s is weak, or that of another encoding (RFC 9110 §8.8.3.3)", m, coding, tag)
			}
			tags[tag] = true
			if res := get(t, m.Path(), "Accept-Encoding", coding, "If-None-Match", tag); res.StatusCode != 304 {
				t.Errorf("%s %q: %d, want 304", m, coding, res.StatusCode)
			}
		}
	}
}

func TestGzipWhereItIsAccepted(t *testing.T) {
	for accept, want := range map[string]string{
		"gzip": "gzip", "br, GZIP;q=0.5": "gzip", "gzip; q=1.0, *;q=0": "gzip", "deflate,gzip": "gzip", "gzip;\tq=1": "gzip",
		"": "", "br": "", "gzip;q=0": "", "gzip; q=0.000": "", "gzip;\tq=0": "", "gzip\t;\tq=0": "", "*": "", "xgzip": "", "identity": "",
	} {
		res := get(t, browser.Client.Path(), "Accept-Encoding", accept)
		if got := res.Header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q, want %q", accept, got, want)
		}
		if want == "" {
			continue
		}
		r, err := gzip.NewReader(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, committed(t, browser.Client)) {
			t.Errorf("Accept-Encoding %q: %v, or not the module", accept, err)
		}
	}
}

// The module that every page loads is small.
func TestClientIsSmall(t *testing.T) {
	n := len(body(t, get(t, browser.Client.Path(), "Accept-Encoding", "gzip")))
	t.Logf("%s: %d bytes gzipped", browser.Client, n)
	if n >= 6100 {
		t.Errorf("%d bytes gzipped, want fewer than 6100", n)
	}
	t.Logf("%s: %d bytes gzipped", browser.Seal, len(body(t, get(t, browser.Seal.Path(), "Accept-Encoding", "gzip"))))
}

func TestIntegrity(t *testing.T) {
	for _, m := range modules {
		sum := sha512.Sum384(committed(t, m))
		if want := "sha384-" + base64.StdEncoding.EncodeToString(sum[:]); m.SRI() != want {
			t.Errorf("%s: %s, want %s", m, m.SRI(), want)
		}
	}
}

func TestImportMap(t *testing.T) {
	var got struct{ Imports, Integrity map[string]string }
	if err := json.Unmarshal([]byte(browser.ImportMap()), &got); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]browser.Module{"securews": browser.Client, "securews/seal": browser.Seal} {
		if got.Imports[name] != m.Path() || got.Integrity[m.Path()] != m.SRI() {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if strings.ContainsAny(string(browser.ImportMap()), "<>&'") {
		t.Error("it could end its element")
	}
}

// The modules contain nothing that a strict Content-Security-Policy with Trusted Types forbids.
func TestNothingForAPolicyToForbid(t *testing.T) {
	forbidden := regexp.MustCompile(`\beval\b|new Function|\bFunction\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write|new ` +
		`(Shared)?Worker|WebAssembly|\bimport\(|importScripts|["` + "`" + `]data:|["` + "`" + `]blob:`)
	for _, m := range modules {
		if found := forbidden.FindString(string(committed(t, m))); found != "" {
			t.Errorf("%s: %s", m, found)
		}
	}
}

func ExampleHandler() {
	mux := http.NewServeMux()
	mux.Handle(browser.Root, browser.Handler())

	srv := httptest.NewTLSServer(mux)
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL + browser.Client.Path())
	if err != nil {
		return
	}
	defer res.Body.Close()
	fmt.Println(res.StatusCode, res.Header.Get("Content-Type"))
	fmt.Println(res.Header.Get("Cache-Control"))
	// Output:
	// 200 text/javascript; charset=utf-8
	// public, max-age=31536000, immutable
}

// The import map of doc.go is not escaped by html/template.
func TestImportMapPassesATemplate(t *testing.T) {
	page := template.Must(template.New("").Parse(`<script type="importmap" nonce="n">{{.}}</script>`))
	var b strings.Builder
	if err := page.Execute(&b, browser.ImportMap()); err != nil {
		t.Fatal(err)
	}
	if want := `<script type="importmap" nonce="n">` + string(browser.ImportMap()) + `</script>`; b.String() != want {
		t.Errorf("got %s", b.String())
	}
}

// "/securews/" without a method would conflict with "GET /".
func TestRootBesideGetOfEverything(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	mux.Handle(browser.Root, browser.Handler())
	for path, want := range map[string]int{
		"/": 418, "/securews/securews.js": 200, "/securews/securews.js.map": 200,
		browser.Seal.Path() + ".map": 200, "/securews/none.js": 404,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			if w.Code != want {
				t.Errorf("%s %s: %d, want %d", method, path, w.Code, want)
			}
		}
	}
}

// Each module names its source map, which contains the sources.
func TestSourceMaps(t *testing.T) {
	for _, m := range []browser.Module{browser.Client, browser.Seal} {
		get := func(path string) string {
			w := httptest.NewRecorder()
			browser.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			return w.Body.String()
		}
		w := httptest.NewRecorder()
		browser.Handler().ServeHTTP(w, httptest.NewRequest("GET", m.Path(), nil))
		if got := w.Header().Get("SourceMap"); got != m.String()+".map" { // ECMA-426 §11.1.2.1
			t.Errorf("%s names the source map %q", m, got)
		}
		var sourceMap struct {
			Version        int
			Sources        []string
			SourcesContent []string
		}
		if err := json.Unmarshal([]byte(get(m.Path()+".map")), &sourceMap); err != nil || sourceMap.Version != 3 {
			t.Errorf("%s.map: version %d, %v", m, sourceMap.Version, err)
		}
		if len(sourceMap.Sources) == 0 || len(sourceMap.Sources) != len(sourceMap.SourcesContent) {
			t.Errorf("%s.map: %d sources, the text of %d", m, len(sourceMap.Sources), len(sourceMap.SourcesContent))
		}
	}
}
