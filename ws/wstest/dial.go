//go:build !js

package wstest

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// Dial opens a WebSocket at path, such as "/ws", below [URL], with [Server.Client] unless opts
// has another client. If the handshake is refused, it returns the response and an error.
func (s *Server) Dial(ctx context.Context, path string, opts *websocket.DialOptions) (*websocket.Conn, *http.Response, error) {
	if path != "" && !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "?") {
		return nil, nil, fmt.Errorf("wstest: Dial: %q is not a path below URL: write one that begins with /", path)
	}
	o := websocket.DialOptions{}
	if opts != nil {
		o = *opts
	}
	if o.HTTPClient == nil {
		o.HTTPClient = s.client
	}
	return websocket.Dial(ctx, URL+path, &o)
}
