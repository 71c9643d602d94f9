// Package wstest runs a [net/http.Server] and its WebSockets in memory, so that
// testing/synctest can drive them in fake time: an hour of heartbeats takes
// milliseconds, with TLS too.
//
// [NewServer] serves a handler over TLS and dials it; [Listener] and [Pipe] are its parts.
// Their connections behave as TCP connections do: writes are buffered, a full buffer
// blocks, deadlines and half-close work, and [Conn.Blackhole] simulates a peer that lost
// power.
//
// The package does not depend on securews: it serves any [net/http.Handler].
package wstest
