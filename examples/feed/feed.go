package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// feed passes messages from one source to every connected client.
type feed struct{ subscribers ws.Group }

// socket returns the WebSocket end of the chain. The feed is public and requires no
// credential, but the origin policy still decides which pages may read it.
func (f *feed) socket(registry *live.Registry, origins *middleware.OriginPolicy,
	hosts *middleware.HostPolicy, log *slog.Logger,
) (*ws.Handler, error) {
	anyone, err := middleware.NewAuth(middleware.Anonymous())
	if err != nil {
		return nil, err
	}
	return ws.New(ws.Config{
		Origins: origins,
		Hosts:   hosts,
		Auth:    anyone,
		Live:    registry,
		Serve:   f.serve,
		Limits: ws.Limits{
			QueueMessages: 64,        // a client this far behind is closed with 1013 `slow`
			QueueBytes:    256 << 10, // at most this much memory for each
		},
		Log: log,
	})
}

// serve serves one connection: it sends the published messages and accepts none. The connection
// leaves the group when it ends.
func (f *feed) serve(_ context.Context, c *ws.Conn) error {
	f.subscribers.Join(c)
	return c.PushOnly()
}

// publish queues a message for every subscriber. Send never waits: a subscriber that does
// not read fills its own queue and is closed, without delaying the others.
func (f *feed) publish(p []byte) {
	_, _ = f.subscribers.Send(websocket.MessageText, p) // the error would be of text that is not UTF-8, or too large
}

// tick is one message of the feed.
type tick struct {
	Number      int       `json:"number"`
	At          time.Time `json:"at"`
	Subscribers int       `json:"subscribers"`
}

// run publishes a tick at the given interval until ctx ends.
func (f *feed) run(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case at := <-t.C:
			p, _ := json.Marshal(tick{n, at.UTC().Truncate(time.Millisecond), f.subscribers.Len()}) // cannot fail
			f.publish(p)
		}
	}
}

// routes is the chain in front of the standard library's mux.
func routes(origin string, f *feed, log *slog.Logger) (http.Handler, *live.Registry, error) {
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{origin}, AllowMissing: true})
	if err != nil {
		return nil, nil, err
	}
	hosts, err := middleware.NewHostPolicy(strings.TrimPrefix(origin, "https://"))
	if err != nil {
		return nil, nil, err
	}
	headers, err := middleware.NewHeaders(middleware.HeadersConfig{CSP: pagePolicy()})
	if err != nil {
		return nil, nil, err
	}
	registry, err := live.New(live.Config{Log: log})
	if err != nil {
		return nil, nil, err
	}
	socket, err := f.socket(registry, origins, hosts, log)
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /ws", socket)
	mux.HandleFunc("GET /{$}", servePage)
	return middleware.Chain(mux,
		middleware.AccessLog(log),
		headers.Handler,
		middleware.RequireTLS(nil),
		hosts.Handler,
	), registry, nil
}
