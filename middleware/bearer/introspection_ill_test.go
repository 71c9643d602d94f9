package bearer_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/ws/wstest"
)

// started serves the issuer over TLS, in memory.
func (i *tokenIssuer) started(t *testing.T) (*wstest.Server, bearer.IntrospectionConfig) {
	t.Helper()
	s := wstest.Start(t, &http.Server{Handler: i, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)})
	cfg := introspection(nil)
	cfg.Endpoint, cfg.HTTPClient = wstest.URL+"/introspect", s.Client()
	return s, cfg
}

// says answers 200 with that body.
func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

func saysStatus(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// illnesses are the ways of an endpoint to be ill, each with the text in the log.
func illnesses(t *testing.T) map[string]struct {
	answer http.HandlerFunc
	cause  string
} {
	var followed atomic.Int64
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	t.Cleanup(elsewhere.Close)
	t.Cleanup(func() {
		if followed.Load() != 0 {
			t.Error("a redirect was followed, with the token and the secret")
		}
	})
	good := members().with("active", true).String()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, good)
	_ = z.Close()
	header := func(name, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set(name, value)
			_, _ = io.WriteString(w, body)
		}
	}
	return map[string]struct {
		answer http.HandlerFunc
		cause  string
	}{
		"answers 500":                   {saysStatus(500, good), "status 500"},
		"answers 429":                   {saysStatus(429, good), "status 429"},
		"answers 401, RFC 7662 §2.3":    {saysStatus(401, good), "see ClientID, ClientSecret and Authorize"},
		"answers 403":                   {saysStatus(403, good), "see ClientID, ClientSecret and Authorize"},
		"answers 400 with active":       {saysStatus(400, good), "status 400"},
		"answers 400 about the request": {saysStatus(400, `{"error":"invalid_request"}`), "status 400"},
		"answers 500 about the token":   {saysStatus(500, `{"error":"unsupported_token_type"}`), "status 500"},
		"answers 201":                   {saysStatus(201, good), "status 201"},
		"answers 204":                   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "status 204"},
		"redirects to another host": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "redirects are not followed; see Endpoint"},
		"redirects to itself": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/introspect", http.StatusPermanentRedirect)
		}, "redirects are not followed"},
		"is empty": {says(""), "not strict JSON"},
		"answers HTML": {
			header("Content-Type", "text/html", "<!DOCTYPE html>"), `Content-Type "text/html"; want application/json`,
		},
		"calls JSON text": {header("Content-Type", "text/plain", good), `Content-Type "text/plain"`},
		"answers a JWT, RFC 9701": {
			header("Content-Type", "application/token-introspection+jwt", "a.b.c"), "want application/json",
		},
		"compresses, which was declined": {
			header("Content-Encoding", "gzip", packed.String()), `Content-Encoding "gzip", which was declined`,
		},
		"answers a list":                       {says("[" + good + "]"), "not strict JSON"},
		"has something behind it":              {says(good + good), "not strict JSON"},
		"names active twice":                   {says(`{"active":false,` + good[1:]), "duplicate name"},
		"names active twice, once escaped":     {says(`{"\u0061ctive":false,` + good[1:]), "duplicate name"},
		"names sub twice":                      {says(`{"sub":"root",` + good[1:]), "duplicate name"},
		"names a member within a member twice": {says(`{"x":{"a":1,"a":2},` + good[1:]), "duplicate name"},
		"is not UTF-8":                         {says(strings.Replace(good, "alice@", "\xff", 1)), "not strict JSON"},
		"has no active":                        {says(members().String()), `active is ""; want true or false`},
		"has active as a string": {
			says(members().with("active", "true").String()), `active is "\"true\""; want true or false`,
		},
		"has active as a number":     {says(members().with("active", 1).String()), `active is "1"`},
		"has active null":            {says(members().with("active", nil).String()), `active is "null"`},
		"has Active in another case": {says(members().with("Active", true).String()), `active is ""`},
		"nests too deep":             {says(members().with("active", true).with("x", nested(40)).String()), "nested too deep"},
		"is huge": {
			says(members().with("active", true).with("x", strings.Repeat("a", 64<<10)).String()), "larger than 65536 bytes",
		},
		"is truncated":      {header("Content-Length", "100000", good), "EOF"},
		"has a huge header": {header("X", strings.Repeat("a", 1<<20), good), "introspection endpoint does not answer"},
		"hangs": {
			func(_ http.ResponseWriter, r *http.Request) { _ = r.ParseForm(); <-r.Context().Done() }, "context deadline exceeded",
		},
		"drips": {func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm() // or the server does not see that the client is gone
			w.Header().Set("Content-Type", "application/json")
			for tick := time.NewTicker(50 * time.Millisecond); ; {
				select {
				case <-r.Context().Done():
					tick.Stop()
					return
				case <-tick.C:
					_, _ = io.WriteString(w, " ")
					_ = http.NewResponseController(w).Flush()
				}
			}
		}, "context deadline exceeded"},
		"resets the connection": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "introspection endpoint does not answer",
		},
	}
}

// An ill endpoint is 503 with Retry-After, for tokens that are remembered, too, and for live
// connections. The log says why, once, without the token and the secret.
func TestIllIntrospection(t *testing.T) {
	for name, ill := range illnesses(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newTokenIssuer()
				i.issues(opaque, members())
				_, cfg := i.started(t)
				var log safeBuffer
				cfg.CacheFor, cfg.Log = 1, slog.New(slog.NewTextHandler(&log, nil))
				a := newIntrospector(t, cfg)
				p, err := a.Authenticate(request(opaque))
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				i.becomes(ill.answer)
				began := time.Now()
				_, err = a.Authenticate(request(opaque))
				f, _ := errors.AsType[*middleware.Refusal](err)
				if outcome(err) != unavailable || f.Header.Get("Retry-After") == "" || !strings.Contains(err.Error(), ill.cause) {
					t.Errorf("%s: %v, want %q", outcome(err), err, ill.cause)
				}
				if err := a.Alive(t.Context(), p); outcome(err) != unavailable {
					t.Errorf("a live connection: %s", outcome(err))
				}
				if _, err := a.Authenticate(request("unknown")); outcome(err) != unavailable {
					t.Errorf("an unknown token: %s", outcome(err))
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("three introspections took %v", took)
				}
				if n := strings.Count(log.String(), "introspection failed"); n != 1 {
					t.Errorf("%d lines in the log", n)
				}
				mustNotContain(t, "the log", log.String()+err.Error(), opaque, clientSecret, "Basic ")
				i.becomes(nil)
				if err := a.Alive(t.Context(), p); err != nil {
					t.Errorf("after it: %v", err)
				}
				time.Sleep(10 * time.Second)
				i.becomes(ill.answer)
				if err := a.Alive(t.Context(), p); outcome(err) != unavailable || strings.Count(log.String(), "introspection failed") != 2 {
					t.Errorf("ill again: %s, %s", outcome(err), log.String())
				}
			})
		})
	}
}

// oidc-provider answers about every JWT with the error of RFC 7009 §2.2.1. That answer is final: a
// client that is told to come back would do so for ever.
func TestATokenOfATypeThatIsNotIntrospected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		i.becomes(saysStatus(400, `{"error":"unsupported_token_type","error_description":"no JWTs"}`))
		_, cfg := i.started(t)
		_, err := newIntrospector(t, cfg).Authenticate(request(token(header(), claims())))
		if outcome(err) != invalid || !strings.Contains(err.Error(), "does not introspect tokens of this type") {
			t.Errorf("%s: %v", outcome(err), err)
		}
	})
}

// Over sockets: nothing listens, or something with another certificate.
func TestNoIntrospection(t *testing.T) {
	t.Parallel()
	i := newTokenIssuer()
	i.issues(opaque, members())
	s := httptest.NewUnstartedServer(i)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	defer s.Close()
	cfg := introspection(nil)
	cfg.Endpoint, cfg.Timeout = s.URL, 2*time.Second
	cfg.HTTPClient = &http.Client{} // which does not trust the certificate
	if _, err := newIntrospector(t, cfg).Authenticate(request(opaque)); outcome(err) != unavailable {
		t.Errorf("another certificate: %s, %v", outcome(err), err)
	}
	if i.asked.Load() != 0 {
		t.Error("asked")
	}
	cfg.HTTPClient = s.Client()
	a := newIntrospector(t, cfg)
	for tries := 0; ; tries++ {
		_, err := a.Authenticate(request(opaque))
		if err == nil {
			break
		}
		if outcome(err) != unavailable || tries == 30 { // the machine may be slow
			t.Fatal(err)
		}
	}
	s.Close()
	if _, err := a.Authenticate(request("unknown")); outcome(err) != unavailable {
		t.Errorf("nothing listens: %s, %v", outcome(err), err)
	}
}

// A connection is kept for the next introspection. One that has died is found out within 2 s, although
// HTTP/2 would use it on and on.
func TestConnectionsToTheEndpoint(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", http2), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newTokenIssuer()
				i.issues(opaque, members())
				s, cfg := i.started(t)
				transport := s.Client().Transport.(*http.Transport).Clone()
				transport.ForceAttemptHTTP2 = http2
				cfg.CacheFor, cfg.HTTPClient = 1, &http.Client{Transport: transport}
				a := newIntrospector(t, cfg)
				for range 10 {
					time.Sleep(10 * time.Second)
					if _, err := a.Authenticate(request(opaque)); err != nil {
						t.Fatal(err)
					}
				}
				conns := s.Listener.Conns()
				if len(conns) != 1 {
					t.Fatalf("%d connections", len(conns))
				}
				conns[0].Blackhole()
				began := time.Now()
				for {
					time.Sleep(time.Millisecond)
					_, err := a.Authenticate(request(opaque))
					if err == nil {
						break
					}
					if outcome(err) != unavailable || time.Since(began) > 3*time.Second {
						t.Fatalf("after %v: %v", time.Since(began), err)
					}
				}
			})
		})
	}
}

// Authorize that fails, hangs, panics or ends its goroutine is 503.
func TestAuthorizeThatMisbehaves(t *testing.T) {
	for name, tt := range map[string]struct {
		authorize func(*http.Request) error
		cause     string
	}{
		"fails":                 {func(*http.Request) error { return errors.New("no assertion") }, "by Authorize: no assertion"},
		"fails, with the token": {func(r *http.Request) error { return errors.New(r.PostForm.Encode()) }, "the cause is not shown"},
		"panics":                {func(r *http.Request) error { panic(r.PostForm.Encode()) }, "panic: string"},
		"panics by a nil map": {
			func(r *http.Request) error { var h http.Header; h.Set("A", "b"); return nil }, "panic: assignment to entry in nil map",
		},
		"hangs":                  {func(*http.Request) error { time.Sleep(time.Hour); return nil }, "deadline exceeded"},
		"waits for the deadline": {func(r *http.Request) error { <-r.Context().Done(); return r.Context().Err() }, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newTokenIssuer()
				i.issues(opaque, members())
				cfg := introspection(i)
				var log safeBuffer
				cfg.ClientID, cfg.ClientSecret, cfg.Authorize, cfg.Log = "", "", tt.authorize, slog.New(slog.NewTextHandler(&log, nil))
				a := newIntrospector(t, cfg)
				began := time.Now()
				_, err := a.Authenticate(request(opaque))
				if outcome(err) != unavailable || !strings.Contains(err.Error(), tt.cause) || i.asked.Load() != 0 {
					t.Errorf("%s, %v, want %q", outcome(err), err, tt.cause)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("took %v", took)
				}
				mustNotContain(t, "the log", log.String()+err.Error(), opaque)
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

// panicking is a transport that panics.
type panicking struct{ asked atomic.Int64 }

func (p *panicking) RoundTrip(*http.Request) (*http.Response, error) {
	p.asked.Add(1)
	panic("transport")
}

// A transport that panics does not end the process, although keys and metadata are fetched outside
// of requests. It is 503, as of an issuer that does not answer.
func TestATransportThatPanics(t *testing.T) {
	t.Parallel()
	p := &panicking{}
	cfg := introspection(p)
	cfg.Endpoint, cfg.Discovery = "", true
	if _, err := newIntrospector(t, cfg).Authenticate(request(opaque)); outcome(err) != unavailable ||
		!strings.Contains(err.Error(), "panic: string") {
		t.Errorf("introspection: %v", err)
	}
	jwts := config()
	jwts.Keys, jwts.JWKS, jwts.HTTPClient = nil, issuer+"/jwks", &http.Client{Transport: p}
	if _, err := newAuthenticator(t, jwts).Authenticate(request(token(header(), claims()))); outcome(err) != unavailable {
		t.Errorf("keys: %v", err)
	}
	if p.asked.Load() < 2 {
		t.Error("not asked")
	}
}
