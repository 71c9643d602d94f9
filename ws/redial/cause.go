package redial

import (
	"io"
	"strings"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// ErrRenewed is the cause of a connection that ended because its successor, with a new
// credential, is open.
var ErrRenewed = &ws.CloseError{Code: websocket.StatusNormalClosure, Reason: "renewed", Err: io.EOF}

// errPeer is wrapped by a cause that the server sent.
var errPeer = fromServer{}

type fromServer struct{}

func (fromServer) Error() string { return "redial: closed by the server" }

// FromPeer lets package seal, which does not trust a reason that is not sealed, distinguish
// such a cause from the client's own.
func (fromServer) FromPeer() bool { return true }

// peerClosed returns the cause that a server's close frame states.
func peerClosed(peer websocket.CloseError) *ws.CloseError {
	e := &ws.CloseError{Code: peer.Code, Reason: strings.ToValidUTF8(peer.Reason, "\uFFFD"), Err: errPeer}
	switch peer.Code {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
		e.Err = io.EOF
	}
	return e
}
