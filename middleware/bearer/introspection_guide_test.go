package bearer_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware/bearer"
)

func guideOpaque() bearer.IntrospectionConfig {
	return bearer.IntrospectionConfig{
		Issuer:       "https://shop-1.zitadel.cloud",
		Discovery:    true, // finds the endpoint
		ClientID:     "298765432109876543@shop",
		ClientSecret: os.Getenv("INTROSPECTION_SECRET"),
		Audience:     []string{"69234237810729019"}, // the project's id
		Roles:        [][]string{{"urn:zitadel:iam:org:project:roles"}},
	}
}

// The guide shows this configuration. It accepts the answer that the product documents
// (zitadel.com/docs/apis/openidoauth/endpoints).
func TestTheGuideToOpaqueTokens(t *testing.T) {
	t.Setenv("INTROSPECTION_SECRET", clientSecret)
	text, err := os.ReadFile("../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("introspection_guide_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, literal, _ := strings.Cut(string(source), "\treturn ")
	literal, _, _ = strings.Cut(literal, "\n\t}\n")
	if shown := "```go\n" + strings.ReplaceAll(literal, "\n\t", "\n") + "\n}\n```\n"; !strings.Contains(string(text), shown) {
		t.Errorf("the guide does not show\n%s", shown)
	}
	if _, err := bearer.NewIntrospector(guideOpaque()); err != nil {
		t.Error(err)
	}

	i := newTokenIssuer()
	i.issues(opaque, members().with("iss", "https://shop-1.zitadel.cloud").with("aud", []string{"69234237810729234", "69234237810729019"}).
		with("urn:zitadel:iam:org:project:roles", object{"admin": object{"1782": "acme.ch"}}))
	cfg, here := guideOpaque(), introspection(i)
	cfg.Discovery, cfg.Endpoint, cfg.HTTPClient, cfg.ClientID = false, here.Endpoint, here.HTTPClient, clientID
	p, err := newIntrospector(t, cfg).Authenticate(request(opaque))
	if err != nil || !slices.Equal(p.Roles, []string{"admin"}) {
		t.Errorf("%q, %v", p.Roles, err)
	}
}
