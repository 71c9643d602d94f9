package bearer_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

const offer = "base64url.bearer.authorization.securews."

// offering is a handshake (RFC 6455 §1.3) that offers the subprotocols.
func offering(lines ...string) *http.Request {
	r := httptest.NewRequest("GET", "https://api.example/ws", nil)
	r.Header.Set("Upgrade", "websocket")
	r.Header["Sec-Websocket-Protocol"] = lines
	return r
}

// Protocol section 2: the token in a subprotocol, beside a real one, on a handshake.
func TestTokenInASubprotocol(t *testing.T) {
	good := token(header(), claims())
	b64good := b64([]byte(good))
	cfg := config()
	cfg.FromSubprotocol = true
	on, off := newAuthenticator(t, cfg), newAuthenticator(t, config())
	issuers, err := bearer.NewIssuers(on)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		lines []string
		edit  func(*http.Request)
		want  string
	}{
		{"beside a real one", []string{"chat, " + offer + b64good}, nil, "accepted"},
		{"in a line of its own", []string{offer + b64good, "chat"}, nil, "accepted"},
		{"none", []string{"chat"}, nil, "nothing"},
		{"alone: a browser fails where none is selected", []string{offer + b64good}, nil, malformed},
		{"two", []string{offer + b64good + ", chat, " + offer + b64good}, nil, malformed},
		{
			"and in Authorization",
			[]string{"chat, " + offer + b64good},
			func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+good) }, malformed,
		},
		{
			"beside another scheme in Authorization",
			[]string{"chat, " + offer + b64good},
			func(r *http.Request) { r.Header.Set("Authorization", "Basic dTpw") }, malformed,
		},
		{"not encoded", []string{"chat, " + offer + good}, nil, malformed},
		{"padded", []string{"chat, " + offer + b64good + "="}, nil, malformed},
		{"not canonical (RFC 4648 §3.5)", []string{"chat, " + offer + "YR"}, nil, malformed},
		{"empty", []string{"chat, " + offer}, nil, malformed},
		{"no b64token (RFC 6750 §2.1)", []string{"chat, " + offer + b64([]byte("a b"))}, nil, malformed},
		{"in capitals", []string{"chat, " + strings.ToUpper(offer) + b64good}, nil, malformed},
		{"longer than any token", []string{"chat, " + offer + b64([]byte(strings.Repeat("a", 32<<10+1)))}, nil, malformed},
		{"of Kubernetes", []string{"chat, base64url.bearer.authorization.k8s.io." + b64good}, nil, "nothing"},
		{"beside an empty element", []string{"," + offer + b64good + ", "}, nil, malformed},
		{"beside an empty line", []string{"", offer + b64good}, nil, malformed},
		{"beside a ticket, which is no real one", []string{"ticket.x, " + offer + b64good}, nil, malformed},
		{"beside what is no token (RFC 6455 §4.1)", []string{"ch@t, " + offer + b64good}, nil, malformed},
		{"its Upgrade lost on the way", []string{"chat, " + offer + b64good}, func(r *http.Request) { r.Header.Del("Upgrade") }, malformed},
		{
			"on a handshake by POST (RFC 6455 §4.1)",
			[]string{"chat, " + offer + b64good},
			func(r *http.Request) { r.Method = "POST" }, malformed,
		},
		{"on a handshake by DELETE", []string{"chat, " + offer + b64good}, func(r *http.Request) { r.Method = "DELETE" }, malformed},
		{"an opaque one", []string{"chat, " + offer + b64([]byte("opaque"))}, nil, invalid},
		{"an expired one", []string{"chat, " + offer + b64([]byte(token(header(), claims().with("exp", 1))))}, nil, expired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			request := func() *http.Request {
				r := offering(tt.lines...)
				if tt.edit != nil {
					tt.edit(r)
				}
				return r
			}
			for who, a := range map[string]interface {
				middleware.Authenticator
				middleware.Stripper
			}{"Authenticator": on, "Issuers": issuers} {
				r := request()
				bare := a.Stripped(r)
				_, err := a.Authenticate(r)
				_, stripped := a.Authenticate(bare)
				if outcome(err) != tt.want || outcome(stripped) != tt.want {
					t.Errorf("%s: %s, stripped %s, want %s", who, outcome(err), outcome(stripped), tt.want)
				}
				left := strings.Join(bare.Header["Sec-Websocket-Protocol"], ",")
				if strings.Contains(strings.ToLower(left), offer) {
					t.Errorf("%s: left in the header: %s", who, left)
				}
				if err != nil {
					mustNotContain(t, "the error", err.Error(), good, b64good)
				}
			}
			r := request()
			if off.Stripped(r) != r {
				t.Error("stripped where it is not asked for")
			}
			if _, err := off.Authenticate(r); r.Header.Get("Authorization") == "" && outcome(err) != "nothing" {
				t.Errorf("where it is not asked for: %s", outcome(err))
			}
		})
	}
}

func TestIssuersAgreeOnSubprotocols(t *testing.T) {
	cfg := config()
	cfg.Issuer, cfg.FromSubprotocol = "https://other.example", true
	if _, err := bearer.NewIssuers(newAuthenticator(t, config()), newAuthenticator(t, cfg)); err == nil ||
		!strings.Contains(err.Error(), "FromSubprotocol differs") {
		t.Errorf("got %v", err)
	}
	var zero *bearer.Issuers
	r := offering("chat, " + offer + "YQ")
	if zero.Stripped(r) != r {
		t.Error("the zero Issuers change a request")
	}
}

func FuzzOffered(f *testing.F) {
	cfg := config()
	cfg.FromSubprotocol = true
	a := newAuthenticator(f, cfg)
	good := token(header(), claims())
	for _, s := range []string{"chat, " + offer + b64([]byte(good)), offer, "chat," + offer + "YQ", strings.ToUpper(offer) + "YQ,chat"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := offering(line)
		bare := a.Stripped(r)
		_, whole := a.Authenticate(r)
		_, stripped := a.Authenticate(bare)
		if outcome(whole) != outcome(stripped) {
			t.Errorf("%s, but stripped %s", outcome(whole), outcome(stripped))
		}
		if whole == nil && !strings.Contains(line, b64([]byte(good))) {
			t.Errorf("accepted %q", line)
		}
	})
}
