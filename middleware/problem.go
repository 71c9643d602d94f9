package middleware

import (
	"encoding/json"
	"net/http"
)

// problem is the body of RFC 9457; reason is our extension member.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Reason Reason `json:"reason"`
}

// problemBody returns the body of an answer. It is shared and must not be changed.
func problemBody(status int, reason Reason) []byte {
	if statuses[reason] == status {
		return problems[reason]
	}
	return marshalProblem(status, reason)
}

// problems has the bodies of this module's reasons: a refusal that an attacker chooses is
// not encoded again each time.
var problems = func() map[Reason][]byte {
	bodies := make(map[Reason][]byte, len(statuses))
	for reason, status := range statuses {
		bodies[reason] = marshalProblem(status, reason)
	}
	return bodies
}()

func marshalProblem(status int, reason Reason) []byte {
	body, _ := json.Marshal(problem{"about:blank", http.StatusText(status), status, reason})
	return body
}

// The header fields of every refusal. Answers share the values: a layer replaces or
// appends, and never writes into the slice.
var (
	problemType  = []string{"application/problem+json; charset=utf-8"} // ASVS 4.1.1
	noStore      = []string{"no-store"}
	noSniff      = []string{"nosniff"}
	closing      = []string{"close"}
	closingAfter = []string{"close", "Upgrade"}
)

// describesBody lists the header fields of a body that is not sent (RFC 9110 §8,
// RFC 9530, RFC 6266).
var describesBody = [...]string{
	"Content-Digest", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
	"Content-Location", "Content-Range", "Etag", "Last-Modified", "Repr-Digest",
}

// setProblemHeader replaces what describes a body, and adds the header of the refusal.
func setProblemHeader(h http.Header, of http.Header) {
	if len(h) > 0 {
		for _, name := range describesBody {
			delete(h, name)
		}
	}
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = problemType, noStore, noSniff
	for name, values := range of {
		h[http.CanonicalHeaderKey(name)] = values[:len(values):len(values)]
	}
}

// setConnection ends the connection of a refused handshake: bytes behind it may be meant
// for a tunnel, and are not served as HTTP. "close" stands first, because net/http closes
// for no other first value. RFC 9110 §7.8 requires the option Upgrade beside an Upgrade
// header; HTTP/2 has neither (RFC 9113 §8.2.2).
func setConnection(h http.Header, protoMajor int, handshake bool) {
	switch {
	case protoMajor > 1:
		delete(h, "Connection")
		delete(h, "Upgrade")
	case handshake && len(h["Upgrade"]) > 0:
		h["Connection"] = closingAfter
	case handshake:
		h["Connection"] = closing
	}
}
