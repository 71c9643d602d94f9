package opening_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/internal/opening"
)

func TestStripSubprotocols(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		lines       []string
		kept, found []string
	}{
		{"none offered", nil, nil, nil},
		{"none of the prefix", []string{"chat, v2.chat"}, []string{"chat, v2.chat"}, nil},
		{"one among others", []string{"v1.chat, k.secret,v2.chat"}, []string{"v1.chat, v2.chat"}, []string{"k.secret"}},
		{"one alone", []string{"k.secret"}, nil, []string{"k.secret"}},
		{
			"a line of its own (RFC 6455 §11.3.4)",
			[]string{"chat", "k.secret", "v2.chat"},
			[]string{"chat", "v2.chat"},
			[]string{"k.secret"},
		},
		{"several", []string{"k.a, k.b", "chat ,\tk.c "}, []string{"chat"}, []string{"k.a", "k.b", "k.c"}},
		{"in capitals", []string{"chat, K.secret"}, []string{"chat"}, []string{"K.secret"}},
		{"behind a no-break space", []string{"chat,\u00a0k.secret"}, []string{"chat"}, []string{"k.secret"}},
		{"the prefix alone", []string{"chat,k."}, []string{"chat"}, []string{"k."}},
		{"the prefix within", []string{"chat.k.x"}, []string{"chat.k.x"}, nil},
		{
			"an element that is not a token stays, to be refused",
			[]string{"k.secret, cha t,,x"},
			[]string{"cha t, , x"},
			[]string{"k.secret"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/ws", nil)
			r.Header.Set("Origin", "https://app.example")
			if tt.lines != nil {
				r.Header["Sec-Websocket-Protocol"] = slices.Clone(tt.lines)
			}
			stripped, found := opening.StripSubprotocols(r, "k.")
			if got := stripped.Header["Sec-Websocket-Protocol"]; !slices.Equal(got, tt.kept) || !slices.Equal(found, tt.found) {
				t.Errorf("kept %q, found %q", got, found)
			}
			if !slices.Equal(r.Header["Sec-Websocket-Protocol"], tt.lines) {
				t.Errorf("the request itself was changed: %q", r.Header)
			}
			if (stripped == r) != (tt.found == nil) || stripped.Header.Get("Origin") != "https://app.example" {
				t.Error("want the same request exactly if none was found, and the other headers in it")
			}
		})
	}
}

// A subprotocol is a token (RFC 6455 §4.1), and a credential does not count as one.
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
		{"elements that are not tokens", []string{"ch@t, a b"}, false},
		{"a ticket", []string{"ticket.x"}, false},
		{"a bearer token in capitals", []string{"BASE64URL.bearer.authorization.securews.x"}, false},
		{"one beside both", []string{"Ticket.x, base64url.bearer.authorization.securews.x, chat"}, true},
		{"a subprotocol whose name begins like a ticket", []string{"tickets"}, true},
	} {
		r := httptest.NewRequest("GET", "/ws", nil)
		r.Header["Sec-Websocket-Protocol"] = tt.lines
		if got := opening.OffersSubprotocol(r); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func FuzzStripSubprotocols(f *testing.F) {
	f.Add("chat, k.secret", "v2.chat")
	f.Add("K.a,k.b,\u00a0k.c", "")
	f.Add(",,", "k.")
	f.Fuzz(func(t *testing.T, a, b string) {
		r := httptest.NewRequest("GET", "/ws", nil)
		r.Header["Sec-Websocket-Protocol"] = []string{a, b}
		stripped, found := opening.StripSubprotocols(r, "k.")
		kept := strings.Join(stripped.Header["Sec-Websocket-Protocol"], ",")
		for element := range strings.SplitSeq(kept, ",") {
			if strings.HasPrefix(strings.ToLower(strings.TrimSpace(element)), "k.") {
				t.Errorf("left: %q", kept)
			}
		}
		if n := strings.Count(a+","+b, ",") + 1; len(found) > 0 && len(stripped.Header["Sec-Websocket-Protocol"]) > 0 &&
			len(found)+strings.Count(kept, ",")+1 != n {
			t.Errorf("%d elements became %q and %q", n, kept, found)
		}
		if again, more := opening.StripSubprotocols(stripped, "k."); again != stripped || more != nil {
			t.Errorf("a second call finds more: %q", more)
		}
	})
}
