package main

import (
	"context"
	"io"
	"net"
	"net/http"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

func gobwasHandler(_ context.Context, s settings) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var up ws.HTTPUpgrader
		deflate := wsflate.Extension{Parameters: wsflate.DefaultParameters}
		if s.deflate {
			up.Negotiate = deflate.Negotiate
		}
		conn, _, _, err := up.Upgrade(r, w)
		if err != nil {
			if conn != nil {
				_ = conn.Close() // it has answered, and leaves that to the handler
			}
			return
		}
		go func() { // the socket outlives its request
			defer conn.Close()
			s.ended(gobwasEcho(conn))
		}()
	}), nil
}

// gobwasEcho reads from the connection without a buffer, as the library's own functions do:
// two bytes of each header first.
func gobwasEcho(conn net.Conn) error {
	var message wsflate.MessageState
	control := wsutil.ControlFrameHandler(conn, ws.StateServerSide)
	reader := &wsutil.Reader{
		Source: conn, State: ws.StateServerSide | ws.StateExtended, MaxMessageSize: messageLimit,
		OnIntermediate: control, Extensions: []wsutil.RecvExtension{&message},
	}
	for {
		h, err := reader.NextFrame()
		if err == nil && h.OpCode.IsControl() {
			if err = control(h, reader); err == nil {
				continue
			}
		}
		if err == nil {
			err = gobwasAnswer(conn, h.OpCode, reader, message.IsCompressed())
		}
		if err != nil {
			return err
		}
	}
}

func gobwasAnswer(conn net.Conn, kind ws.OpCode, message io.Reader, compressed bool) error {
	p, err := io.ReadAll(message)
	if err != nil {
		return err
	}
	f := ws.NewFrame(kind, true, p)
	if compressed {
		if f.Payload, err = wsflate.DefaultHelper.Decompress(p); err != nil {
			return err
		}
		if f, err = wsflate.CompressFrame(f); err != nil {
			return err
		}
	}
	return ws.WriteFrame(conn, f)
}
