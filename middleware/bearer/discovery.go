package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

var errMetadata = errors.New("metadata is not that of the configured issuer (RFC 8414 §3.3)")

// discover finds the URL of that name in the issuer's metadata, OpenID Connect's first and
// then RFC 8414's. A page that is not such metadata is ignored: many sites answer every path
// with their front page.
func discover(ctx context.Context, c *http.Client, issuer, name string, localHTTP bool) (string, error) {
	var errs []error
	for _, from := range metadataURLs(issuer) {
		meta, err := fetch(ctx, c, from)
		location := ""
		if err == nil {
			location, err = locationIn(meta.body, issuer, name, localHTTP)
		}
		if err == nil {
			return location, nil
		}
		errs = append(errs, fmt.Errorf("%.200s: %w", from, err)) // no secret: it is made of Config.Issuer alone
	}
	return "", fmt.Errorf("metadata: %w", errors.Join(errs...))
}

// metadataURLs follows OpenID Connect Discovery 1.0 §4, which appends, and RFC 8414 §3.1,
// which inserts before the path.
func metadataURLs(issuer string) []string {
	trimmed := strings.TrimSuffix(issuer, "/")
	origin, path := trimmed, ""
	host := strings.Index(trimmed, "://") + len("://")
	if i := strings.IndexByte(trimmed[host:], '/'); i >= 0 {
		origin, path = trimmed[:host+i], trimmed[host+i:]
	}
	return []string{
		trimmed + "/.well-known/openid-configuration",
		origin + "/.well-known/oauth-authorization-server" + path,
	}
}

func locationIn(meta []byte, issuer, name string, localHTTP bool) (string, error) {
	members, err := object(meta)
	if err != nil {
		return "", errMetadata
	}
	if iss, _ := text(find(members, "issuer")); iss != issuer {
		return "", fmt.Errorf("%w: issuer is %.200q; want Issuer, %.200q", errMetadata, iss, issuer)
	}
	location, _ := text(find(members, name))
	if err := checkURL(location, localHTTP); err != nil {
		return "", fmt.Errorf("%s is %w", name, err)
	}
	return location, nil
}

const (
	locationFor      = time.Hour        // how long the metadata counts
	locationCoolDown = 10 * time.Second // after a failure
)

// location is a URL out of the issuer's metadata, looked up when it is first asked for. An
// attempt has a goroutine of its own, which ends after fetchTimeout.
type location struct {
	find func(context.Context) (string, error)

	mu     sync.Mutex
	url    string          // the last one found; it is used while no newer one is found
	next   time.Time       // when to look it up again
	err    error           // of the last attempt
	flight *flight[string] // the attempt under way; nil: none
}

func (l *location) get(ctx context.Context) (string, error) {
	l.mu.Lock()
	if now := time.Now(); l.flight == nil && !now.Before(l.next) {
		l.flight = newFlight[string](now)
		go l.lookUp(l.flight)
	}
	found, f, err := l.url, l.flight, l.err
	l.mu.Unlock()
	if found != "" || f == nil {
		return found, err
	}
	if err := f.wait(ctx); err != nil {
		return "", fmt.Errorf("metadata: %w", err)
	}
	return f.result, f.err
}

func (l *location) lookUp(f *flight[string]) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	found, err := contained(ctx, l.find)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flight, l.next = nil, time.Now().Add(locationCoolDown)
	if err == nil {
		l.url, l.next = found, time.Now().Add(locationFor)
	}
	if l.err = err; l.url != "" {
		l.err = nil
	}
	f.land(l.url, l.err)
}
