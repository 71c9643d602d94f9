package middleware

// Reason is the word that tells a client why it is refused. The words are part of
// the interface: they do not change within a major version.
type Reason string

// The reasons of this module's packages. [AccessLog] logs the word beside the cause.
const (
	ReasonTLSRequired         Reason = "tls_required"         // 403: the request came without TLS
	ReasonHostNotAllowed      Reason = "host_not_allowed"     // 421: a Host that is not on the list
	ReasonOriginMissing       Reason = "origin_missing"       // 403: no Origin, which is required
	ReasonOriginMalformed     Reason = "origin_malformed"     // 403: several Origins, or not an origin
	ReasonOriginNotAllowed    Reason = "origin_not_allowed"   // 403: an Origin that is not on the list
	ReasonFetchMetadata       Reason = "fetch_metadata"       // 403: Sec-Fetch-Site disagrees with the Origin
	ReasonNoCredential        Reason = "no_credential"        // 401
	ReasonMultipleCredentials Reason = "multiple_credentials" // 400: exactly one is accepted
	ReasonCredentialMalformed Reason = "credential_malformed" // 400: a header that cannot be read, a token in the query
	ReasonCredentialInvalid   Reason = "credential_invalid"   // 401: not genuine, or not for this server
	ReasonCredentialExpired   Reason = "credential_expired"   // 401: expired: fetch a new one
	ReasonCredentialRevoked   Reason = "credential_revoked"   // 401: sign in again
	ReasonCredentialOutdated  Reason = "credential_outdated"  // 401: good, but of a principal with other roles: fetch a new one
	ReasonInsufficientScope   Reason = "insufficient_scope"   // 403
	ReasonForbidden           Reason = "forbidden"            // 403: authenticated, but not allowed
	ReasonRateLimited         Reason = "rate_limited"         // 429, with Retry-After
	ReasonTooManyConnections  Reason = "too_many_connections" // 429: the share of this principal, or of this client address, is used up
	ReasonOverloaded          Reason = "overloaded"           // 503: all connections of the registry are used up
	ReasonDraining            Reason = "draining"             // 503: this process shuts down
	ReasonUnavailable         Reason = "unavailable"          // 503: the answer is not known
	ReasonBadHandshake        Reason = "bad_handshake"        // 400: RFC 6455 §4.2.1
	ReasonUpgradeRequired     Reason = "upgrade_required"     // 426: a plain request on a WebSocket route
	ReasonWebSocketVersion    Reason = "websocket_version"    // 426, with Sec-WebSocket-Version: 13
	ReasonSubprotocol         Reason = "subprotocol"          // 400: none of the offered ones is spoken
	ReasonExtendedConnect     Reason = "extended_connect"     // 501: RFC 8441 is not served
	ReasonHeaderTooLarge      Reason = "header_too_large"     // 431
	ReasonMethodNotAllowed    Reason = "method_not_allowed"   // 405
	ReasonInternal            Reason = "internal"             // 500
)

// statuses has the status that each reason is answered with.
var statuses = map[Reason]int{
	ReasonTLSRequired: 403, ReasonHostNotAllowed: 421,
	ReasonOriginMissing: 403, ReasonOriginMalformed: 403, ReasonOriginNotAllowed: 403, ReasonFetchMetadata: 403,
	ReasonNoCredential: 401, ReasonMultipleCredentials: 400, ReasonCredentialMalformed: 400,
	ReasonCredentialInvalid: 401, ReasonCredentialExpired: 401, ReasonCredentialRevoked: 401, ReasonCredentialOutdated: 401,
	ReasonInsufficientScope: 403, ReasonForbidden: 403,
	ReasonRateLimited: 429, ReasonTooManyConnections: 429, ReasonOverloaded: 503, ReasonDraining: 503, ReasonUnavailable: 503,
	ReasonBadHandshake: 400, ReasonUpgradeRequired: 426, ReasonWebSocketVersion: 426, ReasonSubprotocol: 400,
	ReasonExtendedConnect: 501, ReasonHeaderTooLarge: 431, ReasonMethodNotAllowed: 405, ReasonInternal: 500,
}
