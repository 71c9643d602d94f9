package bearer_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// Claims of every type can be read, in lists and objects too, without another look at the token.
func TestKeptClaims(t *testing.T) {
	type realm struct {
		Roles []string
		Units []struct{ ID int }
	}
	cfg := config()
	cfg.Claims = []string{"text", "number", "big", "flag", "list", "realm", "null", "absent", "https://app.example/tenant", "sub"}
	a := newAuthenticator(t, cfg)
	p, err := a.Authenticate(request(token(header(), claims().
		with("text", `["admin"]`).with("number", 1.5).with("big", json.Number("9007199254740993")).with("flag", true).
		with("list", []string{"a", "b"}).with("realm", json.RawMessage(`{"Roles": ["x"], "Units": [{"ID": 7}]}`)).
		with("null", nil).with("https://app.example/tenant", "t1").with("other", "not kept"))))
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]func() (any, bool, error){
		"text":                       of[string](p, "text"),
		"number":                     of[float64](p, "number"),
		"big":                        of[int64](p, "big"),
		"flag":                       of[bool](p, "flag"),
		"list":                       of[[]string](p, "list"),
		"realm":                      of[realm](p, "realm"),
		"https://app.example/tenant": of[string](p, "https://app.example/tenant"),
		"sub":                        of[string](p, "sub"),
	} {
		want := map[string]any{
			"text": `["admin"]`, "number": 1.5, "big": int64(9007199254740993), "flag": true, "list": []string{"a", "b"},
			"realm": realm{[]string{"x"}, []struct{ ID int }{{7}}}, "https://app.example/tenant": "t1", "sub": "alice",
		}[name]
		if value, ok, err := got(); !ok || err != nil || !reflect.DeepEqual(value, want) {
			t.Errorf("%s is %v, %v, %v; want %v", name, value, ok, err, want)
		}
	}
	for _, name := range []string{"null", "absent"} {
		if value, ok, err := of[string](p, name)(); ok || err != nil {
			t.Errorf("%s is %v, %v, %v", name, value, ok, err)
		}
	}
	if len(p.Claims) != len(cfg.Claims) {
		t.Errorf("kept %v", p.Claims)
	}
}

// ASVS 1.5.2: a text that looks like a list is no list, and a claim that is not kept is not absent.
func TestAClaimOfAnotherTypeIsAnError(t *testing.T) {
	cfg := config()
	cfg.Claims = []string{"roles"}
	a := newAuthenticator(t, cfg)
	p, err := a.Authenticate(request(token(header(), claims().with("roles", `["admin"]`))))
	if err != nil {
		t.Fatal(err)
	}
	if value, ok, err := of[[]string](p, "roles")(); ok || err == nil || len(value.([]string)) > 0 ||
		!strings.Contains(err.Error(), `claim "roles"`) {
		t.Errorf("a text is the list %v, %v, %v", value, ok, err)
	}
	if _, ok, err := of[string](p, "tenant")(); ok || err == nil || !strings.Contains(err.Error(), "bearer.Config.Claims") {
		t.Errorf("a claim that is not kept: %v, %v", ok, err)
	}
}

func of[T any](p middleware.Principal, name string) func() (any, bool, error) {
	return func() (any, bool, error) { return wide(middleware.ClaimKey[T](name).Of(p)) }
}

func wide[T any](value T, ok bool, err error) (any, bool, error) { return value, ok, err }

// A handler decides by a claim that is not a text.
func ExampleConfig_claims() {
	const verified = middleware.ClaimKey[bool]("email_verified")

	cfg := config() // of the tests: issuer, audience and keys
	cfg.Claims = []string{string(verified)}
	tokens, err := bearer.New(cfg)
	if err != nil {
		panic(err)
	}
	defer tokens.Close()
	auth, err := middleware.NewAuth(tokens)
	if err != nil {
		panic(err)
	}
	h := auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.FromContext(r.Context())
		yes, there, err := verified.Of(p)
		fmt.Println(yes, there, err)
	}))
	h.ServeHTTP(nil, request(token(header(), claims().with("email_verified", true))))
	h.ServeHTTP(nil, request(token(header(), claims().with("jti", "2"))))
	// Output:
	// true true <nil>
	// false false <nil>
}
