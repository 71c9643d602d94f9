package bearer_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware/bearer"
)

// guides are the configurations of docs/providers.md, each with a token that it accepts and with
// tokens of the same issuer that it refuses. The products without a Profile in
// this package come first, with tokens from clerk.com/docs/guides/sessions/session-tokens,
// docs.logto.io/authorization, kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin
// and docs.github.com/en/actions/reference/security/oidc.
func guides() []guide {
	of := func(cfg bearer.Config, p product) guide {
		g := guide{
			cfg: cfg, header: p.header, good: p.access,
			refused: []object{p.id.with("aud", p.audience), p.access.with("aud", "another")},
		}
		switch p.name {
		case "Firebase":
			g.refused = g.refused[1:] // it has ID tokens only
		case "Cognito":
			g.refused[1] = p.access.with("client_id", "another")
		}
		return g
	}
	jwt := object{"alg": "RS256", "typ": "JWT"}
	clerk := object{
		"azp": "https://example.com", "exp": 0, "fva": []int{7, -1}, "iat": 0, "iss": "https://clerk.example.com", "nbf": 0,
		"sid": "sess_123", "sub": "user_123", "v": 2, "sts": "active", "pla": "u:free", "fea": "o:dashboard",
		"o": object{"id": "org_123", "slg": "acme", "rol": "admin", "per": "read,manage", "fpm": "3"},
	}
	logto := object{
		"jti": "VovNyqJ5_tuYac89eTbpF", "sub": "rkxl1ops7gs1", "iat": 0, "exp": 0, "scope": "read:products", "client_id": "lmqcoxgz7gh1",
		"iss": "https://shop.logto.app/oidc", "aud": "https://api.shop.example", "roles": []string{"editor"},
	}
	pod := object{
		"aud": []string{"https://api.shop.example"}, "exp": 0, "iat": 0, "nbf": 0, "jti": "ea28ed49-2e11-4280-9ec5-bc3d1d84661a",
		"iss": "https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE",
		"sub": "system:serviceaccount:shop:orders",
		"kubernetes.io": object{
			"namespace": "shop", "node": object{"name": "n1", "uid": "u1"}, "pod": object{"name": "orders-1", "uid": "u2"},
			"serviceaccount": object{"name": "orders", "uid": "u3"}, "warnafter": 1729605240,
		},
	}
	job := object{
		"jti": "example-id", "sub": "repo:octo-org/octo-repo:environment:prod", "environment": "prod", "aud": "https://api.shop.example",
		"ref": "refs/heads/main", "sha": "example-sha", "repository": "octo-org/octo-repo",
		"repository_owner": "octo-org", "actor_id": "12",
		"repository_visibility": "private", "repository_id": "74",
		"repository_owner_id": "65", "run_id": "example-run-id", "actor": "octocat",
		"event_name": "workflow_dispatch", "ref_type": "branch", "runner_environment": "github-hosted",
		"job_workflow_ref": "octo-org/octo-automation/.github/workflows/deploy.yml@refs/heads/main",
		"iss":              "https://token.actions.githubusercontent.com", "nbf": 0, "exp": 0, "iat": 0,
	}
	return []guide{
		{cfg: guideClerk(), header: jwt.with("cat", "cl_B7d4PD111AAA"), good: clerk, refused: []object{
			clerk.with("azp", "https://evil.example"), clerk.without("azp"),
			clerk.with("sts", "pending"), clerk.with("v", 1), clerk.without("fva"),
		}},
		{
			cfg: guideLogto(), header: jwt.with("typ", "at+jwt"),
			good: logto, refused: []object{logto.with("aud", "https://other.example"), logto.without("client_id")},
		},
		{cfg: guideKubernetes(), header: object{"alg": "RS256"}, good: pod, refused: []object{
			pod.with("sub", "system:serviceaccount:other:orders"),
			pod.with("aud", "https://kubernetes.default.svc"), pod.without("kubernetes.io"),
		}},
		{cfg: guideGitHubActions(), header: jwt.with("x5t", "example-thumbprint"), good: job, refused: []object{
			job.with("repository", "octo-org/other"), job.with("repository_owner_id", "66"), job.with("event_name", "pull_request_target"),
			job.with("job_workflow_ref", "octo-org/octo-repo/.github/workflows/mine.yml@refs/heads/main"),
			job.with("aud", "https://github.com/octo-org"),
		}},
		of(guideAuth0(), auth0()),
		of(guideOkta(), okta()),
		of(guideKeycloak(), keycloak()),
		of(guideEntraID(), entraV2()),
		of(guideEntraIDManyTenants(), entraV2()),
		of(guideEntraIDVersion1(), entraV1()),
		of(guideCognito(), cognito()),
		of(guideGoogle(), google()),
		of(guideFirebase(), firebase()),
		of(guideZitadel(), zitadel()),
		of(guideOryHydra(), hydra()),
		of(guideSupabase(), supabase()),
	}
}

type guide struct {
	cfg     bearer.Config
	header  object
	good    object
	refused []object
}

type noNetwork struct{}

func (noNetwork) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no network")
}

func TestConfigurationsOfTheGuide(t *testing.T) {
	t.Parallel()
	for _, g := range guides() {
		t.Run(fmt.Sprint(g.cfg.Profile.Name, " ", g.cfg.Issuer), func(t *testing.T) {
			t.Parallel()
			literally := g.cfg
			literally.HTTPClient = &http.Client{Transport: noNetwork{}}
			_ = newAuthenticator(t, literally).Close()

			g.cfg.Discovery, g.cfg.JWKS, g.cfg.Keys = false, "", goodKeys()
			a := newAuthenticator(t, g.cfg)
			p, err := a.Authenticate(request(signed(g.header, timed(g.good))))
			if err != nil || p.Subject != g.good["sub"] {
				t.Errorf("%q, %v", p.Subject, err)
			}
			for _, c := range g.refused {
				if _, err := a.Authenticate(request(signed(g.header, timed(c)))); outcome(err) != invalid {
					t.Errorf("%s: %s", outcome(err), c)
				}
			}
		})
	}
}

func TestExamplesOfTheGuideBecomeRoles(t *testing.T) {
	t.Parallel()
	want := map[string]string{"Clerk": "admin", "Logto": "editor", "GitHub Actions": "prod"}
	for _, g := range guides() {
		if role := want[g.cfg.Profile.Name]; role != "" {
			g.cfg.Discovery, g.cfg.JWKS, g.cfg.Keys = false, "", goodKeys()
			p, err := newAuthenticator(t, g.cfg).Authenticate(request(signed(g.header, timed(g.good))))
			if err != nil || !slices.Equal(p.Roles, []string{role}) {
				t.Errorf("%s: %q, %v", g.cfg.Profile.Name, p.Roles, err)
			}
		}
	}
}

// The blocks of Go in the guide are the configurations that the tests run.
func TestTheGuideShowsTheseConfigurations(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	const file = "guide_configs_test.go"
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	files := gotoken.NewFileSet()
	parsed, err := parser.ParseFile(files, file, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	var written []string
	for _, d := range parsed.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			result := fn.Body.List[0].(*ast.ReturnStmt).Results[0]
			literal := string(source[files.Position(result.Pos()).Offset:files.Position(result.End()).Offset])
			written = append(written, strings.ReplaceAll(literal, "\n\t", "\n"))
		}
	}
	var shown []string
	for _, block := range regexp.MustCompile("(?s)```go\nbearer.Config(.*?)\n```\n").FindAllStringSubmatch(string(text), -1) {
		shown = append(shown, "bearer.Config"+block[1])
	}
	if len(written) != len(guides()) {
		t.Errorf("%d configurations, and %d are tested", len(written), len(guides()))
	}
	for _, w := range written {
		if !slices.Contains(shown, w) {
			t.Errorf("the guide does not show\n%s", w)
		}
	}
	if len(shown) != len(written) {
		t.Errorf("the guide shows %d configurations, and there are %d", len(shown), len(written))
	}
}
