package redial

import (
	"context"
	"errors"
	"net/http"

	"github.com/coder/websocket"
)

// open lets programs build that share code with a page. A page has neither headers nor the
// connection below; its client is package browser.
func open(context.Context, *handshake, *http.Client) (*websocket.Conn, *http.Response, error) {
	return nil, nil, Permanent(errors.New("no handshake of this package within a browser: use the module of package browser"))
}
