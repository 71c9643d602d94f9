package bearer

import "time"

// notID are claims of ID tokens alone (OpenID Connect Core 1.0 §2, §3.3.2.11), and those that only
// the ID tokens of a product have.
func notID(more ...string) []Claim {
	list := []Claim{Has("nonce"), Has("at_hash"), Has("c_hash"), Has("s_hash")}
	for _, name := range more {
		list = append(list, Has(name))
	}
	return list
}

// Auth0 is for access tokens of Auth0, in its own format or in that of RFC 9068. The audience is
// the identifier of the API, never a client id. Roles are the permissions of RBAC.
//
// https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles
func Auth0() Profile {
	return Profile{
		Name: "Auth0", Types: []string{"at+jwt", "JWT", ""},
		Require:  []Claim{HasOneOf("azp", "client_id"), HasOneOf("scope", "permissions", "gty", "client_id")},
		Forbid:   notID("sid"), // a reserved claim, in ID tokens and logout tokens
		Optional: []string{"jti"}, ClientIDs: []string{"client_id", "azp"},
		Roles: [][]string{{"permissions"}},
	}
}

// Okta is for access tokens of a custom authorization server of Okta. Those of the org
// authorization server are for Okta alone. Roles are the claim groups, if the server has one.
//
// https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#access-token
func Okta() Profile {
	return Profile{
		Name: "Okta", Types: []string{"", "JWT", "at+jwt", "okta-internal-at+jwt"},
		Require: []Claim{Has("cid"), Has("jti", "AT.*")}, Forbid: notID(), // the jti of an ID token begins with ID.
		ClientIDs: []string{"cid"}, Scopes: []string{"scp"}, ScopeLists: true,
		Roles: [][]string{{"groups"}},
	}
}

// Keycloak is for access tokens of Keycloak. Their aud names this service if an audience mapper
// says so, or if the user has a role of it: add a mapper to the client scope. Roles are those of
// the realm, and those of the client that is named as the audience. Access tokens before Keycloak
// 24 have a nonce.
//
// https://www.keycloak.org/docs/latest/server_admin/#_oidc_token_role_mappings
func Keycloak() Profile {
	return Profile{
		Name: "Keycloak", Types: []string{"JWT", "at+jwt"},
		Require:   []Claim{Has("typ", "Bearer"), Has("azp")}, // ID, Refresh, Logout, DPoP in the others
		Forbid:    []Claim{Has("at_hash"), Has("c_hash"), Has("s_hash")},
		ClientIDs: []string{"azp"},
		Roles:     [][]string{{"realm_access", "roles"}, {"resource_access", "{audience}", "roles"}},
		MaxBytes:  16 << 10,
	}
}

// EntraV2 is for version 2.0 access tokens of Microsoft Entra ID. The audience is the client id
// of the API. A token has scopes, if it is a user's, or application roles; one with neither, which
// any application of the tenant can get, is refused.
//
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
func EntraV2() Profile {
	return Profile{
		Name: "Entra ID", Types: []string{"JWT", "at+jwt"},
		Require: []Claim{Has("ver", "2.0"), Has("azp"), Has("azpacr"), HasOneOf("scp", "roles")}, Forbid: notID(),
		Optional: []string{"jti"}, ClientIDs: []string{"azp"}, Scopes: []string{"scp"},
		Roles: [][]string{{"roles"}}, Tenant: "tid",
		MaxLifetime: 29 * time.Hour, MaxBytes: 16 << 10, // with continuous access evaluation
	}
}

// EntraV1 is EntraV2 for version 1.0 tokens, which an API gets whose accessTokenAcceptedVersion
// is null or 1. The audience is often its application id URI, such as api://….
func EntraV1() Profile {
	p := EntraV2()
	p.Require = []Claim{Has("ver", "1.0"), Has("appid"), Has("appidacr"), HasOneOf("scp", "roles")}
	p.ClientIDs = []string{"appid"}
	return p
}

// Cognito is for access tokens of an Amazon Cognito user pool. They have no aud: set
// Config.Clients to the app clients. Roles are the groups. For an access token with resource
// binding, which has an aud, set Config.Audience as well.
//
// https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
func Cognito() Profile {
	return Profile{
		Name: "Cognito", Types: []string{"", "JWT"},
		Require: []Claim{Has("token_use", "access")}, Forbid: notID(),
		NoAudience: true, Roles: [][]string{{"cognito:groups"}},
	}
}

// Google is for the identity tokens that Google signs for a service account, as Cloud Run,
// Pub/Sub and Cloud Scheduler send them; the audience is the URL of this service. Google calls
// them ID tokens, but they say which service calls, and are made for the service that is called.
// Access tokens of Google cannot be verified by others, and tokens of a sign-in with Google are
// refused: they are for the client alone.
//
// https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
func Google() Profile {
	const client = "*.apps.googleusercontent.com" // the aud and azp of a sign-in
	return Profile{
		Name: "Google", Types: []string{"JWT"},
		Forbid: append(notID("hd", "sid", "auth_time", "acr", "amr", "name", "picture", "preferred_username"),
			Has("aud", client), Has("azp", client)),
		Optional: []string{"jti"}, ClientIDs: []string{"azp"},
	}
}

// Firebase is for the tokens of Firebase Authentication, which calls them ID tokens and has no
// others: a page sends them to its services. The audience is the project's id, the issuer
// https://securetoken.google.com/ and the id.
//
// https://firebase.google.com/docs/auth/admin/verify-id-tokens
func Firebase() Profile {
	return Profile{
		Name: "Firebase", Types: []string{"JWT"},
		Require: []Claim{Has("firebase"), Has("user_id")}, Forbid: notID(),
		Optional: []string{"jti", "client_id"},
	}
}

// Zitadel is for access tokens of Zitadel in the format JWT. The audience is the project's id.
// Roles are those that a scope asks for, or that the project asserts.
//
// https://zitadel.com/docs/apis/openidoauth/claims
func Zitadel() Profile {
	return Profile{
		Name: "Zitadel", Types: []string{"at+jwt", "JWT", ""},
		Require:  []Claim{Has("jti")},
		Forbid:   notID("acr", "amr", "auth_time", "sid", "email_verified"),
		Optional: []string{"client_id"}, ClientIDs: []string{"client_id", "azp"},
		Roles: [][]string{{"urn:zitadel:iam:org:project:roles"}, {"urn:zitadel:iam:org:project:{audience}:roles"}},
	}
}

// Hydra is for access tokens of Ory Hydra and Ory Network with the strategy jwt.
//
// https://www.ory.com/docs/oauth2-oidc/jwt-access-token
func Hydra() Profile {
	return Profile{
		Name: "Hydra", Types: []string{"JWT", "at+jwt"},
		Forbid: notID("rat"), // requested at; and an ID token has no client_id
		Scopes: []string{"scp", "scope"}, ScopeLists: true,
	}
}

// Supabase is for the tokens of Supabase Auth with a signing key that is not symmetric. The
// audience is "authenticated". The keys anon and service_role are refused.
//
// https://supabase.com/docs/guides/auth/jwt-fields
func Supabase() Profile {
	return Profile{
		Name: "Supabase", Types: []string{"JWT"},
		Require: []Claim{Has("session_id"), Has("role", "authenticated"), Has("aal")}, Forbid: notID(),
		Optional: []string{"jti", "client_id"}, Session: "session_id",
		Roles: [][]string{{"role"}, {"app_metadata", "roles"}},
	}
}
