package ws

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

func TestFirstCauseWins(t *testing.T) {
	var e ending
	if !e.decide(ErrIdle, 5) || e.decide(ErrRevoked, 6) {
		t.Error("the second cause was taken for the first")
	}
	if e.cause.Load() != ErrIdle || e.at.Load() != 5 {
		t.Errorf("%v at %d, want idle at 5", e.cause.Load(), e.at.Load())
	}
}

// The loss of the credential overrules a cause that lets the queue out, as long as the close frame
// is not out.
func TestLossOfTheCredentialOverrules(t *testing.T) {
	tests := []struct {
		sentence  string
		cause     *CloseError
		closeSent bool
		want      bool
	}{
		{sentence: "a connection that lives has no cause to overrule"},
		{sentence: "a normal close still flushes", cause: ErrClosed, want: true},
		{sentence: "a restart still flushes", cause: ErrDraining, want: true},
		{sentence: "nothing follows a close frame", cause: ErrDraining, closeSent: true},
		{sentence: "a slow peer gets nothing more", cause: ErrSlow},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			var e ending
			if tt.cause != nil {
				e.decide(tt.cause, 1)
			}
			e.closeSent.Store(tt.closeSent)
			if got := e.overrule(ErrRevoked); got != tt.want {
				t.Errorf("%t, want %t", got, tt.want)
			}
			if got := e.cause.Load() == ErrRevoked; got != tt.want {
				t.Errorf("the cause is %v", e.cause.Load())
			}
			if !e.reset.Load() {
				t.Error("the bytes in the kernel are still for the peer")
			}
		})
	}
}

// RFC 6455 §5.5.1: no message follows a close frame.
func TestWhatStopsMessages(t *testing.T) {
	tests := []struct {
		sentence  string
		cause     *CloseError
		closeSent bool
		want      *CloseError
	}{
		{sentence: "nothing while the connection lives"},
		{sentence: "not an end in good order", cause: ErrClosed},
		{sentence: "the close frame", cause: ErrClosed, closeSent: true, want: ErrClosed},
		{sentence: "the loss of the credential", cause: ErrExpired, want: ErrExpired},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			var e ending
			if tt.cause != nil {
				e.decide(tt.cause, 1)
			}
			e.closeSent.Store(tt.closeSent)
			if got := e.stops(); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// A read that waits returns at once, and one that waits for the peer's close frame does not.
func TestInterruptedReads(t *testing.T) {
	server, client := net.Pipe()
	defer client.Close()
	e := ending{conn: server}
	e.interrupt()
	var timeout net.Error
	if _, err := server.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("the read ended with %v, want a time-out", err)
	}
	e.await(time.Hour)
	e.interrupt()
	go func() { _, _ = client.Write([]byte("x")) }()
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		t.Errorf("the read of the close frame ended with %v", err)
	}
	e.cut()
	if _, err := server.Read(make([]byte, 1)); err == nil {
		t.Error("TCP is not cut")
	}
}
