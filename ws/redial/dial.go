package redial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"

	"github.com/coder/websocket"
)

// dial gets a credential and opens a connection with it. ctx bounds the dial, life the
// connection.
func (c *Client) dial(ctx, life context.Context, renew bool) (*Conn, error) {
	hs := handshake{url: c.cfg.URL, header: c.cfg.Header.Clone(), subprotocols: c.cfg.Subprotocols}
	cred, err := c.credential(ctx, renew)
	if err != nil {
		return nil, err
	}
	if err := hs.add(cred); err != nil {
		return nil, err
	}
	w := &wire{}
	coder, res, err := c.shake(ctx, &hs, w)
	if err != nil {
		return nil, err
	}
	if err := c.checkSelected(res.Header); err != nil {
		_ = coder.CloseNow()
		return nil, err
	}
	return c.newConn(life, coder, w, res.Header, cred), nil
}

func (c *Client) credential(ctx context.Context, renew bool) (Credential, error) {
	if c.cfg.Credential == nil {
		return Credential{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeouts.Dial)
	defer cancel()
	cred, err := c.cfg.Credential(ctx, renew)
	if err != nil {
		return Credential{}, &noCredential{fmt.Errorf("redial: credential: %w", err)}
	}
	return cred, nil
}

// noCredential is the failure of a Source: the next call must ask for the same again.
type noCredential struct{ error }

func (n *noCredential) Unwrap() error { return n.error }

// shake performs the handshake (RFC 6455 §4.1). Its context does not bound the connection.
func (c *Client) shake(ctx context.Context, hs *handshake, w *wire) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeouts.Dial)
	defer cancel()
	ctx = once(ctx, w)
	client := *c.client
	client.Transport = &tap{c.client.Transport, w}
	coder, res, err := open(ctx, hs, &client)
	switch {
	case err == nil && w.keep():
		return coder, res, nil
	case err == nil:
		_ = coder.CloseNow()
		return nil, nil, fmt.Errorf("redial: dial: %w", context.Cause(ctx))
	case res == nil:
		return nil, nil, fmt.Errorf("redial: dial: %w", hs.secrets.redacted(withoutURL(err)))
	case res.StatusCode != http.StatusSwitchingProtocols:
		body, _ := io.ReadAll(res.Body) // bounded by coder
		return nil, nil, refusedBy("handshake", res.StatusCode, res.Header, body, hs.secrets)
	}
	if selected := res.Header.Values("Sec-WebSocket-Protocol"); len(selected) > 0 {
		err = errors.Join(c.checkSelected(res.Header), errHandshake)
	}
	return nil, nil, fmt.Errorf("redial: dial: %w", hs.secrets.redacted(err))
}

// once prevents a handshake from being written twice. net/http repeats a GET automatically
// if a reused connection turns out to be dead, after the credential has been sent.
func once(ctx context.Context, w *wire) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	var shown atomic.Bool
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			w.raw = rawConn(got.Conn)
			if shown.Load() {
				cancel(errShown)
				_ = w.raw.Close() // the write is under way
			}
		},
		WroteHeaders: func() { shown.Store(true) },
	})
}

var (
	errShown     = errors.New("redial: the connection broke after the handshake was sent")
	errHandshake = errors.New("redial: the 101 violates RFC 6455 §4.1")
	errSelected  = errors.New("redial: the server selected none of Subprotocols, or one that was not offered (RFC 6455 §4.1)")
)

// checkSelected requires one of the real subprotocols, compared case-sensitively as
// browsers do, and none if none was offered.
func (c *Client) checkSelected(h http.Header) error {
	selected := h.Values("Sec-WebSocket-Protocol")
	if len(c.cfg.Subprotocols) == 0 && len(selected) == 0 {
		return nil
	}
	if len(selected) == 1 && slices.Contains(c.cfg.Subprotocols, selected[0]) {
		return nil
	}
	return Permanent(errSelected)
}
