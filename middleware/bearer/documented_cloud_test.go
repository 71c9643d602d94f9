package bearer_test

import "github.com/securews/securews/middleware/bearer"

// https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html,
// …/amazon-cognito-user-pools-using-the-id-token.html, and for the aud of a token with resource
// binding …/cognito-user-pools-define-resource-servers.html.
func cognito() product {
	const iss, client = "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_example", "57cbishk4j24pabc1234567890"
	return product{
		name: "Cognito", profile: bearer.Cognito(), issuer: iss, audience: "https://api.example", client: client,
		header: object{"alg": "RS256"},
		access: object{
			"sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "device_key": "aaaaaaaa",
			"cognito:groups": []string{"testgroup"}, "iss": iss, "version": 2,
			"client_id": client, "origin_jti": "o", "event_id": "e",
			"token_use": "access", "scope": "phone openid profile email", "auth_time": 0,
			"exp": 0, "iat": 0, "jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "username": "my-test-user",
		},
		otherHeader: object{"alg": "RS256"},
		other: object{ // with resource binding
			"sub": "aaaaaaaa", "iss": iss, "version": 2, "client_id": client, "aud": "https://api.example", "token_use": "access",
			"scope": "api/read", "auth_time": 0, "exp": 0, "iat": 0, "jti": "j", "username": "my-test-user",
		},
		id: object{
			"sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "cognito:groups": []string{"testgroup"}, "email_verified": true,
			"cognito:preferred_role": "arn:aws:iam::111122223333:role/r",
			"iss":                    iss, "cognito:username": "my-test-user", "nonce": "abcdefg",
			"origin_jti": "o", "aud": client, "event_id": "e", "token_use": "id", "auth_time": 0, "exp": 0, "iat": 0, "jti": "j",
			"email": "my-test-user@example.com", "at_hash": "h",
		},
		app: object{
			"sub": client, "token_use": "access", "scope": "api/read",
			"auth_time": 0, "iss": iss, "exp": 0, "iat": 0, "version": 2, "jti": "j", "client_id": client,
		},
	}
}

// https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions has the token of a service
// account, https://cloud.google.com/compute/docs/instances/verifying-instance-identity the one of
// an instance, https://developers.google.com/identity/openid-connect/openid-connect the ID token.
func google() product {
	const iss, aud, client = "https://accounts.google.com", "https://example.com", "113774264463038321964"
	return product{
		name: "Google", profile: bearer.Google(), issuer: iss, audience: aud, client: client,
		header: object{"alg": "RS256", "typ": "JWT"},
		access: object{
			"aud": aud, "azp": client, "email": "gae-gcp@appspot.gserviceaccount.com", "sub": client, "email_verified": true,
			"exp": 0, "iat": 0, "iss": iss,
		},
		otherHeader: object{"alg": "RS256", "typ": "JWT"},
		other: object{
			"iss": iss, "iat": 0, "exp": 0, "aud": aud, "sub": client, "azp": client,
			"google": object{"compute_engine": object{
				"project_id":     "my-project",
				"project_number": int64(739419398126), "zone": "us-west1-a",
			}},
		},
		id: object{
			"iss": iss, "azp": "1234987819200.apps.googleusercontent.com", "aud": "1234987819200.apps.googleusercontent.com",
			"sub": "10769150350006150715113082367", "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "hd": "example.com", "email": "jsmith@example.com",
			"email_verified": "true", "iat": 0, "exp": 0, "nonce": "0394852-3190485-2490358", "nbf": 0, "jti": "j",
		},
		app: object{"aud": aud, "azp": client, "sub": client, "exp": 0, "iat": 0, "iss": iss},
	}
}

// https://firebase.google.com/docs/auth/admin/verify-id-tokens has the claims of the token, which
// is the only one: its ID token counts as an access token. app is a custom token, which a
// server signs for a sign-in: https://firebase.google.com/docs/auth/admin/create-custom-tokens.
func firebase() product {
	const iss, aud, account = "https://securetoken.google.com/shop-1", "shop-1", "firebase-adminsdk@shop-1.iam.gserviceaccount.com"
	token := object{
		"name": "Jane", "iss": iss, "aud": aud, "auth_time": 0, "user_id": "lk5L3Dj4", "sub": "lk5L3Dj4", "iat": 0, "exp": 0,
		"email": "jane@example.com", "email_verified": false,
		"firebase": object{"identities": object{"email": []string{"jane@example.com"}}, "sign_in_provider": "password"},
	}
	return product{
		name: "Firebase", profile: bearer.Firebase(), issuer: iss, audience: aud, client: "", header: object{"alg": "RS256", "typ": "JWT"},
		access: token, id: token,
		app: object{
			"iss": account, "sub": account,
			"aud": "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit",
			"iat": 0, "exp": 0, "uid": "lk5L3Dj4",
		},
	}
}

// https://zitadel.com/docs/apis/openidoauth/claims has a matrix of claims and tokens; client_id and
// the absence of azp are in https://github.com/zitadel/oidc/blob/main/pkg/oidc/token.go.
func zitadel() product {
	const iss, aud, client = "https://shop-1.zitadel.cloud", "69234237810729019", "69234237810729234"
	roles := object{
		"admin":  object{"178204173316174381": "acme.zitadel.cloud"},
		"reader": object{"178204173316174381": "acme.zitadel.cloud"},
	}
	return product{
		name: "Zitadel", profile: bearer.Zitadel(), issuer: iss, audience: aud, client: client, header: object{"alg": "RS256"},
		access: object{
			"aud": []string{client, aud}, "azp": client, "exp": 0,
			"iat": 0, "iss": iss, "jti": "69234237813329048", "nbf": 0, "sub": "77776025198584418",
			"urn:zitadel:iam:org:project:roles": roles, "urn:zitadel:iam:org:project:" + aud + ":roles": roles,
			"urn:zitadel:iam:user:resourceowner:id": "178204173316174381",
		},
		otherHeader: object{"alg": "RS256", "typ": "JWT"},
		other: object{
			"aud": []string{client, aud}, "client_id": client,
			"exp": 0, "iat": 0, "iss": iss, "jti": "V2_1-at_2", "nbf": 0, "sub": "77776025198584418",
		},
		id: object{
			"acr": "0", "amr": []string{"pwd"}, "at_hash": "h",
			"aud": []string{client, aud}, "auth_time": 0, "azp": client, "client_id": client,
			"exp": 0, "iat": 0, "iss": iss, "nonce": "n", "preferred_username": "road.runner@acme.zitadel.cloud",
			"sid": "291693710356251044",
			"sub": "77776025198584418", "urn:zitadel:iam:org:project:roles": roles,
		},
		app: object{
			"aud": []string{aud}, "client_id": "batch", "exp": 0, "iat": 0, "iss": iss, "jti": "j", "nbf": 0, "sub": "259241944654282754",
		},
	}
}

// https://www.ory.com/docs/oauth2-oidc/jwt-access-token describes ext and top-level claims; the
// others are those of https://github.com/ory/hydra/blob/master/fosite/token/jwt/claims_jwt.go
// and claims_id_token.go there.
func hydra() product {
	const iss, aud, client = "https://shop-1.projects.oryapis.com", "https://api.my-cloud.com/user", "9b2cdc3d-34a7-4b52-88b2-a4e3ad3a3a0f"
	return product{
		name: "Hydra", profile: bearer.Hydra(), issuer: iss, audience: aud, client: client, header: object{"alg": "RS256", "typ": "JWT"},
		access: object{
			"aud": []string{aud}, "client_id": client, "exp": 0,
			"ext": object{"some_custom_claim": "some_custom_value"}, "iat": 0, "iss": iss,
			"jti": "36ef7e1a-7b6c", "nbf": 0, "scp": []string{"openid", "offline"}, "sub": "25ec04ec-ccf3",
		},
		otherHeader: object{"alg": "RS256", "typ": "JWT"},
		other: object{ // strategies.jwt.scope_claim: string
			"aud": []string{aud}, "client_id": client, "exp": 0,
			"iat": 0, "iss": iss, "jti": "j", "nbf": 0, "scope": "openid offline", "sub": "25ec04ec",
		},
		id: object{
			"acr": "0", "amr": []string{"password"}, "at_hash": "h",
			"aud": []string{client}, "auth_time": 0, "exp": 0, "iat": 0, "iss": iss,
			"jti": "j", "nonce": "n", "rat": 0, "sid": "48f3", "sub": "25ec04ec-ccf3",
		},
		app: object{
			"aud": []string{aud}, "client_id": client, "exp": 0,
			"ext": object{}, "iat": 0, "iss": iss, "jti": "j", "nbf": 0, "scp": []string{}, "sub": client,
		},
	}
}

// https://supabase.com/docs/guides/auth/jwt-fields has the claims and the keys anon and service_role,
// https://supabase.com/docs/guides/auth/oauth-server/token-security the token of an OAuth client.
// app is the key service_role.
func supabase() product {
	const iss, client = "https://abcdefghij.supabase.co/auth/v1", "9a8b7c6d-5e4f-3a2b-1c0d-9e8f7a6b5c4d"
	return product{
		name: "Supabase", profile: bearer.Supabase(), issuer: iss,
		audience: "authenticated", client: client, header: object{"alg": "RS256", "typ": "JWT"},
		access: object{
			"aal": "aal1", "amr": []any{object{"method": "password", "timestamp": 1640991600}},
			"aud": "authenticated", "exp": 0, "iat": 0, "iss": iss,
			"app_metadata":  object{"provider": "email", "providers": []string{"email"}, "roles": []string{"editor"}},
			"user_metadata": object{"roles": []string{"admin"}},
			"email":         "user@example.com", "phone": "", "role": "authenticated", "session_id": "123e4567-e89b-12d3-a456-426614174000",
			"sub": "123e4567-e89b-12d3-a456-426614174001", "is_anonymous": false,
		},
		otherHeader: object{"alg": "RS256", "typ": "JWT"},
		other: object{
			"sub": "user-uuid", "role": "authenticated", "aud": "authenticated",
			"user_id": "user-uuid", "email": "user@example.com", "client_id": client,
			"aal": "aal1", "amr": []any{object{"method": "password", "timestamp": 1735815600}},
			"session_id": "session-uuid", "iss": iss, "iat": 0, "exp": 0,
		},
		id: object{
			"iss": iss, "sub": "user-uuid", "aud": client, "iat": 0, "exp": 0, "auth_time": 0, "nonce": "n", "email": "user@example.com",
			"email_verified": true, "at_hash": "h",
		},
		app: object{"iss": "supabase", "ref": "abcdefghij", "role": "service_role", "iat": 0, "exp": 0},
	}
}
