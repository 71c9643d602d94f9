package seal

import (
	"errors"
	"fmt"
	"io"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// ErrDecrypt is the only error for a hello, a key, a suite, a shared parameter or a record
// that is not exactly right. It does not tell the peer or the caller which of them it was,
// so that an attacker cannot use it as an oracle. The connection is closed with the same
// reason.
var ErrDecrypt = &ws.CloseError{Code: websocket.StatusPolicyViolation, Reason: "decrypt"}

// refused closes a connection with the one error.
func refused(m Messages) error {
	_ = m.Close(ErrDecrypt.Code, ErrDecrypt.Reason)
	return ErrDecrypt
}

// unannounced is an end that the peer did not announce under seal. errors.As finds its code
// and reason; errors.Is does not match them with the causes of ws, since a proxy may have
// forged them.
type unannounced struct{ seen *ws.CloseError }

func (e unannounced) Error() string { return e.seen.Error() }

// Unwrap skips the CloseError, which would match by code and reason.
func (e unannounced) Unwrap() error { return e.seen.Err }

func (e unannounced) As(target any) bool {
	p, ok := target.(**ws.CloseError)
	if ok {
		*p = e.seen
	}
	return ok
}

// ending returns the error of Read for the end of a connection: the close code that was
// received, which is not authenticated, and how: io.EOF if the peer had sent its close
// record, io.ErrUnexpectedEOF if messages may be missing.
func ending(err, how error) *ws.CloseError {
	end := &ws.CloseError{Code: websocket.StatusAbnormalClosure, Err: how}
	var ours *ws.CloseError
	var coders websocket.CloseError
	switch {
	case errors.As(err, &ours):
		end.Code, end.Reason = ours.Code, ours.Reason
	case errors.As(err, &coders):
		end.Code, end.Reason = coders.Code, coders.Reason
	}
	var peers interface{ FromPeer() bool } // wrapped by a redial.Conn's CloseError; a ws.Conn's matches no cause of ws
	switch {
	case how == io.EOF || errors.Is(err, io.EOF):
	case ours != nil && errors.As(ours.Err, &peers) && peers.FromPeer():
		end.Err = fmt.Errorf("%w: %v", how, err) // if wrapped, it would match by code and reason
	default:
		end.Err = fmt.Errorf("%w: %w", how, err)
	}
	return end
}
