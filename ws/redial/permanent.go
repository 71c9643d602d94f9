package redial

// Permanent marks an error after which Run ends with err: one of a [Source] that has no
// more credentials, or one of serve, regardless of the connection's state.
func Permanent(err error) error {
	if _, already := err.(*permanent); already || err == nil {
		return err
	}
	return &permanent{err}
}

type permanent struct{ error }

func (p *permanent) Unwrap() error { return p.error }

// unmarked removes the mark of Permanent.
func unmarked(err error) error {
	if p, ok := err.(*permanent); ok {
		return p.error
	}
	return err
}
