package bearer_test

import "github.com/securews/securews/middleware/bearer"

// product is an identity provider: its Profile, and its tokens, built claim by claim from its
// public documentation. The times are filled in by timed, the kid by signed.
type product struct {
	name             string
	profile          bearer.Profile
	issuer, audience string
	client           string
	header           object

	access, id, app object
	other           object // an access token in another documented form; nil: there is none
	otherHeader     object
}

// documented lists the products that the package has a Profile for.
func documented() []product {
	return []product{
		auth0(), okta(), keycloak(), entraV2(), entraV1(), cognito(), google(), firebase(), zitadel(), hydra(), supabase(),
	}
}

// https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles has both formats;
// https://auth0.com/docs/secure/tokens/id-tokens/id-token-structure the ID token, and
// https://auth0.com/docs/get-started/authentication-and-authorization-flow/client-credentials-flow gty.
func auth0() product {
	const iss, aud, client = "https://my-domain.auth0.com/", "https://example.com/health-api", "my_client_id"
	return product{
		name: "Auth0", profile: bearer.Auth0(), issuer: iss, audience: aud, client: client,
		header: object{"alg": "RS256", "typ": "JWT"},
		access: object{
			"iss": iss, "sub": "auth0|123456", "aud": []string{aud, iss + "userinfo"}, "azp": client, "exp": 0, "iat": 0,
			"scope": "openid profile read:patients read:admin", "my_custom_claim": "my_custom_value",
			"permissions": []string{"read:patients"},
		},
		otherHeader: object{"alg": "RS256", "typ": "at+jwt"},
		other: object{
			"iss": iss, "sub": "auth0|123456", "aud": []string{aud, iss + "userinfo"}, "client_id": client, "exp": 0, "iat": 0,
			"jti": "73WakrfVbNJBaAmhQtEeDv", "scope": "openid profile read:patients read:admin",
		},
		id: object{
			"iss": iss, "sub": "auth0|123456", "aud": client, "exp": 0, "iat": 0, "name": "Jane Doe", "email": "janedoe@example.com",
			"picture": "http://example.com/janedoe/me.jpg", "nonce": "n", "at_hash": "h", "sid": "s", "azp": client,
		},
		app: object{
			"iss": iss, "sub": client + "@clients", "aud": aud, "azp": client, "exp": 0, "iat": 0, "gty": "client-credentials",
		},
	}
}

// https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/ has the header and
// payload of both tokens.
func okta() product {
	const iss, aud, client = "https://dev-1.okta.com/oauth2/default", "api://default", "nmdP1fcyvdVO11AL7ECm"
	return product{
		name: "Okta", profile: bearer.Okta(), issuer: iss, audience: aud, client: client,
		header: object{"alg": "RS256"},
		access: object{
			"ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": iss, "aud": aud,
			"sub": "00uid4BxXw6I6TV4m0g3", "iat": 0, "exp": 0, "cid": client, "uid": "00uid4BxXw6I6TV4m0g3",
			"scp": []string{"openid", "email", "flights"}, "auth_time": 0, "groups": []string{"Everyone"},
		},
		otherHeader: object{"alg": "RS256", "typ": "application/okta-internal-at+jwt"},
		other: object{
			"ver": 1, "jti": "AT.o2", "iss": iss, "aud": aud,
			"sub": "a@example.com", "iat": 0, "exp": 0, "cid": client, "uid": "u", "scp": []string{"a"},
		},
		id: object{
			"ver": 1, "sub": "00uid4BxXw6I6TV4m0g3", "iss": iss, "aud": client, "iat": 0, "exp": 0,
			"jti": "ID.4eAWJOCMB3SX8XewDfVR", "amr": []string{"pwd"}, "idp": "00ok1u7AsAkrwdZL3z0g3", "nonce": "n",
			"preferred_username": "a@example.com", "auth_time": 0, "at_hash": "cpqKfdQA5eH891Ff5oJr_Q", "email": "a@example.com",
		},
		app: object{
			"ver": 1, "jti": "AT.app", "iss": iss, "aud": aud, "sub": client, "iat": 0, "exp": 0, "cid": client, "scp": []string{"flights"},
		},
	}
}

// https://www.keycloak.org/docs/latest/server_admin/ describes the mappers, lightweight access
// tokens, and the setting "use at+jwt as access token header type"; the values of typ are in
// https://github.com/keycloak/keycloak/blob/main/core/src/main/java/org/keycloak/util/TokenUtil.java.
func keycloak() product {
	const iss, aud, client = "https://id.example/realms/shop", "shop-api", "shop-web"
	return product{
		name: "Keycloak", profile: bearer.Keycloak(), issuer: iss, audience: aud, client: client,
		header: object{"alg": "RS256", "typ": "JWT"},
		access: object{
			"exp": 0, "iat": 0, "auth_time": 0, "jti": "onrtac:d58f5dc8-fd8f-462b-8a19-716f8f83985b",
			"iss": iss, "aud": []string{aud, "account"},
			"sub": "36fa0f91-f94d-4a0c-afed-6b7d952e47da", "typ": "Bearer", "azp": client, "sid": "2a88c258-f73a-4103-b862-e1fbd8f4e04e",
			"acr": "1", "allowed-origins": []string{"https://shop.example"},
			"realm_access":    object{"roles": []string{"offline_access", "buyer"}},
			"resource_access": object{aud: object{"roles": []string{"refund"}}, "account": object{"roles": []string{"view-profile"}}},
			"scope":           "openid email", "email_verified": true, "preferred_username": "jane", "nonce": "before Keycloak 24",
		},
		otherHeader: object{"alg": "RS256", "typ": "at+jwt"},
		other: object{ // lightweight, with a sub
			"exp": 0, "iat": 0, "jti": "j", "iss": iss, "aud": aud,
			"sub": "36fa0f91", "typ": "Bearer", "azp": client, "sid": "s", "scope": "openid",
		},
		id: object{
			"exp": 0, "iat": 0, "auth_time": 0, "jti": "j", "iss": iss, "aud": client, "sub": "36fa0f91-f94d-4a0c-afed-6b7d952e47da",
			"typ": "ID", "azp": client, "nonce": "n", "sid": "2a88c258-f73a-4103-b862-e1fbd8f4e04e", "at_hash": "h", "acr": "1",
			"email_verified": true, "preferred_username": "jane",
		},
		app: object{
			"exp": 0, "iat": 0, "jti": "trrtcc:1", "iss": iss, "aud": aud, "sub": "ab5c4f60", "typ": "Bearer", "azp": "batch", "acr": "1",
			"realm_access": object{"roles": []string{"default-roles-shop"}}, "scope": "email", "clientHost": "192.0.2.1",
			"preferred_username": "service-account-batch", "clientAddress": "192.0.2.1", "client_id": "batch",
		},
	}
}

const entraTenant = "72f988bf-86f1-41af-91ab-2d7cd011db47"

// https://learn.microsoft.com/entra/identity-platform/access-tokens has an access token of each
// version, …/access-token-claims-reference and …/id-token-claims-reference the claims, and
// …/id-tokens the ID token.
func entraV2() product {
	const iss, aud, client = "https://login.microsoftonline.com/" + entraTenant + "/v2.0",
		"6e74172b-be56-4843-9ff4-e66a39bb12e3", "0a1b2c3d-1111-4843-9ff4-e66a39bb12e3"
	return product{
		name: "EntraV2", profile: bearer.EntraV2(), issuer: iss, audience: aud, client: client,
		header: object{"typ": "JWT", "alg": "RS256"},
		access: object{
			"aud": aud, "iss": iss, "iat": 0, "nbf": 0, "exp": 0,
			"aio": "AXQAi/8IAAAA", "azp": client, "azpacr": "0", "name": "Abe Lincoln",
			"oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "preferred_username": "abeli@microsoft.com",
			"rh": "I", "scp": "access_as_user files.read",
			"roles": []string{"Survey.Read"}, "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
			"tid": entraTenant, "uti": "fqiBqXLPj0eQa82S-IYFAA",
			"ver": "2.0", "sid": "00123456-0000",
		},
		id: object{
			"ver": "2.0", "iss": iss, "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "aud": aud, "exp": 0, "iat": 0, "nbf": 0,
			"name": "Abe Lincoln", "preferred_username": "AbeLi@microsoft.com", "oid": "690222be", "tid": entraTenant, "nonce": "123523",
			"aio": "Df2UVXL1ix", "roles": []string{"Survey.Read"}, "at_hash": "h",
		},
		app: object{
			"aud": aud, "iss": iss, "iat": 0, "nbf": 0, "exp": 0,
			"aio": "E2VgYDj", "azp": client, "azpacr": "1", "oid": "1c4f", "rh": "0.A", "idtyp": "app",
			"roles": []string{"Survey.Read.All"}, "sub": "1c4f", "tid": entraTenant, "uti": "u", "ver": "2.0",
		},
	}
}

func entraV1() product {
	const iss, aud, client = "https://sts.windows.net/" + entraTenant + "/",
		"api://ef1da9d4-ff77-4c3e-a005-840c3f830745", "75dbe77f-10a3-4e59-85fd-8c127544f17c"
	return product{
		name: "EntraV1", profile: bearer.EntraV1(), issuer: iss, audience: aud, client: client,
		header: object{"typ": "JWT", "alg": "RS256", "x5t": "i6lGk3FZzxRcUb2C3nEQ7syHJlY"},
		access: object{
			"aud": aud, "iss": iss, "iat": 0, "nbf": 0, "exp": 0,
			"acr": "1", "aio": "AXQAi/8IAAAAFm+E", "amr": []string{"wia"}, "appid": client,
			"appidacr": "0", "email": "AbeLi@microsoft.com", "family_name": "Lincoln", "given_name": "Abe (MSFT)",
			"idp": "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd0122247/", "ipaddr": "222.222.222.22", "name": "abeli",
			"oid": "02223b6b-aa1d-42d4-9ec0-1b2bb9194438", "rh": "I",
			"scp": "user_impersonation", "sub": "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA",
			"tid": entraTenant, "unique_name": "abeli@microsoft.com", "uti": "FVsGxYXI30-TuikuuUoFAA", "ver": "1.0",
		},
		id: object{
			"aud": aud, "iss": iss, "iat": 0, "nbf": 0, "exp": 0,
			"amr": []string{"pwd"}, "family_name": "Lincoln", "name": "abeli", "nonce": "n",
			"oid": "02223b6b", "rh": "I", "sub": "l3", "tid": entraTenant, "unique_name": "abeli@microsoft.com", "uti": "u", "ver": "1.0",
			"roles": []string{"Survey.Read"}, "c_hash": "h",
		},
		app: object{
			"aud": aud, "iss": iss, "iat": 0, "nbf": 0, "exp": 0,
			"aio": "E2", "appid": client, "appidacr": "1", "idp": iss, "oid": "1c4f", "rh": "0.A",
			"roles": []string{"Survey.Read.All"}, "sub": "1c4f", "tid": entraTenant, "uti": "u", "ver": "1.0",
		},
	}
}
