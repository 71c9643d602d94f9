package middleware

import "fmt"

// foundCause is the cause of a refusal of what a request says: an attacker chooses how often
// it happens, so it is formatted only if the log asks for its text.
type foundCause struct {
	where string // the policy and the header, as in "OriginPolicy: Origin"
	value string // what was found
	why   error  // and what is wrong with it, with the field that would change it
}

func (c *foundCause) Error() string {
	return fmt.Sprintf("middleware: %s %.300q: %v", c.where, c.value, c.why)
}

func (c *foundCause) Unwrap() error { return c.why }

// foundRefusal holds both in one allocation.
type foundRefusal struct {
	Refusal
	cause foundCause
}

func refuseFound(status int, reason Reason, where, value string, why error) error {
	x := &foundRefusal{Refusal{Status: status, Reason: reason}, foundCause{where, value, why}}
	x.Refusal.Err = &x.cause
	return &x.Refusal
}
