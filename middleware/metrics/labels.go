package metrics

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// The values of labels that stand for several others.
const (
	other = "other" // a value that is in no table
	none  = "none"  // an end without a reason
	peer  = "peer"  // a close by the peer, whose reason is its own
)

// codes are the close codes of RFC 6455 §7.4.1, of IANA's registry and of this module; 1005
// and 1006 are those of ends without a close frame.
var codes = named(1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3003, 3008)

// ends are the ends that this module decides, and those of a peer that has gone. Their
// series exist from the start.
var ends = []struct {
	code   int
	reason string
}{
	{1000, none},
	{1000, peer},
	{1001, peer},
	{1005, peer},
	{1006, none},
	{3000, "expired"},
	{3000, "reauth"},
	{3000, "revoked"},
	{3003, "forbidden"},
	{3008, "idle"},
	{3008, "timeout"},
	{1002, "protocol"},
	{1003, "read_only"},
	{1007, "utf8"},
	{1008, "rate"},
	{1008, "invalid"},
	{1008, "decrypt"},
	{1009, "too_big"},
	{1011, "internal"},
	{1012, "restart"},
	{1013, "slow"},
	{1013, "later"},
}

// causeLabels returns the code and the reason of an end.
func causeLabels(cause *live.Cause) []string {
	code, ok := codes[int(cause.Code)]
	if !ok {
		code = other
	}
	switch {
	case cause.Peer:
		return []string{code, peer}
	case cause.Reason == "":
		return []string{code, none}
	}
	for _, e := range ends {
		if e.reason == cause.Reason && e.reason != none && e.reason != peer {
			return []string{code, e.reason}
		}
	}
	return []string{code, other}
}

// reasons are those of package middleware.
var reasons = setOf(
	middleware.ReasonTLSRequired, middleware.ReasonHostNotAllowed,
	middleware.ReasonOriginMissing, middleware.ReasonOriginMalformed, middleware.ReasonOriginNotAllowed, middleware.ReasonFetchMetadata,
	middleware.ReasonNoCredential, middleware.ReasonMultipleCredentials, middleware.ReasonCredentialMalformed,
	middleware.ReasonCredentialInvalid, middleware.ReasonCredentialExpired, middleware.ReasonCredentialRevoked,
	middleware.ReasonCredentialOutdated, middleware.ReasonInsufficientScope, middleware.ReasonForbidden,
	middleware.ReasonRateLimited, middleware.ReasonTooManyConnections, middleware.ReasonOverloaded,
	middleware.ReasonDraining, middleware.ReasonUnavailable, middleware.ReasonBadHandshake, middleware.ReasonUpgradeRequired,
	middleware.ReasonWebSocketVersion, middleware.ReasonSubprotocol, middleware.ReasonExtendedConnect,
	middleware.ReasonHeaderTooLarge, middleware.ReasonMethodNotAllowed, middleware.ReasonInternal,
)

func reasonLabel(reason middleware.Reason) string {
	if reasons[reason] {
		return string(reason)
	}
	return other
}

// statuses are the status codes that net/http has a text for.
var statuses = func() map[int]string {
	var known []int
	for code := range 600 {
		if http.StatusText(code) != "" {
			known = append(known, code)
		}
	}
	return named(known...)
}()

func statusLabel(code int) string {
	if s, ok := statuses[code]; ok {
		return s
	}
	return other
}

// methods are those of RFC 9110 §9 and RFC 5789.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodConnect, http.MethodOptions, http.MethodTrace,
}

func methodLabel(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return other
}

func named(numbers ...int) map[int]string {
	m := map[int]string{}
	for _, n := range numbers {
		m[n] = strconv.Itoa(n)
	}
	return m
}

func setOf(list ...middleware.Reason) map[middleware.Reason]bool {
	m := map[middleware.Reason]bool{}
	for _, r := range list {
		m[r] = true
	}
	return m
}
