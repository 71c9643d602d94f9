// Package middleware is the ground floor of securews: layers of the form
// func(http.Handler) http.Handler for chi, net/http and every router that takes
// them, and the concepts the other packages share: [Principal], [Auth],
// [OriginPolicy], [Refusal] and [Revocations].
//
// Every layer that decides has two methods: Check reads a request and returns an
// error, Handler acts on it. Every zero value refuses. Everything a constructor
// can find wrong it reports at once, joined; nothing is validated per request.
//
// A request that is turned away is answered by [Refuse] alone: a stable [Reason]
// for the client, the cause for the log.
package middleware
