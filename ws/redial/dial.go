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

// dialer opens WebSockets.
type dialer struct {
	cfg    *Config
	client *http.Client
}

// dial gets a credential and opens a WebSocket with it. ctx bounds the dial only.
func (d *dialer) dial(ctx context.Context, renew bool) (dialed, error) {
	hs := handshake{url: d.cfg.URL, header: d.cfg.Header.Clone(), subprotocols: d.cfg.Subprotocols}
	cred, err := d.obtain(ctx, renew)
	if err != nil {
		return dialed{}, err
	}
	if err := hs.add(cred); err != nil {
		return dialed{}, err
	}
	w := &wire{}
	coder, res, err := d.shake(ctx, &hs, w)
	if err != nil {
		return dialed{}, err
	}
	if err := d.checkSelected(res.Header); err != nil {
		_ = coder.CloseNow()
		return dialed{}, err
	}
	return dialed{coder: coder, wire: w, header: res.Header, credential: cred}, nil
}

// obtain calls the source.
func (d *dialer) obtain(ctx context.Context, renew bool) (Credential, error) {
	if d.cfg.Credential == nil {
		return Credential{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeouts.Dial)
	defer cancel()
	cred, err := d.cfg.Credential(ctx, renew)
	if err != nil {
		return Credential{}, &noCredential{fmt.Errorf("redial: credential: %w", err)}
	}
	return cred, nil
}

// shake performs the handshake (RFC 6455 §4.1). Its context does not bound the connection.
func (d *dialer) shake(ctx context.Context, hs *handshake, w *wire) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeouts.Dial)
	defer cancel()
	ctx = once(ctx, w)
	client := *d.client
	client.Transport = &tap{d.client.Transport, w}
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
		err = errors.Join(d.checkSelected(res.Header), errHandshake)
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
	errShown    = errors.New("redial: the connection broke after the handshake was sent")
	errSelected = errors.New("redial: the server selected none of Subprotocols, or one that was not offered (RFC 6455 §4.1)")
)

// checkSelected requires one of the real subprotocols, compared case-sensitively as
// browsers do, and none if none was offered.
func (d *dialer) checkSelected(h http.Header) error {
	selected := h.Values("Sec-WebSocket-Protocol")
	if len(d.cfg.Subprotocols) == 0 && len(selected) == 0 {
		return nil
	}
	if len(selected) == 1 && slices.Contains(d.cfg.Subprotocols, selected[0]) {
		return nil
	}
	return Permanent(errSelected)
}
