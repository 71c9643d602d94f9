package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// corsServer answers 200 "reached" behind the layer.
func corsServer(t testing.TB, p *middleware.OriginPolicy, cfg middleware.CORSConfig) http.Handler {
	t.Helper()
	layer, err := p.CORS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return layer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("reached")) }))
}

func corsRequest(method string, origins []string, preflight ...string) *http.Request {
	r := httptest.NewRequest(method, "https://api.example/", nil)
	if origins != nil {
		r.Header["Origin"] = origins
	}
	for i, name := range []string{"Access-Control-Request-Method", "Access-Control-Request-Headers"} {
		if i < len(preflight) {
			r.Header[name] = []string{preflight[i]}
		}
	}
	return r
}

func varies(h http.Header, name string) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(h["Vary"], ","), ","),
		func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), name) })
}

// Fetch, "CORS protocol"; ASVS 3.4.2: who gets permission to read is decided by the
// same list, and by nothing else.
func TestCORSGivesPermissionToTheListedAlone(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{DangerouslyAllowLocalHTTP: true, Allow: listed, AllowMissing: true})
	h := corsServer(t, p, middleware.CORSConfig{Credentials: true, Expose: []string{"x-total"}, Methods: []string{"GET", "PUT"}})
	for _, row := range originTable {
		t.Run(row.sentence, func(t *testing.T) {
			var want []string
			if row.reason == "" {
				want = []string{row.origin}
			}
			for _, r := range []*http.Request{
				corsRequest("GET", []string{row.origin}),
				corsRequest("OPTIONS", []string{row.origin}, "PUT"),
			} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if got := w.Header()["Access-Control-Allow-Origin"]; !slices.Equal(got, want) {
					t.Errorf("%s: Access-Control-Allow-Origin %q, want %q", r.Method, got, want)
				}
				if !varies(w.Header(), "Origin") {
					t.Errorf("%s: Vary %q lacks Origin", r.Method, w.Header()["Vary"])
				}
				if reached := w.Body.String() == "reached"; reached != (r.Method == "GET") {
					t.Errorf("%s: handler reached: %v", r.Method, reached)
				}
				if got := w.Header().Get("Access-Control-Allow-Credentials"); (got == "true") != (want != nil) {
					t.Errorf("%s: Access-Control-Allow-Credentials %q", r.Method, got)
				}
			}
		})
	}
}

// Attack: of several Origins the first is checked and all are repeated.
func TestCORSRefusesSeveralLinesOfWhatItRepeats(t *testing.T) {
	h := corsServer(t, originPolicy(t, middleware.OriginConfig{Allow: []string{"https://app.example"}}), middleware.CORSConfig{})
	several := corsRequest("OPTIONS", []string{"https://app.example"}, "GET")
	several.Header.Add("Access-Control-Request-Method", "DELETE")
	for _, r := range []*http.Request{
		corsRequest("GET", []string{"https://app.example", "https://evil.example"}),
		corsRequest("GET", []string{"https://app.example", "https://app.example"}),
		corsRequest("OPTIONS", []string{"https://app.example", "https://evil.example"}, "GET"),
		corsRequest("GET", []string{}),
		corsRequest("GET", nil),
		several,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s %q is answered with %s", r.Method, r.Header, name)
			}
		}
		if !varies(w.Header(), "Origin") {
			t.Errorf("Vary %q lacks Origin", w.Header()["Vary"])
		}
	}
}

func TestCORSPreflight(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{Allow: []string{"https://app.example"}})
	cfg := middleware.CORSConfig{Methods: []string{"GET", "PATCH"}, Headers: []string{"Content-Type", "X-A"}, MaxAge: 10 * time.Minute}
	for _, row := range []struct {
		sentence, method, headers string
		cfg                       middleware.CORSConfig
		allowed                   bool
	}{
		{sentence: "a listed method", method: "PATCH", cfg: cfg, allowed: true},
		{
			sentence: "listed headers, sorted and in lower case as Fetch sends them",
			method:   "PATCH", headers: "content-type,x-a", cfg: cfg, allowed: true,
		},
		{sentence: "a method that is not listed", method: "DELETE", cfg: cfg},
		{sentence: "a method in lower case: Fetch does not change patch", method: "patch", cfg: cfg},
		{sentence: "a header that is not listed", method: "PATCH", headers: "x-b", cfg: cfg},
		{sentence: "one header listed, one not", method: "PATCH", headers: "content-type,x-b", cfg: cfg},
		{sentence: "POST by default", method: "POST", cfg: middleware.CORSConfig{}, allowed: true},
		{sentence: "no PUT by default", method: "PUT", cfg: middleware.CORSConfig{}},
		{sentence: "no Content-Type by default: JSON is asked for", method: "POST", headers: "content-type", cfg: middleware.CORSConfig{}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			var pre []string
			if pre = append(pre, row.method); row.headers != "" {
				pre = append(pre, row.headers)
			}
			w := httptest.NewRecorder()
			corsServer(t, p, row.cfg).ServeHTTP(w, corsRequest("OPTIONS", []string{"https://app.example"}, pre...))
			if got := w.Header().Get("Access-Control-Allow-Origin") == "https://app.example"; got != row.allowed {
				t.Errorf("allowed: %v, want %v: %v", got, row.allowed, w.Header())
			}
			if w.Body.Len() > 0 || w.Code != 204 {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
			wantAge := ""
			if row.allowed && row.cfg.MaxAge != 0 {
				wantAge = "600"
			}
			if got := w.Header().Get("Access-Control-Max-Age"); got != wantAge {
				t.Errorf("Access-Control-Max-Age %q, want %q", got, wantAge)
			}
			for _, name := range []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"} {
				if !varies(w.Header(), name) {
					t.Errorf("Vary lacks %s", name)
				}
			}
		})
	}
}

func TestCORSExposesAndPermitsCredentialsOnlyWhereAsked(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{Allow: []string{"https://app.example"}})
	w := httptest.NewRecorder()
	corsServer(t, p, middleware.CORSConfig{}).ServeHTTP(w, corsRequest("GET", []string{"https://app.example"}))
	if h := w.Header(); h["Access-Control-Allow-Credentials"] != nil || h.Get("Access-Control-Expose-Headers") != "Retry-After" {
		t.Errorf("the zero config permits more than reading, and when to come back: %v", h)
	}
	w = httptest.NewRecorder()
	corsServer(t, p, middleware.CORSConfig{Expose: []string{"X-Total"}}).ServeHTTP(w, corsRequest("GET", []string{"https://app.example"}))
	if h := w.Header(); h.Get("Access-Control-Expose-Headers") != "X-Total, Retry-After" {
		t.Errorf("%v", h)
	}
	w = httptest.NewRecorder()
	corsServer(t, p, middleware.CORSConfig{Credentials: true, Expose: []string{"X-Total", "Retry-After"}}).ServeHTTP(w,
		corsRequest("GET", []string{"https://app.example"}))
	if h := w.Header(); h.Get("Access-Control-Allow-Credentials") != "true" ||
		h.Get("Access-Control-Expose-Headers") != "X-Total, Retry-After" {
		t.Errorf("%v", h)
	}
}

func TestCORSWithAnyOriginNeverSaysAsterisk(t *testing.T) {
	h := corsServer(t, middleware.DangerouslyAnyOrigin(), middleware.CORSConfig{})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, corsRequest("GET", []string{"https://evil.example"}))
	if got := w.Header()["Access-Control-Allow-Origin"]; !slices.Equal(got, []string{"https://evil.example"}) ||
		!varies(w.Header(), "Origin") {
		t.Errorf("Access-Control-Allow-Origin %q, Vary %q", got, w.Header()["Vary"])
	}
}

// RFC 9110 §7.8 lets a route ignore Upgrade, and RFC 9111 §4.1 a cache keep its answer. The
// headers for pages do not depend on Upgrade, or one client could have the cache keep an answer
// that no page may read.
func TestCORSIsTheSameWithAnUpgradeHeader(t *testing.T) {
	h := corsServer(t, originPolicy(t, middleware.OriginConfig{Allow: []string{"https://app.example"}}),
		middleware.CORSConfig{Credentials: true})
	for _, row := range []struct {
		origin string
		allow  []string
	}{
		{"https://app.example", []string{"https://app.example"}},
		{"https://evil.example", nil},
	} {
		for name, r := range map[string]*http.Request{
			"a plain request": corsRequest("GET", []string{row.origin}),
			"a handshake":     handshakeFrom(row.origin),
		} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := w.Header()["Access-Control-Allow-Origin"]; w.Body.String() != "reached" || !slices.Equal(got, row.allow) ||
				!varies(w.Header(), "Origin") {
				t.Errorf("%s of %s: %s %v", name, row.origin, w.Body, w.Header())
			}
		}
	}
}

func TestCORSInFrontOfThePolicyLetsThePageReadTheRefusal(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{Allow: []string{"https://app.example"}})
	h := corsServer(t, p, middleware.CORSConfig{})
	guarded := p.Handler(h)
	layer, _ := p.CORS(middleware.CORSConfig{})
	h = layer(guarded)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, withFetchSite(corsRequest("POST", []string{"https://app.example"}), "none"))
	if w.Code != 403 || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" || !varies(w.Header(), "Origin") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestCORSConfigsThatAreErrors(t *testing.T) {
	p := originPolicy(t, middleware.OriginConfig{Allow: []string{"https://app.example"}})
	for _, row := range []struct {
		hint   string
		policy *middleware.OriginPolicy
		cfg    middleware.CORSConfig
	}{
		{"zero OriginPolicy", nil, middleware.CORSConfig{}},
		{"zero OriginPolicy", &middleware.OriginPolicy{}, middleware.CORSConfig{}},
		{"together with DangerouslyAnyOrigin", middleware.DangerouslyAnyOrigin(), middleware.CORSConfig{Credentials: true}},
		{`Methods: "*"`, p, middleware.CORSConfig{Methods: []string{"*"}}},
		{`Methods: ""`, p, middleware.CORSConfig{Methods: []string{""}}},
		{`Methods: "GET, PUT"`, p, middleware.CORSConfig{Methods: []string{"GET, PUT"}}},
		{`write "PATCH"`, p, middleware.CORSConfig{Methods: []string{"patch"}}},
		{"browsers never send it", p, middleware.CORSConfig{Methods: []string{"TRACE"}}},
		{"browsers never send it", p, middleware.CORSConfig{Methods: []string{"Connect"}}},
		{"browsers never send it", p, middleware.CORSConfig{Methods: []string{"TRACK"}}},
		{`Headers: "*"`, p, middleware.CORSConfig{Headers: []string{"*"}}},
		{`Headers: "X A"`, p, middleware.CORSConfig{Headers: []string{"X A"}}},
		{`Headers: ""`, p, middleware.CORSConfig{Headers: []string{""}}},
		{`Expose: "*"`, p, middleware.CORSConfig{Expose: []string{"*"}}},
		{`Expose: "X-A\r\nSet-Cookie: a"`, p, middleware.CORSConfig{Expose: []string{"X-A\r\nSet-Cookie: a"}}},
		{"MaxAge", p, middleware.CORSConfig{MaxAge: -1}},
		{"MaxAge", p, middleware.CORSConfig{MaxAge: time.Millisecond}},
		{"MaxAge", p, middleware.CORSConfig{MaxAge: 24*time.Hour + 1}},
	} {
		layer, err := row.policy.CORS(row.cfg)
		if err == nil || layer != nil || !strings.Contains(err.Error(), row.hint) ||
			!strings.HasPrefix(err.Error(), "middleware: CORSConfig.") &&
				!strings.HasPrefix(err.Error(), "middleware: OriginPolicy.CORS: ") {
			t.Errorf("%v lacks %q", err, row.hint)
		}
	}
	_, err := p.CORS(middleware.CORSConfig{Methods: []string{"*", "get"}, Headers: []string{"*"}, Expose: []string{"*"}, MaxAge: -1})
	if n := len(strings.Split(err.Error(), "\n")); n != 5 {
		t.Errorf("%d errors, want all 5:\n%v", n, err)
	}
}
