package middleware

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/securews/securews/internal/contextkey"
)

// NewServer returns an http.Server with the limits that net/http does not set:
// 5 s for the header (and, on TLS, the handshake before it), 15 s to read and 30 s
// to answer an ordinary request, 60 s between two requests, 16 KiB of header, TLS
// 1.2 or later, and server errors through [slog.Default]. Limits of time do not apply to a
// WebSocket once it is upgraded; its limits are in ws.Config.
//
// More than 100 header fields are refused before h sees them. The refusal passes the layers of
// this package in front of h up to [Headers], and is logged by an [AccessLog] among them, else
// through slog.Default. NewServer does not see a Headers inside a router or a layer of another
// package: this refusal then has the strict preset without Strict-Transport-Security.
//
// An error of a handler that sets no Cache-Control gets no-store.
//
// Package live needs its ConnContext: a replacement calls it, too.
func NewServer(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           limitHeaderFields(h),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16<<10 - 4096, // net/http adds 4096
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12},
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
		// `OPTIONS *` goes through the layers like any other request.
		DisableGeneralOptionsHandler: true,
		// Package live closes a connection below TLS, since a deadline damages a record.
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, contextkey.Conn{}, c)
		},
	}
}

// maxHeaderFields bounds what one request may carry; browsers send about twenty.
const maxHeaderFields = 100

func limitHeaderFields(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	refuse := behindOuterLayers(next, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Refuse(w, r, &Refusal{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: ReasonHeaderTooLarge})
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 0
		for _, values := range r.Header {
			n += len(values)
		}
		if n > maxHeaderFields {
			refuse.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(&countingWriter{ResponseWriter: w}, r)
	})
}

// behindOuterLayers puts the outer layers of h in front of refuse: the refusal is logged like
// any other and has the headers of the site. Without a Headers among them, it has the strict
// preset without HSTS, which the site has not asked for.
func behindOuterLayers(h, refuse http.Handler) http.Handler {
	layers, headers := outerLayers(h)
	if !headers {
		preset, _ := NewHeaders(HeadersConfig{DangerouslyOmit: []string{hstsName}})
		layers = append(layers, preset.Handler)
	}
	return Chain(refuse, append(layers, AccessLog(nil))...) // inside another AccessLog it adds nothing
}
