package ws

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/outqueue"
	"github.com/securews/securews/middleware/live"
)

// CloseError is how a connection ended: the code and reason of its close frame
// (RFC 6455 §7.4), and for the log the error behind it. The package's Err values are
// matched with errors.Is by code and reason; the field Err is not compared. A CloseError must
// not be changed: [CloseError.Wrap] makes another.
type CloseError struct {
	Code   websocket.StatusCode
	Reason string // a stable word, at most 123 bytes
	Err    error  // nil, or the error behind it; never shown to the peer
}

// The causes this package ends connections with. The words are part of the
// interface: they do not change within a major version.
var (
	ErrExpired = &CloseError{Code: 3000, Reason: "expired"} // the credential ended: fetch a new one once, reconnect
	// the principal's roles have changed, or live.Timeouts.MaxAge is reached: authenticate again
	ErrReauth    = &CloseError{Code: 3000, Reason: "reauth"}
	ErrRevoked   = &CloseError{Code: 3000, Reason: "revoked"}   // logout, sign-out everywhere, token revoked
	ErrForbidden = &CloseError{Code: 3003, Reason: "forbidden"} // authenticated, but no longer allowed
	ErrIdle      = &CloseError{Code: 3008, Reason: "idle"}      // no message either way for Timeouts.Idle
	ErrTimeout   = &CloseError{Code: 3008, Reason: "timeout"}   // no answer to a heartbeat, or no whole message in time
	ErrProtocol  = &CloseError{Code: 1002, Reason: "protocol"}  // frames that RFC 6455 §5 forbids
	ErrReadOnly  = &CloseError{Code: 1003, Reason: "read_only"} // a message on a connection that takes none
	ErrUTF8      = &CloseError{Code: 1007, Reason: "utf8"}      // text that is not UTF-8 (RFC 6455 §8.1)
	ErrRate      = &CloseError{Code: 1008, Reason: "rate"}      // messages or control frames faster than allowed
	ErrInvalid   = &CloseError{Code: 1008, Reason: "invalid"}   // Config.Validate refused a message, or ReadJSON cannot decode it
	ErrTooBig    = &CloseError{Code: 1009, Reason: "too_big"}   // more than Limits.Message bytes or Limits.Frames frames
	ErrInternal  = &CloseError{Code: 1011, Reason: "internal"}  // Serve failed or panicked
	ErrDraining  = &CloseError{Code: 1012, Reason: "restart"}   // this process shuts down
	ErrSlow      = &CloseError{Code: 1013, Reason: "slow"}      // the peer does not read its messages
	ErrLater     = &CloseError{Code: 1013, Reason: "later"}     // the credential could not be checked for live.Timeouts.Stale
)

// ErrClosed is the cause of a connection that ends because its Serve has returned nil. A
// goroutine that Serve has left behind gets it from reads and writes. If Serve returned an
// error, that is the cause instead.
var ErrClosed = &CloseError{Code: websocket.StatusNormalClosure, Reason: "", Err: errors.New("ws: closed")}

// Error is the text for the log.
func (e *CloseError) Error() string {
	s := fmt.Sprintf("ws: closed %d", e.Code)
	if e.Reason != "" {
		s += " " + fmt.Sprintf("%.123q", e.Reason)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err. A peer that closed normally (1000, 1001, or without a code)
// is io.EOF there.
func (e *CloseError) Unwrap() error { return e.Err }

// Is matches another CloseError of the same code and reason. A close
// by the peer matches none of this package's causes, even with the same words; errors.As
// has its code.
func (e *CloseError) Is(target error) bool {
	t, ok := target.(*CloseError)
	return ok && t.Code == e.Code && t.Reason == e.Reason && t.fromPeer() == e.fromPeer()
}

func (e *CloseError) fromPeer() bool { return e.Err == io.EOF || e.Err == errPeer }

// Retryable reports whether a client may come back by itself, after a back-off; for
// `expired` and `reauth` with a new credential, once.
func (e *CloseError) Retryable() bool {
	switch e.Code {
	case 1001, 1006, 1011, 1012, 1013, 1014, 3008:
		return true
	case 3000:
		return e.Reason == ErrExpired.Reason || e.Reason == ErrReauth.Reason
	}
	return false
}

// Wrap returns a copy of e with err behind it.
func (e *CloseError) Wrap(err error) *CloseError {
	return &CloseError{Code: e.Code, Reason: e.Reason, Err: err}
}

// final reports whether the peer must get none of the messages that are still on their way.
func (e *CloseError) final() bool {
	for _, of := range [...]error{ErrRevoked, ErrForbidden, live.Revoked, live.Forbidden} {
		if errors.Is(e, of) {
			return true
		}
	}
	return false
}

// flushes reports whether the queue still goes out: it does if the connection ends in good
// order.
func (e *CloseError) flushes() bool { return outqueue.Goes(int(e.Code)) }

// Validate returns an error if e may not stand in a close frame (RFC 6455 §5.5.1, §7.4).
func (e *CloseError) Validate() error {
	switch {
	case len(e.Reason) > 123:
		return fmt.Errorf("ws: close: the reason takes %d bytes, at most 123 fit", len(e.Reason))
	case !utf8.ValidString(e.Reason):
		return errors.New("ws: close: the reason is not UTF-8")
	case e.Code >= 1000 && e.Code <= 1003, e.Code >= 1007 && e.Code <= 1014, e.Code >= 3000 && e.Code <= 4999:
		return nil
	}
	return fmt.Errorf("ws: close: %d may not be sent", e.Code)
}

// closeErrorOr returns the CloseError in err, or the other with err behind it.
func closeErrorOr(err error, other *CloseError) *CloseError {
	var e *CloseError
	if !errors.As(err, &e) {
		return other.Wrap(err)
	}
	if e == nil {
		return ErrInternal.Wrap(errors.New("ws: a nil *CloseError"))
	}
	if invalid := e.Validate(); invalid != nil {
		return ErrInternal.Wrap(invalid)
	}
	if err != error(e) {
		return e.Wrap(err) // with the text around it
	}
	return e
}

// peerClosed returns the CloseError of a close frame of the peer.
func peerClosed(peer websocket.CloseError) *CloseError {
	for _, e := range peerClosedNormally {
		if e.Code == peer.Code && e.Reason == peer.Reason {
			return e
		}
	}
	e := &CloseError{Code: peer.Code, Reason: peer.Reason, Err: errPeer}
	switch peer.Code {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
		e.Err = io.EOF
	}
	return e
}

// peerClosedNormally are the closes of most peers, made once.
var peerClosedNormally = [...]*CloseError{
	{Code: websocket.StatusNormalClosure, Err: io.EOF},
	{Code: websocket.StatusGoingAway, Err: io.EOF},
	{Code: websocket.StatusNoStatusRcvd, Err: io.EOF},
}

var errPeer = errors.New("ws: closed by the peer")
