//lint:file-ignore SA1019 The library is deprecated for coder/websocket. Services that keep it are the subject.

package main

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"

	"nhooyr.io/websocket"
)

func toldOfNhooyr(err error) (string, bool) {
	e, ok := errors.AsType[websocket.CloseError](err)
	return fmt.Sprint(int(e.Code), " ", e.Reason), ok
}

func stormOfNhooyr(w http.ResponseWriter, r *http.Request) (accepted, error) {
	c, err := websocket.Accept(w, r, nil)
	return accepted{
		func() error { _, _, err := c.Read(r.Context()); return err },
		func() error {
			if mathrand.IntN(2) == 0 {
				return c.Write(r.Context(), websocket.MessageText, anySize())
			}
			m, err := c.Writer(r.Context(), websocket.MessageText)
			return writeParts(m, err)
		},
	}, err
}

func closeReadOfNhooyr(w http.ResponseWriter, r *http.Request) (context.Context, error) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return nil, err
	}
	return c.CloseRead(r.Context()), nil
}
