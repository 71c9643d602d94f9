package bearer_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// An endpoint that writes the token into its answer, wherever it likes, does not bring it into the
// log, an error, a principal or the answer to the client.
func TestATokenThatTheEndpointRepeats(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"iss", "sub", "aud", "client_id", "scope", "token_type", "token_use", "exp", "nbf", "jti", "sid", "cnf", "roles", opaque,
	} {
		for what, value := range map[string]any{"a string": opaque, "a list": []string{opaque}, "an object": object{opaque: opaque}} {
			var log safeBuffer
			i := newTokenIssuer()
			cfg := introspection(i)
			cfg.Log, cfg.Roles = slog.New(slog.NewTextHandler(&log, nil)), [][]string{{"roles", "within"}}
			i.issues(opaque, members().with(name, value))
			a := newIntrospector(t, cfg)
			_, err := a.Authenticate(request(opaque))
			if err != nil {
				mustNotContain(t, name+" as "+what, err.Error()+fmt.Sprintf("%+v %#v", err, err)+log.String(), opaque, opaque[:12])
			}
		}
	}
	for what, ill := range map[string]http.HandlerFunc{
		"not JSON":       says(opaque),
		"a status":       saysStatus(500, opaque),
		"active":         says(object{"active": opaque}.String()),
		"a content type": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", opaque) },
		"a content coding": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", opaque)
			says("{}")(w, r)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/"+opaque, http.StatusFound) },
	} {
		var log safeBuffer
		i := newTokenIssuer()
		cfg := introspection(i)
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		i.becomes(ill)
		_, err := newIntrospector(t, cfg).Authenticate(request(opaque))
		if outcome(err) != unavailable {
			t.Errorf("%s: %s", what, outcome(err))
		}
		mustNotContain(t, what, fmt.Sprintf("%v %+v", err, err)+log.String(), opaque, opaque[:12], clientSecret)
	}
}

// PHP writes "/" as "\/" into JSON, .NET "+" as "\u002B", and some write a part of the token or the
// form that they got. None of it is shown (ASVS 16.2.5).
func TestATokenThatTheEndpointRepeatsInAnotherSpelling(t *testing.T) {
	t.Parallel()
	const first, last = "hS/x+", "efghijklmnopqrstuvwxyz01"
	for _, repeated := range []string{
		`hS\/x+` + last, `hS/x\u002B` + last, last, "token=hS%2Fx%2B" + last, "..." + last[4:], "hS/x+" + last,
	} {
		for _, answer := range []string{
			`{"active":true,"token_type":"` + repeated + `"}`,
			`{"active":true,"token_type":"Bearer","sub":"x","aud":["` + repeated + `"]}`,
			`{"active":["` + repeated + `"]}`,
			`{"active":true,"token_type":"Bearer","sub":"x","scope":["` + repeated + `"]}`,
		} {
			var log safeBuffer
			i := newTokenIssuer()
			i.becomes(says(answer))
			cfg := introspection(i)
			cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
			_, err := newIntrospector(t, cfg).Authenticate(request(first + last))
			if err == nil {
				t.Fatal(answer)
			}
			mustNotContain(t, answer, fmt.Sprintf("%v %+v", err, err)+log.String(), last[4:16])
		}
	}
}

// A principal shows no token in any format, and the client reads nothing of the cause.
func TestNothingShowsTheToken(t *testing.T) {
	t.Parallel()
	i := newTokenIssuer()
	i.issues(opaque, members())
	a := newIntrospector(t, introspection(i))
	p, err := a.Authenticate(request(opaque))
	if err != nil {
		t.Fatal(err)
	}
	var log safeBuffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "p", p, "q", &p)
	mustNotContain(t, "the log", log.String(), opaque, p.SealedToken, p.TokenHandle)
	stored, _ := json.Marshal(p)
	mustNotContain(t, "the principal", fmt.Sprintf("%v %+v %#v", p, p, p)+string(stored), opaque, b64([]byte(opaque)))
	auth, err := middleware.NewAuth(a)
	if err != nil {
		t.Fatal(err)
	}
	i.becomes(saysStatus(500, "secret"))
	for _, tok := range []string{"unknown", opaque + "x"} {
		w := httptest.NewRecorder()
		auth.Handler(http.NotFoundHandler()).ServeHTTP(w, request(tok))
		if w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d, %v", w.Code, w.Header())
		}
		mustNotContain(t, "the answer", w.Body.String()+fmt.Sprint(w.Header()), tok, issuer, "secret", "introspect")
	}
}

// A principal with the SealedToken, TokenHandle or Issuer of another is not asked about as that other.
func TestSealedTokensThatAreSwapped(t *testing.T) {
	t.Parallel()
	i := newTokenIssuer()
	key := make([]byte, 32)
	principals := map[string]middleware.Principal{}
	introspectors := map[string]*bearer.Introspector{}
	i.issues("no-jti", members().without("iss").without("jti"))
	for _, iss := range []string{issuer, "https://other.example"} {
		cfg := introspection(i)
		cfg.Issuer, cfg.Key = iss, key
		introspectors[iss] = newIntrospector(t, cfg)
		for _, sub := range []string{"alice", "eve"} {
			i.issues(sub, members().with("iss", iss).with("sub", sub).with("jti", sub))
			p, err := introspectors[iss].Authenticate(request(sub))
			if err != nil {
				t.Fatal(err)
			}
			principals[sub+" at "+iss] = p
		}
	}
	alice, eve, foreign := principals["alice at "+issuer], principals["eve at "+issuer], principals["alice at https://other.example"]
	for _, tt := range []struct {
		name   string
		change func(p *middleware.Principal)
		want   string
	}{
		{"the sealed token of another", func(p *middleware.Principal) { p.SealedToken = eve.SealedToken }, expired},
		{
			"the sealed token of the same subject at another issuer",
			func(p *middleware.Principal) { p.SealedToken = foreign.SealedToken }, expired,
		},
		{"the handle of another", func(p *middleware.Principal) { p.TokenHandle = eve.TokenHandle }, expired},
		{"both of another", func(p *middleware.Principal) { p.TokenHandle, p.SealedToken = eve.TokenHandle, eve.SealedToken }, unavailable},
	} {
		p := alice
		tt.change(&p)
		i.issues("eve", members().with("sub", "eve").with("jti", "eve"))
		if err := introspectors[issuer].Alive(t.Context(), p); outcome(err) != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, outcome(err), tt.want)
		}
	}
	p, err := introspectors[issuer].Authenticate(request("no-jti")) // its handle is that of the token alone
	if err != nil {
		t.Fatal(err)
	}
	p.Issuer = "https://other.example"
	if err := introspectors[p.Issuer].Alive(t.Context(), p); outcome(err) != expired {
		t.Errorf("the name of another issuer: %s", outcome(err))
	}
}

// RFC 8705 §3.2: a token that is bound to a certificate comes over a connection with it.
func TestAnOpaqueTokenOfACertificate(t *testing.T) {
	t.Parallel()
	mine, other := []byte("my certificate"), []byte("another")
	i := newTokenIssuer()
	i.issues(opaque, members().with("cnf", object{"x5t#S256": thumbprint(mine)}))
	a := newIntrospector(t, introspection(i))
	state := func(raw []byte) *tls.ConnectionState {
		return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: raw}}}
	}
	for name, tt := range map[string]struct {
		state *tls.ConnectionState
		want  string
	}{
		"with it": {state(mine), "accepted"}, "with another": {state(other), invalid}, "without": {nil, invalid},
	} {
		r := request(opaque)
		r.TLS = tt.state
		p, err := a.Authenticate(r)
		if outcome(err) != tt.want || err == nil && p.Binding.CertificateSHA256 != thumbprint(mine) {
			t.Errorf("%s: %s, %+v", name, outcome(err), p.Binding)
		}
	}
}

// With FromSubprotocol an opaque token may stand among the subprotocols, and is stripped.
func TestAnOpaqueTokenInASubprotocol(t *testing.T) {
	t.Parallel()
	i := newTokenIssuer()
	i.issues(opaque, members())
	for _, on := range []bool{true, false} {
		cfg := introspection(i)
		cfg.FromSubprotocol = on
		a := newIntrospector(t, cfg)
		r := httptest.NewRequest("GET", "https://api.example/ws", nil)
		for name, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
			"Sec-Websocket-Protocol": "chat, base64url.bearer.authorization.securews." + b64([]byte(opaque)),
		} {
			r.Header.Set(name, value)
		}
		stripped := a.Stripped(r)
		want := map[bool]string{true: "accepted", false: "nothing"}[on]
		if _, err := a.Authenticate(stripped); outcome(err) != want {
			t.Errorf("on %v: %s", on, outcome(err))
		}
		if left := stripped.Header.Get("Sec-Websocket-Protocol"); on && left != "chat" {
			t.Errorf("left %q", left)
		}
	}
}

func TestAllocationsOfOpaqueTokens(t *testing.T) {
	if racing {
		t.Skip("allocations are not counted under the race detector")
	}
	i := newTokenIssuer()
	i.issues(opaque, members())
	cfg := introspection(i)
	cfg.CacheFor = 60e9
	cfg.Revocations = middleware.NewRevocations()
	a := newIntrospector(t, cfg)
	all, err := bearer.NewIssuers(newAuthenticator(t, config()), a)
	if err != nil {
		t.Fatal(err)
	}
	r := request(opaque)
	for name, x := range map[string]middleware.Authenticator{"an Introspector": a, "Issuers": all} {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := x.Authenticate(r); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: a token seen before: %v allocations", name, n)
		}
	}
}

// FuzzIntrospection: a token is accepted only if the answer is strict JSON with active true, for this
// issuer, audience and subject; any other answer is 401 or 503.
func FuzzIntrospection(f *testing.F) {
	good := members().with("active", true)
	for _, body := range []string{
		good.String(), good.without("exp").String(), good.with("active", "true").String(),
		good.with("aud", []string{"a", audience}).String(),
		`{"active":false}`, `{"active":false,` + good.String()[1:], good.String() + "x", "", "null", "[]", `{"active":true}`,
		strings.Replace(good.String(), "active", `\u0061ctive`, 1),
		good.with("cnf", object{"jkt": "x"}).String(), good.with("scope", "a  b").String(),
		good.with("sub", nil).String(), good.with("exp", 1e300).String(),
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		i := newTokenIssuer()
		i.becomes(says(body))
		p, err := newIntrospector(t, introspection(i)).Authenticate(request(opaque))
		switch got := outcome(err); got {
		case "accepted":
			var lenient map[string]any
			if json.Unmarshal([]byte(body), &lenient) != nil || lenient["active"] != true || lenient["sub"] != p.Subject ||
				p.Subject == "" || p.Issuer != issuer || p.SealedToken == "" {
				t.Fatalf("accepted as %+v: %q", p, body)
			}
		case invalid, expired, unavailable:
		default:
			t.Fatalf("%s: %q", got, body)
		}
	})
}
