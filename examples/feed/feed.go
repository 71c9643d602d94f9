package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// feed passes messages from one source to every connected client.
type feed struct {
	mu          sync.Mutex
	subscribers map[*ws.Conn]struct{}
}

func newFeed() *feed { return &feed{subscribers: map[*ws.Conn]struct{}{}} }

// socket returns the WebSocket end of the chain. The feed is public and requires no
// credential, but the origin policy still decides which pages may read it.
func (f *feed) socket(registry *live.Registry, origins *middleware.OriginPolicy, hosts *middleware.HostPolicy, log *slog.Logger) (*ws.Handler, error) {
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

// serve serves one connection: it sends the published messages and accepts none.
func (f *feed) serve(_ context.Context, c *ws.Conn) error {
	f.mu.Lock()
	f.subscribers[c] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.subscribers, c)
		f.mu.Unlock()
	}()
	return c.PushOnly()
}

// publish queues a message for every subscriber. Send never waits: a subscriber that does
// not read fills its own queue and is closed, without delaying the others.
func (f *feed) publish(p []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.subscribers {
		_ = c.Send(websocket.MessageText, p) // an error is the connection's end, which its Serve sees too
	}
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
			p, _ := json.Marshal(tick{n, at.UTC().Truncate(time.Millisecond), f.count()}) // cannot fail
			f.publish(p)
		}
	}
}

func (f *feed) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.subscribers)
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
