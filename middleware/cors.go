package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"

	"github.com/securews/securews/internal/opening"
)

// CORSConfig permits the pages of an [OriginPolicy] requests across
// origins. The zero value permits the requests that a form can make, and lets the page read
// the answer.
type CORSConfig struct {
	_ [0]func()

	// Methods are all allowed methods, spelled as they are sent; empty: GET, HEAD
	// and POST.
	Methods []string

	// Headers are request headers beyond those that the Fetch standard lets every
	// page send. Content-Type: application/json needs "Content-Type" here.
	Headers []string

	// Expose are answer headers that the page may read beyond the few that the
	// Fetch standard lets every page read, and Retry-After, which refusals have.
	Expose []string

	// Credentials lets requests carry cookies and client certificates. It is an
	// error together with [DangerouslyAnyOrigin].
	Credentials bool

	// MaxAge is how long browsers may keep the answer to a preflight: from 1 s to
	// 24 h (Chromium cuts it to 2 h). Zero sends nothing, which means 5 s.
	MaxAge time.Duration
}

// maxCORSAge is the longest that any browser keeps the answer (Firefox).
const maxCORSAge = 24 * time.Hour

// CORS returns a layer by which the pages that may open a WebSocket here may also
// read ordinary answers: the same list decides (Fetch, "CORS protocol"; ASVS 3.4.2).
// A listed Origin is answered with itself, never with "*"; any other gets no
// permission. Every answer varies by Origin; an inner handler whose answer varies by
// more adds to Vary instead of setting it.
//
// The layer answers preflights and permits reading; it refuses nothing. Put
// [OriginPolicy.Handler] behind it for unsafe methods and for handshakes, to which browsers do not
// apply CORS. A handshake gets the same headers as any request: a cache may keep the answer of a
// route that ignores Upgrade.
func (p *OriginPolicy) CORS(cfg CORSConfig) (Middleware, error) {
	if err := p.validateCORS(cfg); err != nil {
		return nil, err
	}
	opts := cors.Options{
		AllowedMethods:   slices.Clone(cfg.Methods),
		AllowedHeaders:   slices.Clone(cfg.Headers),
		ExposedHeaders:   exposed(cfg.Expose),
		AllowCredentials: cfg.Credentials,
		MaxAge:           int(cfg.MaxAge / time.Second),
		// The patterns of rs/cors let https://*app.example admit
		// https://evilapp.example, and it checks the first of several Origins but
		// answers with all. Our list decides instead.
		AllowOriginVaryRequestFunc: func(r *http.Request, _ string) (bool, []string) {
			return p.permits(r), nil
		},
	}
	if len(opts.AllowedHeaders) == 0 {
		opts.AllowedHeaders = []string{"Accept"} // safelisted anyway; an empty list would mean rs/cors's own choice
	}
	c := cors.New(opts)
	return c.Handler, nil
}

// exposed adds the header by which a client learns when to come back.
func exposed(names []string) []string {
	const retryAfter = "Retry-After"
	if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, retryAfter) }) {
		return slices.Clone(names)
	}
	return append(slices.Clone(names), retryAfter)
}

// permits accepts exactly one Origin and at most one requested method, because
// rs/cors checks the first line of a header and repeats all of them.
func (p *OriginPolicy) permits(r *http.Request) bool {
	lines := r.Header["Origin"]
	if len(lines) != 1 || len(r.Header["Access-Control-Request-Method"]) > 1 {
		return false
	}
	_, _, err := p.admit(r, lines[0])
	return err == nil
}

func (p *OriginPolicy) validateCORS(cfg CORSConfig) error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("middleware: "+format, args...))
	}
	if p.zero() {
		fail("OriginPolicy.CORS: the zero OriginPolicy admits no origin: use NewOriginPolicy")
	}
	if cfg.Credentials && p.AllowsAny() {
		fail("CORSConfig.Credentials: together with DangerouslyAnyOrigin every site could read what your users can: use NewOriginPolicy")
	}
	for _, m := range cfg.Methods {
		if err := checkCORSMethod(m); err != nil {
			fail("CORSConfig.Methods: %.80q: %w", m, err)
		}
	}
	for _, h := range cfg.Headers {
		if err := checkCORSHeader(h); err != nil {
			fail("CORSConfig.Headers: %.80q: %w", h, err)
		}
	}
	for _, h := range cfg.Expose {
		if err := checkCORSHeader(h); err != nil {
			fail("CORSConfig.Expose: %.80q: %w", h, err)
		}
	}
	if cfg.MaxAge != 0 && (cfg.MaxAge < time.Second || cfg.MaxAge > maxCORSAge) {
		fail("CORSConfig.MaxAge: %v: write 1s to %v, or 0 for the 5 s of the Fetch standard", cfg.MaxAge, maxCORSAge)
	}
	return errors.Join(errs...)
}

func checkCORSMethod(m string) error {
	upper := strings.ToUpper(m)
	switch {
	case m == "*":
		return errors.New("it is every method, not a list: name the methods")
	case !opening.IsToken(m):
		return errors.New("it is not a method (RFC 9110 §9.1)")
	case slices.Contains([]string{"CONNECT", "TRACE", "TRACK"}, upper):
		return errors.New("browsers never send it (Fetch §2.2.1): leave it out")
	case m != upper:
		return fmt.Errorf("methods are case-sensitive: write %q", upper)
	}
	return nil
}

func checkCORSHeader(name string) error {
	switch {
	case name == "*":
		return errors.New("it is every header, not a list: name the headers")
	case !opening.IsToken(name):
		return errors.New("it is not a header name (RFC 9110 §5.1)")
	}
	return nil
}
