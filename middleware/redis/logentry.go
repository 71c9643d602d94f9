package redis

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/securews/securews/internal/unixnano"
	"github.com/securews/securews/middleware"
)

// An entry of the log has one of these fields, and those that belong to it.
const (
	fieldKey          = "key"      // an end was stored under this key, or the record of a session deleted
	fieldValue        = "value"    // the bytes; absent: it was deleted
	fieldExpires      = "expires"  // when it expires, in Unix milliseconds
	fieldFirst        = "first"    // the id under which it was appended first, if it was stored again
	fieldAnnouncement = "announce" // JSON
	fieldCanary       = "canary"   // the node that wrote it
)

// id is the ID of an entry: milliseconds by the clock of the server, and a sequence number.
type id struct{ ms, n uint64 }

var errID = errors.New("redis: the log: an id is not two numbers")

func parseID(s string) (id, error) {
	ms, n, ok := strings.Cut(s, "-")
	a, errA := strconv.ParseUint(ms, 10, 64)
	b, errB := strconv.ParseUint(n, 10, 64)
	if !ok || errA != nil || errB != nil {
		return id{}, errID
	}
	return id{a, b}, nil
}

func (a id) String() string { return fmt.Sprintf("%d-%d", a.ms, a.n) }

func (a id) less(b id) bool { return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(a.n, b.n)) < 0 }

// next is the id after this one.
func (a id) next() id {
	if a.n == math.MaxUint64 {
		return id{a.ms + 1, 0}
	}
	return id{a.ms, a.n + 1}
}

// end is an end as the log has it.
type end struct {
	key     string
	value   []byte // nil: the key was deleted, for good
	expires time.Time
	first   id // zero: the entry itself is the first
}

func (s end) fields() []string {
	fields := []string{fieldKey, s.key, fieldExpires, strconv.FormatInt(s.expires.UnixMilli(), 10)}
	if s.value != nil {
		fields = append(fields, fieldValue, string(s.value))
	}
	if s.first != (id{}) {
		fields = append(fields, fieldFirst, s.first.String())
	}
	return fields
}

var errEntry = errors.New("redis: the log: an entry of another form: another version writes to it")

func parseEnd(at id, fields map[string]any) (end, error) {
	key := text(fields, fieldKey)
	ms, err := strconv.ParseInt(text(fields, fieldExpires), 10, 64)
	if err != nil || key == "" {
		return end{}, errEntry
	}
	s := end{key: key, expires: time.UnixMilli(ms), first: at}
	if value := text(fields, fieldValue); value != "" {
		s.value = []byte(value)
	}
	if first, ok := fields[fieldFirst].(string); ok {
		if s.first, err = parseID(first); err != nil {
			return end{}, errEntry
		}
	}
	return s, nil
}

func text(fields map[string]any, name string) string {
	s, _ := fields[name].(string)
	return s
}

// wire is a Revocation in the log. Its strings are bytes, because a subject need not be UTF-8.
type wire struct {
	Issuer        []byte `json:"iss,omitempty"`
	Subject       []byte `json:"sub,omitempty"`
	SessionHandle []byte `json:"sid,omitempty"`
	TokenHandle   []byte `json:"jti,omitempty"`
	Before        int64  `json:"before,omitempty"` // Unix nanoseconds; 0: the zero time
	Expires       int64  `json:"expires,omitempty"`
	Resync        bool   `json:"resync,omitempty"`
}

func announcement(v middleware.Revocation) []string {
	b, err := json.Marshal(wire{
		[]byte(v.Issuer), []byte(v.Subject), []byte(v.SessionHandle), []byte(v.TokenHandle),
		nanoseconds(v.Before), nanoseconds(v.Expires), v.Resync,
	})
	if err != nil {
		panic(err) // cannot happen: bytes and numbers are all marshaled
	}
	return []string{fieldAnnouncement, string(b)}
}

func parseAnnouncement(s string) (middleware.Revocation, error) {
	var w wire
	if err := json.Unmarshal([]byte(s), &w); err != nil {
		return middleware.Revocation{}, errEntry
	}
	return middleware.Revocation{
		Issuer: string(w.Issuer), Subject: string(w.Subject),
		SessionHandle: string(w.SessionHandle), TokenHandle: string(w.TokenHandle),
		Before: moment(w.Before), Expires: moment(w.Expires), Resync: w.Resync,
	}, nil
}

// nanoseconds is unixnano.Of, and 0 for the zero time.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return unixnano.Of(t)
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
