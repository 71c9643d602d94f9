package main

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/securews/securews/ws/wstest"
)

// The span of the handshake ends at the 101, while the socket goes on. Each message is a
// trace of its own, which links to that span.
func TestHandshakeEndsAtThe101AndWorkLinksToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exporter := tracetest.NewInMemoryExporter()
		spans := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
		defer func() { _ = spans.Shutdown(context.Background()) }()
		s, err := newService(wstest.URL, spans.Tracer("test"))
		if err != nil {
			t.Fatal(err)
		}
		server := wstest.NewServer(t, s.public)
		cookie := login(t, server.Client(), wstest.URL)
		exporter.Reset()

		c, _, err := server.Dial(t.Context(), "/ws",
			&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {wstest.URL}, "Cookie": {cookie}}})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ended := exporter.GetSpans()
		if len(ended) != 1 || ended[0].Name != "request" || s.live.Stats().Open != 1 {
			t.Fatalf("%d spans have ended at the 101, %d connections are open; want 1 and 1", len(ended), s.live.Stats().Open)
		}
		handshake := ended[0].SpanContext

		for range 2 {
			if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, p, err := c.Read(t.Context()); err != nil || string(p) != "ann: hello" {
				t.Fatalf("%q, %v", p, err)
			}
		}
		synctest.Wait()
		traces := []string{handshake.TraceID().String()}
		for _, span := range exporter.GetSpans()[1:] {
			if id := span.SpanContext.TraceID().String(); slices.Contains(traces, id) {
				t.Errorf("%s is in the trace of another span", span.Name)
			} else {
				traces = append(traces, id)
			}
			if span.Name != "message" || span.Parent.IsValid() {
				t.Errorf("%s has the parent %v, want a root", span.Name, span.Parent)
			}
			if len(span.Links) != 1 || !span.Links[0].SpanContext.Equal(handshake) {
				t.Errorf("%s links to %v, want %v", span.Name, span.Links, handshake)
			}
		}
		if len(traces) != 3 {
			t.Errorf("%d traces, want those of the handshake and of two messages", len(traces))
		}
		_ = c.CloseNow()
	})
}

// login returns the cookie of a session of ann.
func login(t *testing.T, client *http.Client, origin string) string {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, origin+"/login?user=ann", nil)
	r.Header.Set("Origin", origin)
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || len(res.Cookies()) != 1 {
		t.Fatal(res.Status)
	}
	return res.Cookies()[0].Name + "=" + res.Cookies()[0].Value
}
