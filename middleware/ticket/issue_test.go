package ticket_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/ticket"
)

func mustDecode(t testing.TB, w *httptest.ResponseRecorder, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil || w.Code != 200 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
}

// The answer of protocol section 2: 32 random bytes in base64url, not to be kept by caches
// (ASVS 14.3.2).
func TestIssue(t *testing.T) {
	t.Parallel()
	tickets := newTickets(t, ticket.Config{})
	seen := map[string]bool{}
	for range 100 {
		w, _ := serve(tickets.Issue(), post(app, "ann"))
		var a issued
		mustDecode(t, w, &a)
		raw, err := base64.RawURLEncoding.Strict().DecodeString(a.Ticket)
		if err != nil || len(raw) != 32 || seen[a.Ticket] || seen[a.CID] || a.CID == "" {
			t.Fatalf("ticket %q, cid %q: %v", a.Ticket, a.CID, err)
		}
		seen[a.Ticket], seen[a.CID] = true, true
		if a.Subprotocol != "ticket."+a.Ticket || a.ExpiresIn != 30 || a.RefreshAfter != 0 {
			t.Errorf("answered %s", w.Body)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Content-Type": "application/json; charset=utf-8", "X-Content-Type-Options": "nosniff",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	with := func(edit func(*http.Request)) *http.Request {
		r := post(app, "ann")
		edit(r)
		return r
	}
	anonymous := func(string) middleware.Principal { return middleware.Principal{Method: "anonymous"} }
	for _, tt := range []struct {
		name      string
		principal func(string) middleware.Principal
		r         *http.Request
		want      string
	}{
		{"GET", nil, with(func(r *http.Request) { r.Method = "GET" }), "405 method_not_allowed"},
		{"OPTIONS, without CORS in front", nil, with(func(r *http.Request) { r.Method = "OPTIONS" }), "405 method_not_allowed"},
		{"no Origin", nil, post("", "ann"), "403 origin_missing"},
		{"an Origin that is not on the list", nil, post("https://evil.example", "ann"), "403 origin_not_allowed"},
		{"a sandboxed frame", nil, post("null", "ann"), "403 origin_not_allowed"},
		{"two Origins", nil, with(func(r *http.Request) { r.Header.Add("Origin", app) }), "403 origin_malformed"},
		{
			"another site by Sec-Fetch-Site", nil, with(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }),
			"403 fetch_metadata",
		},
		{"no credential", nil, post(app, ""), "401 no_credential"},
		{"an anonymous principal", anonymous, post(app, "ann"), "403 forbidden"},
		{"a principal of a ticket", func(string) middleware.Principal {
			return middleware.Principal{Subject: "ann", Method: "ticket"}
		}, post(app, "ann"), "403 forbidden"},
		{"a credential that has ended since", func(name string) middleware.Principal {
			p := ann(name)
			p.Expires = time.Now().Add(-time.Second)
			return p
		}, post(app, "ann"), "401 credential_expired"},
		{"a credential that ends within the second", func(name string) middleware.Principal {
			p := ann(name)
			p.Expires = time.Now().Add(999 * time.Millisecond)
			return p
		}, post(app, "ann"), "401 credential_expired"},
		{"a principal too large for any store", func(name string) middleware.Principal {
			p := ann(name)
			p.Attributes = map[string]string{"a": strings.Repeat("x", 16<<10)}
			return p
		}, post(app, "ann"), "500 internal"},
		{"a subject that would come back from the store as another", func(string) middleware.Principal {
			return ann("ann\xff")
		}, post(app, "ann"), "500 internal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := &eternal{}
			tickets := newTickets(t, ticket.Config{Store: store, Auth: auth(t, user{tt.principal})})
			w, got := serve(tickets.Issue(), tt.r)
			if got != tt.want || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("answered %s, want %s", got, tt.want)
			}
			if w.Code == 405 && w.Header().Get("Allow") != "POST" {
				t.Error("405 without Allow: POST (RFC 9110 §15.5.6)")
			}
			store.m.Range(func(any, any) bool { t.Error("a ticket was stored"); return false })
		})
	}
	t.Run("the zero Auth, which admits no request", func(t *testing.T) {
		if _, got := serve(newTickets(t, ticket.Config{Auth: &middleware.Auth{}}).Issue(), post(app, "ann")); got != "401 no_credential" {
			t.Errorf("answered %s", got)
		}
	})
	t.Run("a request that only another Auth in front vouched for", func(t *testing.T) {
		weaker := auth(t, middleware.Anonymous())
		if _, got := serve(weaker.Handler(newTickets(t, ticket.Config{}).Issue()), post(app, "")); got != "401 no_credential" {
			t.Errorf("answered %s", got)
		}
	})
}

// challenging is user with a scheme of its own.
type challenging struct{ user }

func (challenging) Challenge() string { return `X-User realm="api"` }

// RFC 9110 §15.5.2: a 401 names the credential that is accepted, which is that of
// Config.Auth.
func TestIssueChallenges(t *testing.T) {
	t.Parallel()
	tickets := newTickets(t, ticket.Config{Auth: auth(t, challenging{user{func(name string) middleware.Principal {
		p := ann(name)
		p.Expires = time.Now()
		return p
	}}})})
	for name, want := range map[string]string{"ann": "401 credential_expired", "": "401 no_credential"} {
		w, got := serve(tickets.Issue(), post(app, name))
		if challenge := w.Header()["Www-Authenticate"]; got != want || len(challenge) != 1 || challenge[0] != `X-User realm="api"` {
			t.Errorf("answered %s, WWW-Authenticate %q", got, challenge)
		}
	}
}

// expires_in does not exceed the credential behind the ticket, and holds to the last of its
// whole seconds; the store need not keep the ticket longer.
func TestExpiresIn(t *testing.T) {
	const forever = 0
	for _, tt := range []struct {
		name           string
		lifetime, ends time.Duration
		want           int
		ttl            time.Duration
	}{
		{name: "a credential that does not end", ends: forever, want: 30, ttl: 30 * time.Second},
		{name: "one that ends later", ends: time.Hour, want: 30, ttl: 30 * time.Second},
		{name: "one that ends before", ends: 5 * time.Second, want: 5, ttl: 5 * time.Second},
		{
			name: "one that ends within a second after a whole one",
			ends: 5*time.Second + 999*time.Millisecond, want: 5, ttl: 5*time.Second + 999*time.Millisecond,
		},
		{name: "one of a second", ends: time.Second, want: 1, ttl: time.Second},
		{name: "a lifetime of its own", lifetime: 90 * time.Second, ends: time.Hour, want: 90, ttl: 90 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &recorder{}
				tickets := newTickets(t,
					ticket.Config{Store: store, Lifetime: tt.lifetime, Auth: auth(t, user{func(name string) middleware.Principal {
						p := ann(name)
						if tt.ends != forever {
							p.Expires = time.Now().Add(tt.ends)
						}
						return p
					}})})
				w, _ := serve(tickets.Issue(), post(app, "ann"))
				var a issued
				mustDecode(t, w, &a)
				if a.ExpiresIn != tt.want || store.ttl != tt.ttl {
					t.Errorf("expires_in %d, stored for %v; want %d and %v", a.ExpiresIn, store.ttl, tt.want, tt.ttl)
				}
				time.Sleep(time.Duration(a.ExpiresIn)*time.Second - time.Millisecond)
				if _, err := tickets.Authenticate(offering("chat, " + a.Subprotocol)); err != nil {
					t.Errorf("a millisecond before: %v", err)
				}
			})
		})
	}
}

// A store can keep any principal: letters that are special to HTML, which count
// once, and times that RFC 3339 §1 cannot write.
func TestUnusualPrincipalsCrossTheStore(t *testing.T) {
	t.Parallel()
	last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		edit    func(*middleware.Principal)
		expires time.Time
	}{
		{"15,000 bytes of <&>", func(p *middleware.Principal) {
			p.Attributes = map[string]string{"q": strings.Repeat("<&>", 5000)}
		}, time.Time{}},
		{"an end in the year 10000", func(p *middleware.Principal) { p.Expires = last.Add(time.Second) }, last},
		{"an end at the end of the year 9999", func(p *middleware.Principal) { p.Expires = last }, last},
		{"an end in the year 36812", func(p *middleware.Principal) { p.Expires = time.Unix(1<<40, 0) }, last},
		{"a beginning in the year 10000", func(p *middleware.Principal) { p.IssuedAt = last.Add(time.Hour) }, time.Time{}},
		{"an offset that RFC 3339 does not know", func(p *middleware.Principal) {
			p.IssuedAt = signedIn.In(time.FixedZone("", 25*3600))
		}, time.Time{}},
	} {
		before := ann("ann")
		tt.edit(&before)
		tickets := newTickets(t, ticket.Config{Auth: auth(t, user{func(string) middleware.Principal { return before }})})
		w, _ := serve(tickets.Issue(), post(app, "ann"))
		var a issued
		mustDecode(t, w, &a)
		p, err := tickets.Authenticate(offering("chat, " + a.Subprotocol))
		if err != nil || !p.Expires.Equal(tt.expires) || p.IssuedAt.After(before.IssuedAt) || p.Attributes["q"] != before.Attributes["q"] {
			t.Errorf("%s: %v, ends %v, issued %v", tt.name, err, p.Expires, p.IssuedAt)
		}
	}
}

// Four fifths of the remaining time of the credential, in seconds, however long that is.
func TestRefreshAfter(t *testing.T) {
	for _, tt := range []struct {
		ends time.Duration
		want int64
	}{
		{time.Second, 1}, {5 * time.Minute, 240}, {100 * 8760 * time.Hour, 80 * 8760 * 3600},
	} {
		synctest.Test(t, func(t *testing.T) {
			tickets := newTickets(t, ticket.Config{Auth: auth(t, user{func(name string) middleware.Principal {
				p := ann(name)
				p.Expires = time.Now().Add(tt.ends)
				return p
			}})})
			w, _ := serve(tickets.Issue(), post(app, "ann"))
			var a issued
			mustDecode(t, w, &a)
			if a.RefreshAfter != tt.want {
				t.Errorf("%d for a credential of %v, want %d", a.RefreshAfter, tt.ends, tt.want)
			}
		})
	}
}

// By default 60 a minute for each issuer and subject, 30 at once, whatever their addresses.
func TestIssueIsRateLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tickets, err := ticket.New(ticket.Config{Auth: auth(t, user{}), Path: "/ws", Origins: origins(t, false)})
		if err != nil {
			t.Fatal(err)
		}
		h := tickets.Issue()
		count := func(name string) (good int) {
			for i := range 50 {
				r := post(app, name)
				r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1000", i)
				w, got := serve(h, r)
				switch {
				case w.Code == 200:
					good++
				case got != "429 rate_limited" || w.Header().Get("Retry-After") != "1":
					t.Errorf("answered %s, Retry-After %q", got, w.Header().Get("Retry-After"))
				}
			}
			return good
		}
		if a, b := count("ann"), count("bob"); a != 30 || b != 30 {
			t.Errorf("ann got %d, bob %d", a, b)
		}
		time.Sleep(5 * time.Second)
		if a := count("ann"); a != 5 {
			t.Errorf("after 5 s ann got %d", a)
		}
	})
}

// recorder is a Store that shows its arguments.
type recorder struct {
	eternal
	mu    sync.Mutex
	key   string
	value string
	ttl   time.Duration
}

func (s *recorder) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key, s.value, s.ttl = key, string(value), ttl
	return s.eternal.Put(ctx, key, value, ttl)
}

// A reader of the store can use nothing (ASVS 11.5.1, 14.2).
func TestTheStoreHasNoTicket(t *testing.T) {
	t.Parallel()
	store := &recorder{}
	tickets := newTickets(t, ticket.Config{Store: store, Lifetime: 10 * time.Second})
	a := fetch(t, tickets, app, "ann")
	sum := sha256.Sum256([]byte(a.Ticket))
	if want := base64.RawURLEncoding.EncodeToString(sum[:]); store.key != want || store.ttl != 10*time.Second {
		t.Errorf("stored under %q for %v, want the SHA-256, %q", store.key, store.ttl, want)
	}
	if strings.Contains(store.value, a.Ticket) || !strings.Contains(store.value, `"cid":"`+a.CID+`"`) {
		t.Errorf("stored %s", store.value)
	}
}

func TestNewReportsEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cfg  ticket.Config
		want []string
	}{
		{ticket.Config{Lifetime: -1}, []string{
			"ticket: Auth: nil: write the Auth",
			"ticket: Path: empty: write", "ticket: Origins: nil: write", "ticket: Lifetime: -1ns is out of range: write",
		}},
		{
			ticket.Config{Auth: auth(t, user{}), Path: "/ws/{room}", Origins: origins(t, false)},
			[]string{"ticket: Path: \"/ws/{room}\" looks like a pattern"},
		},
		{
			ticket.Config{Auth: auth(t, user{}), Path: "ws", Origins: middleware.DangerouslyAnyOrigin(), Lifetime: 3 * time.Minute},
			[]string{"does not begin with /", "ticket: Origins: any", "ticket: Lifetime: 3m0s"},
		},
		{
			ticket.Config{Auth: auth(t, user{}), Path: "/ws?a=b", Origins: origins(t, false), Store: (*eternal)(nil)},
			[]string{"has a query", "ticket: Store: a nil *ticket_test.eternal"},
		},
	} {
		_, err := ticket.New(tt.cfg)
		if err == nil || len(strings.Split(err.Error(), "\n")) != len(tt.want) {
			t.Errorf("got %v, want %d mistakes", err, len(tt.want))
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("nothing says %q in %v", want, err)
			}
		}
	}
}
