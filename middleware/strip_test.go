package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

func TestCutSubprotocols(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		lines     []string
		kept, cut []string
	}{
		{"none offered", nil, nil, nil},
		{"none of the prefix", []string{"chat, v2.chat"}, []string{"chat, v2.chat"}, nil},
		{"one among others", []string{"v1.chat, k.secret,v2.chat"}, []string{"v1.chat, v2.chat"}, []string{"k.secret"}},
		{"one alone", []string{"k.secret"}, nil, []string{"k.secret"}},
		{"a line of its own (RFC 6455 §11.3.4)", []string{"chat", "k.secret", "v2.chat"}, []string{"chat", "v2.chat"}, []string{"k.secret"}},
		{"several", []string{"k.a, k.b", "chat ,\tk.c "}, []string{"chat"}, []string{"k.a", "k.b", "k.c"}},
		{"in capitals", []string{"chat, K.secret"}, []string{"chat"}, []string{"K.secret"}},
		{"behind a no-break space", []string{"chat,\u00a0k.secret"}, []string{"chat"}, []string{"k.secret"}},
		{"the prefix alone", []string{"chat,k."}, []string{"chat"}, []string{"k."}},
		{"the prefix within", []string{"chat.k.x"}, []string{"chat.k.x"}, nil},
		{"what is no token stays to be refused", []string{"k.secret, cha t,,x"}, []string{"cha t, , x"}, []string{"k.secret"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := requestWith("GET", "/ws", "Origin", "https://app.example")
			if tt.lines != nil {
				r.Header["Sec-Websocket-Protocol"] = slices.Clone(tt.lines)
			}
			rest, cut := middleware.CutSubprotocols(r, "k.")
			if got := rest.Header["Sec-Websocket-Protocol"]; !slices.Equal(got, tt.kept) || !slices.Equal(cut, tt.cut) {
				t.Errorf("kept %q, cut %q", got, cut)
			}
			if !slices.Equal(r.Header["Sec-Websocket-Protocol"], tt.lines) {
				t.Errorf("the request itself was changed: %q", r.Header)
			}
			if (rest == r) != (tt.cut == nil) || rest.Header.Get("Origin") != "https://app.example" {
				t.Error("it is the same request exactly where nothing was cut, with all else in it")
			}
		})
	}
}

// A real subprotocol is a token (RFC 6455 §4.1) and no credential.
func TestOffersSubprotocol(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		lines []string
		want  bool
	}{
		{"none offered", nil, false},
		{"one", []string{"chat"}, true},
		{"one among empty elements", []string{" , ,\tchat,"}, true},
		{"one in the second line", []string{"", "chat"}, true},
		{"empty elements", []string{" ,\t,", ""}, false},
		{"what is no token", []string{"ch@t, a b"}, false},
		{"a ticket", []string{"ticket.x"}, false},
		{"a bearer token in capitals", []string{"BASE64URL.bearer.authorization.securews.x"}, false},
		{"one beside both", []string{"Ticket.x, base64url.bearer.authorization.securews.x, chat"}, true},
		{"one that begins like a ticket", []string{"tickets"}, true},
	} {
		r := requestWith("GET", "/ws")
		r.Header["Sec-Websocket-Protocol"] = tt.lines
		if got := middleware.OffersSubprotocol(r); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// hidden is a credential in a header that nobody else shall see.
type hidden struct{ headerCredential }

type hiddenKey struct{}

func (h *hidden) Stripped(r *http.Request) *http.Request {
	secret := r.Header.Get(h.header)
	if secret == "" {
		return r
	}
	r = r.Clone(context.WithValue(r.Context(), hiddenKey{}, secret))
	r.Header.Del(h.header)
	return r
}

func (h *hidden) Authenticate(r *http.Request) (middleware.Principal, error) {
	if secret, ok := r.Context().Value(hiddenKey{}).(string); ok {
		r = requestWith("GET", "/", h.header, secret)
	}
	return h.headerCredential.Authenticate(r)
}

// Auth.Handler and Auth.Strip pass on no credential that a Stripper knows, and it counts
// all the same, beside another, too.
func TestAuthStrips(t *testing.T) {
	t.Parallel()
	auth := mustAuth(t, &headerCredential{header: "X-Bearer"}, &hidden{headerCredential{header: "X-Hidden"}})
	spy := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Hidden") != "" {
				t.Error("the next handler sees the credential")
			}
			next.ServeHTTP(w, r)
		})
	}
	for name, layers := range map[string][]middleware.Middleware{
		"Handler":             {auth.Handler, spy},
		"Strip, then Handler": {auth.Strip, spy, auth.Handler, spy},
		"Strip twice":         {auth.Strip, auth.Strip, spy, auth.Handler, spy},
	} {
		h := middleware.Chain(http.HandlerFunc(whoami), layers...)
		for _, tt := range []struct {
			header []string
			status int
			reason string
		}{
			{[]string{"X-Hidden", "ann"}, 200, "X-Hidden:ann"},
			{[]string{"X-Hidden", "bad"}, 401, "credential_invalid"},
			{[]string{"X-Hidden", "ann", "X-Bearer", "ann"}, 400, "multiple_credentials"},
			{[]string{"X-Bearer", "ann"}, 200, "X-Bearer:ann"},
			{nil, 401, "no_credential"},
		} {
			if status, reason := answer(t, h, requestWith("GET", "/", tt.header...)); status != tt.status || reason != tt.reason {
				t.Errorf("%s: %v: %d %s, want %d %s", name, tt.header, status, reason, tt.status, tt.reason)
			}
		}
	}
	var zero *middleware.Auth
	r := httptest.NewRequest("GET", "/", nil)
	if zero.Stripped(r) != r || new(middleware.Auth).Stripped(r) != r {
		t.Error("the zero Auth changes a request")
	}
}

func FuzzCutSubprotocols(f *testing.F) {
	f.Add("chat, k.secret", "v2.chat")
	f.Add("K.a,k.b,\u00a0k.c", "")
	f.Add(",,", "k.")
	f.Fuzz(func(t *testing.T, a, b string) {
		r := httptest.NewRequest("GET", "/ws", nil)
		r.Header["Sec-Websocket-Protocol"] = []string{a, b}
		rest, cut := middleware.CutSubprotocols(r, "k.")
		kept := strings.Join(rest.Header["Sec-Websocket-Protocol"], ",")
		for element := range strings.SplitSeq(kept, ",") {
			if strings.HasPrefix(strings.ToLower(strings.TrimSpace(element)), "k.") {
				t.Errorf("left: %q", kept)
			}
		}
		if n := strings.Count(a+","+b, ",") + 1; len(cut) > 0 && len(rest.Header["Sec-Websocket-Protocol"]) > 0 && len(cut)+strings.Count(kept, ",")+1 != n {
			t.Errorf("%d elements became %q and %q", n, kept, cut)
		}
		if again, more := middleware.CutSubprotocols(rest, "k."); again != rest || more != nil {
			t.Errorf("there is more to cut: %q", more)
		}
	})
}
