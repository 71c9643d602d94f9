package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// Messages is the connection underneath. [ws.Conn] is one, and so is whatever else has
// its methods; [Dialed] makes one of a *websocket.Conn.
//
// Read's p may be written to until the next Read: records are opened where they are.
// Write must not keep p.
type Messages interface {
	Read() (typ websocket.MessageType, p []byte, err error)
	Write(typ websocket.MessageType, p []byte) error
	Close(code websocket.StatusCode, reason string) error
	Subprotocol() string
}

// Dialed is a client's connection as Messages, for as long as ctx: when that ends, TCP
// is cut. Its read limit, of 32 KiB unless c.SetReadLimit was called, counts records:
// [Overhead] more than the payload.
func Dialed(ctx context.Context, c *websocket.Conn) Messages {
	ctx, cancel := context.WithCancel(ctx)
	return &dialed{c, ctx, cancel}
}

// dialed keeps a context, because coder's methods take one and a read that it cancels
// kills the connection: it can only be the connection's own.
type dialed struct {
	*websocket.Conn
	ctx    context.Context
	cancel context.CancelFunc
}

// closeGrace is for the peer to answer a close frame.
const closeGrace = 2 * time.Second

func (d *dialed) Read() (websocket.MessageType, []byte, error) { return d.Conn.Read(d.ctx) }

func (d *dialed) Write(typ websocket.MessageType, p []byte) error { return d.Conn.Write(d.ctx, typ, p) }

func (d *dialed) Close(code websocket.StatusCode, reason string) error {
	defer d.cancel()
	defer time.AfterFunc(closeGrace, d.cancel).Stop()
	return d.Conn.Close(code, reason)
}

// ErrDecrypt is how everything ends that is not exactly as it must be: a hello, a key,
// a suite, what both ends must have in common, or a record. It says no more than that,
// to the peer and here, so that nobody can ask with it. The connection is closed with
// the same word.
var ErrDecrypt = &ws.CloseError{Code: websocket.StatusPolicyViolation, Reason: "decrypt"}

// refused closes a connection with the one error.
func refused(m Messages) error {
	_ = m.Close(ErrDecrypt.Code, ErrDecrypt.Reason)
	return ErrDecrypt
}

// unannounced is an end that the peer did not announce under seal. errors.As has its
// code and reason; to errors.Is they are no cause of ours, since whoever is in between
// may have chosen the words.
type unannounced struct{ seen *ws.CloseError }

func (e unannounced) Error() string { return e.seen.Error() }

// Unwrap leaves the CloseError out, which would match by its words.
func (e unannounced) Unwrap() error { return e.seen.Err }

func (e unannounced) As(target any) bool {
	p, ok := target.(**ws.CloseError)
	if ok {
		*p = e.seen
	}
	return ok
}

// ending is a connection's end as Read returns it: the close code that was seen, which
// nobody vouches for, and how: io.EOF where the peer had said that it was done,
// io.ErrUnexpectedEOF where something may be missing.
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
	var peers interface{ FromPeer() bool } // behind a redial.Conn's CloseError; a ws.Conn's matches none of our causes
	switch {
	case how == io.EOF || errors.Is(err, io.EOF):
	case ours != nil && errors.As(ours.Err, &peers) && peers.FromPeer():
		end.Err = fmt.Errorf("%w: %v", how, err) // wrapped, it would match by its words
	default:
		end.Err = fmt.Errorf("%w: %w", how, err)
	}
	return end
}
