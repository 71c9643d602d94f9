// Package bearer authenticates requests by access tokens in the Authorization header
// (RFC 6750): JWTs, by the profile of RFC 9068 unless Config.Profile says otherwise, and opaque
// tokens, which an [Introspector] asks their issuer about.
//
// A JWT is accepted only if all of the following hold; no option skips one of them:
//
//   - it is a compact JWS of at most 8 KiB: three parts in canonical base64url, header
//     and claims in JSON without duplicate names (RFC 7515 §4, RFC 7519 §4, RFC 8725);
//   - its alg is on the list, and kid and alg name exactly one key of the issuer's own
//     set; the header has no jwk and no jku or x5u to fetch one from, and its x5c is
//     ignored;
//   - the signature verifies under that key;
//   - typ, iss, aud, sub, exp, iat, jti and client_id are present and right, nbf and iat
//     have passed, exp is ahead but not further than Config.MaxLifetime;
//   - a token bound to a client certificate (RFC 8705) comes over a connection with that
//     certificate; one bound in a way that cannot be checked here is refused;
//   - it is not revoked, and the session that its sid names is alive. This, the times and
//     the binding are checked on every request; the rest is remembered in a bounded cache
//     for as long as the key stays in the set. Connections that a token or its ticket has
//     opened are checked at each recheck, and end when the issuer withdraws the key.
//
// Keys are fetched in the background; a request whose key is known never waits for them.
// While the issuer cannot be reached the last good set serves until Config.MaxStale;
// without a set requests are refused with 503 and Retry-After.
//
// An opaque token is accepted if the issuer's introspection endpoint answers that it is active
// (RFC 7662), an access token, and for this service. The answer serves for ten seconds by default.
// A recheck of a connection asks again: the principal has the token, encrypted by AES-256-GCM.
// Without an answer in the format of the standard, requests are refused with 503 and
// Retry-After.
//
// Browsers cannot set Authorization on a WebSocket: pages trade their token for a ticket
// (package ticket), or put it into a subprotocol (Config.FromSubprotocol). A token in the
// query is refused (RFC 6750 §5.3, RFC 9700 §4.3.2).
package bearer
