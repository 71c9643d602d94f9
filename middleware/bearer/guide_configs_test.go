package bearer_test

import "github.com/securews/securews/middleware/bearer"

// The configurations of docs/providers.md: a test compares the text.

func guideAuth0() bearer.Config {
	return bearer.Config{
		Profile:   bearer.Auth0(),
		Issuer:    "https://my-domain.auth0.com/", // with the slash
		Audience:  []string{"https://example.com/health-api"},
		Discovery: true,
	}
}

func guideOkta() bearer.Config {
	return bearer.Config{
		Profile:   bearer.Okta(),
		Issuer:    "https://dev-1.okta.com/oauth2/default",
		Audience:  []string{"api://default"},
		Discovery: true,
	}
}

func guideKeycloak() bearer.Config {
	return bearer.Config{
		Profile:   bearer.Keycloak(),
		Issuer:    "https://id.example/realms/shop",
		Audience:  []string{"shop-api"},
		Discovery: true,
	}
}

func guideEntraID() bearer.Config {
	return bearer.Config{
		Profile:    bearer.EntraV2(),
		Issuer:     "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
		Audience:   []string{"6e74172b-be56-4843-9ff4-e66a39bb12e3"}, // the API's application (client) id
		Discovery:  true,
		Attributes: []string{"oid"},
	}
}

func guideEntraIDManyTenants() bearer.Config {
	return bearer.Config{
		Profile:  bearer.EntraV2(),
		Issuer:   "https://login.microsoftonline.com/{tenant}/v2.0",
		Tenants:  []string{"72f988bf-86f1-41af-91ab-2d7cd011db47"}, // or TenantAllowed, a function
		Audience: []string{"6e74172b-be56-4843-9ff4-e66a39bb12e3"},
		JWKS:     "https://login.microsoftonline.com/common/discovery/v2.0/keys",
	}
}

func guideEntraIDVersion1() bearer.Config {
	return bearer.Config{
		Profile:  bearer.EntraV1(),
		Issuer:   "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/",
		Audience: []string{"api://ef1da9d4-ff77-4c3e-a005-840c3f830745", "ef1da9d4-ff77-4c3e-a005-840c3f830745"},
		JWKS:     "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/discovery/keys",
	}
}

func guideCognito() bearer.Config {
	return bearer.Config{
		Profile:   bearer.Cognito(),
		Issuer:    "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_example",
		Clients:   []string{"57cbishk4j24pabc1234567890"}, // the app clients
		Discovery: true,
	}
}

func guideGoogle() bearer.Config {
	return bearer.Config{
		Profile:    bearer.Google(),
		Issuer:     "https://accounts.google.com",
		Audience:   []string{"https://example.com"},   // the URL of this service
		Clients:    []string{"113774264463038321964"}, // the unique ids of the service accounts
		Discovery:  true,
		Attributes: []string{"email"},
	}
}

func guideFirebase() bearer.Config {
	return bearer.Config{
		Profile:   bearer.Firebase(),
		Issuer:    "https://securetoken.google.com/shop-1",
		Audience:  []string{"shop-1"}, // the project's id
		Discovery: true,
	}
}

func guideZitadel() bearer.Config {
	return bearer.Config{
		Profile:   bearer.Zitadel(),
		Issuer:    "https://shop-1.zitadel.cloud",
		Audience:  []string{"69234237810729019"}, // the project's id
		Discovery: true,
	}
}

func guideOryHydra() bearer.Config {
	return bearer.Config{
		Profile:   bearer.Hydra(),
		Issuer:    "https://shop-1.projects.oryapis.com",
		Audience:  []string{"https://api.my-cloud.com/user"},
		Discovery: true,
	}
}

func guideSupabase() bearer.Config {
	return bearer.Config{
		Profile:  bearer.Supabase(),
		Issuer:   "https://abcdefghij.supabase.co/auth/v1",
		Audience: []string{"authenticated"},
		JWKS:     "https://abcdefghij.supabase.co/auth/v1/.well-known/jwks.json",
	}
}

func guideClerk() bearer.Config {
	return bearer.Config{
		Profile: bearer.Profile{
			Name:       "Clerk",
			Types:      []string{"JWT"},
			Require:    []bearer.Claim{bearer.Has("sid"), bearer.Has("fva"), bearer.Has("v", "2")},
			Forbid:     []bearer.Claim{bearer.Has("sts", "pending"), bearer.Has("nonce"), bearer.Has("at_hash")},
			Optional:   []string{"jti"},
			ClientIDs:  []string{"azp"}, // the origin of the page
			Roles:      [][]string{{"o", "rol"}},
			NoAudience: true,
		},
		Issuer:  "https://clerk.example.com",
		Clients: []string{"https://example.com"},
		JWKS:    "https://clerk.example.com/.well-known/jwks.json",
	}
}

func guideLogto() bearer.Config {
	return bearer.Config{
		Profile:   bearer.Profile{Name: "Logto", Roles: [][]string{{"roles"}}}, // RFC 9068, and a custom claim
		Issuer:    "https://shop.logto.app/oidc",
		Audience:  []string{"https://api.shop.example"},
		Discovery: true,
	}
}

func guideKubernetes() bearer.Config {
	return bearer.Config{
		Profile: bearer.Profile{
			Name:     "Kubernetes",
			Types:    []string{"", "JWT"},
			Require:  []bearer.Claim{bearer.Has("kubernetes.io"), bearer.Has("sub", "system:serviceaccount:shop:*")},
			Optional: []string{"jti", "client_id"},
		},
		Issuer:    "https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE",
		Audience:  []string{"https://api.shop.example"},
		Discovery: true,
	}
}

func guideGitHubActions() bearer.Config {
	return bearer.Config{
		Profile: bearer.Profile{
			Name:  "GitHub Actions",
			Types: []string{"JWT"},
			Require: []bearer.Claim{
				bearer.Has("repository_owner_id", "65"), // the number stays if the name changes hands
				bearer.Has("job_workflow_ref", "octo-org/octo-automation/.github/workflows/deploy.yml@*"),
			},
			Forbid:    []bearer.Claim{bearer.Has("event_name", "pull_request_target")},
			ClientIDs: []string{"repository"},
			Roles:     [][]string{{"environment"}},
		},
		Issuer:    "https://token.actions.githubusercontent.com",
		Audience:  []string{"https://api.shop.example"},
		Clients:   []string{"octo-org/octo-repo"},
		Discovery: true,
	}
}
