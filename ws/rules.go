package ws

import (
	"context"
	"log/slog"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware/live"
)

// rules hold for every connection of a Handler.
type rules struct {
	limits                    Limits
	timeouts                  Timeouts
	messages, bytes, controls rate
	validate                  func(ctx context.Context, typ websocket.MessageType, p []byte) error
	named                     []string // the value of Securews-Limits
	live                      *live.Registry
	log                       *slog.Logger
}

// now is on the clock of the registry.
func (r *rules) now() int64 { return r.live.Now() }
