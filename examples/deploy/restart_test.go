package main

import (
	"context"
	"testing"
	"time"

	"github.com/securews/securews/ws/redial"
)

// A restart of the proxy ends the sockets, and clients come back.
func TestClientsComeBackAfterARestartOfTheProxy(t *testing.T) {
	t.Parallel()
	for _, f := range fronts {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t)
			p.serve(t, "tcp", nil)
			f.start(t, p, nil)
			client, err := redial.New(redial.Config{
				URL: "wss://app.example/ws", HTTPClient: p.client(t, "127.0.0.2", false),
				Backoff: redial.Backoff{Min: 50 * time.Millisecond, Max: time.Second, Spread: 50 * time.Millisecond},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			opened, ended := make(chan struct{}), make(chan error, 1)
			go func() {
				ended <- client.Run(ctx, func(ctx context.Context, c *redial.Conn) error {
					select {
					case opened <- struct{}{}:
					case <-ctx.Done():
					}
					_, _, err := c.Read()
					return err
				})
			}()
			defer func() {
				cancel()
				<-ended
			}()
			for connection := range 2 {
				select {
				case <-opened:
				case err := <-ended:
					ended <- err
					t.Fatalf("connection %d: the client has ended: %v", connection+1, err)
				case <-time.After(patience):
					t.Fatalf("connection %d is not opened", connection+1)
				}
				if connection == 0 {
					p.stop()
					f.start(t, p, nil)
				}
			}
		})
	}
}
