package middleware

import "fmt"

// foundCause is the cause of a refusal because of a value in the request. An attacker chooses
// how often that happens, so the text is formatted only if the log asks for it.
type foundCause struct {
	where string // the policy and the header, as in "OriginPolicy: Origin"
	value string // the value found
	why   error  // the fault of the value, with the field that would change it
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
