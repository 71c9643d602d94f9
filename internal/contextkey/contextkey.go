// Package contextkey has the context keys that packages of this module share. Because they
// are internal, no other code can put a principal into a context.
package contextkey

import "time"

type (
	// Voucher is the key of the *middleware.Voucher of a request.
	Voucher struct{}

	// RequestID is the key of the *string that the access log gave a request, in the
	// context of a connection.
	RequestID struct{}

	// Loaded is the key of the [Loader] of a request.
	Loaded struct{}

	// Explain is the key of the func(http.ResponseWriter, *http.Request, error) bool that
	// may answer a refusal in place of middleware.Refuse.
	Explain struct{}

	// Conn is the key of the net.Conn that a request came over, on a server of
	// middleware.NewServer.
	Conn struct{}

	// Layer is the key of the [Yielder] that binds the response to a request.
	Layer struct{}
)

// Yielder is a layer that binds a response. A handler behind it which binds the connection
// of that response by itself takes it over.
type Yielder interface {
	// Yield gives the place of the response back, and lets the connection pass from now on,
	// if auth is the Auth that the layer relies on. It may be called more than once.
	Yield(key Ours, auth any)
}

// Loader is a layer that asks about the credential of a request before its Authenticator is
// called, which may rely on that answer.
type Loader interface {
	// Loaded returns when the layer began to ask; the zero time if its answer counts no more.
	Loaded() time.Time
}

// Ours is an argument that only packages of this module can give: [Key]. The zero Ours is
// not it, because other code can make one: it can infer the type, or write a literal.
type Ours struct{ key *struct{ _ byte } }

var ours = new(struct{ _ byte })

// Key returns the valid argument.
func Key() Ours { return Ours{ours} }

// Valid reports whether o is the one that [Key] returns.
func (o Ours) Valid() bool { return o.key == ours }

// Detached is a context for a connection: it carries the voucher and the request id of the
// request that opened it, and never ends. net/http cancels the context of a request if its
// handler returns, and chi pools the values that it keeps there.
type Detached struct {
	Voucher any
	ID      *string
}

// Deadline implements context.Context: there is none.
func (*Detached) Deadline() (deadline time.Time, ok bool) { return }

// Done implements context.Context.
func (*Detached) Done() <-chan struct{} { return nil }

// Err implements context.Context.
func (*Detached) Err() error { return nil }

// Value implements context.Context.
func (d *Detached) Value(key any) any {
	switch key.(type) {
	case Voucher:
		return d.Voucher
	case RequestID:
		if d.ID != nil {
			return d.ID
		}
	}
	return nil
}
