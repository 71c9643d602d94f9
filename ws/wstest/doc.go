// Package wstest runs an [net/http.Server] and its WebSockets in memory, so that
// testing/synctest can drive them in fake time: an hour of heartbeats takes
// milliseconds, with TLS too.
//
// [NewServer] serves a handler over TLS and dials it; [Listener] and [Pipe] are the
// parts it is made of. Their connections behave as TCP does where a test can tell:
// writes are buffered, a full buffer blocks, deadlines and half-close work, and
// [Conn.Blackhole] is the peer that lost its power.
//
// The package knows nothing of securews: it serves any [net/http.Handler].
package wstest
