// Package middleware has the layers of securews, of the form
// func(http.Handler) http.Handler for chi, net/http and every router that accepts
// them, and the concepts that the other packages share: [Principal], [Auth],
// [OriginPolicy], [Refusal] and [Revocations].
//
// Every type of a layer that decides has a method that returns the decision as an error, and
// Handler, which acts on it. The first method is called Check if it only reads the request, as
// [OriginPolicy.Check] does; [RateLimit.Allow] takes an event, and [Auth.Authenticate] may
// consume a ticket. The zero value of such a type refuses. A constructor reports all faults of
// its configuration at once, joined; nothing is validated per request.
//
// [Refuse] alone answers a request that is refused: with a stable [Reason]
// for the client, and the cause for the log.
//
// The examples use http.ServeMux. The package examples/chirouter of the repository has the
// same with chi.
package middleware
