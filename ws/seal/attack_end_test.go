package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// An end that is not authenticated is a truncation (SSL's oldest attack).
func TestAttackTruncation(t *testing.T) {
	drop := func(message) []message { return nil }
	t.Run("the client's close notify is dropped", func(t *testing.T) {
		s := lab{up: at(4, drop)}.run(t)
		if !errors.Is(s.serverErr, io.ErrUnexpectedEOF) || errors.Is(s.serverErr, io.EOF) {
			t.Errorf("the server's error is %v, want io.ErrUnexpectedEOF alone", s.serverErr)
		}
	})
	t.Run("the server's close notify is dropped", func(t *testing.T) {
		s := lab{down: at(5, drop), serverTask: func(_ context.Context, c *Conn) error { return sayThree(c) }, clientTask: readAll}.run(t)
		if !errors.Is(s.clientErr, io.ErrUnexpectedEOF) || errors.Is(s.clientErr, io.EOF) {
			t.Errorf("the client's error is %v, want io.ErrUnexpectedEOF alone", s.clientErr)
		}
		var end *ws.CloseError
		if !errors.As(s.clientErr, &end) || end.Code != 1000 {
			t.Errorf("%v does not tell the code", s.clientErr)
		}
	})
	t.Run("the last record and the close notify are dropped", func(t *testing.T) {
		s := lab{up: func(i int, m message) []message {
			if i >= 3 {
				return nil
			}
			return []message{m}
		}}.run(t)
		if !errors.Is(s.serverErr, io.ErrUnexpectedEOF) || !slices.Equal(s.server, []string{"c0", "c1"}) {
			t.Errorf("%v after %q", s.serverErr, s.server)
		}
	})
	t.Run("something follows the close notify", func(t *testing.T) {
		var last message
		s := lab{up: func(i int, m message) []message {
			if i == 3 {
				last = message{m.typ, bytes.Clone(m.p)}
			}
			if i == 4 {
				return []message{m, last}
			}
			return []message{m}
		}}.run(t)
		s.wantServerRefusal(t, "c0", "c1", "c2")
	})
}

// An attacker can put any code and reason into a close frame; the error does not match the
// causes of ws.
func TestAttackCloseWords(t *testing.T) {
	for _, words := range []*ws.CloseError{ws.ErrClosed, ws.ErrRevoked, ErrDecrypt} {
		for _, writes := range []bool{false, true} {
			server, _, below := linked(t, X25519)
			_ = below.Close(words.Code, words.Reason)
			if writes { // the error of a write is a CloseError with that code and reason
				_ = server.Write(websocket.MessageText, nil)
			}
			_, _, err := server.Read()
			if errors.Is(err, words) || errors.Is(err, io.EOF) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%v, written %v: %v, want io.ErrUnexpectedEOF alone", words, writes, err)
			}
			var end *ws.CloseError
			if !errors.As(err, &end) || end.Code != words.Code || end.Reason != words.Reason {
				t.Errorf("%v does not tell the code", err)
			}
		}
	}
	own := unannounced{ending(ws.ErrRevoked, io.ErrUnexpectedEOF)}
	if !errors.Is(own, ws.ErrRevoked) {
		t.Errorf("%v, of the connection underneath, is not ws.ErrRevoked", own)
	}
}

// An end before the keys are agreed is unannounced.
func TestAttackEndBeforeTheKeys(t *testing.T) {
	k := must(GenerateKey(X25519, day(30)))
	server := must(NewServer(Config{Keys: must(NewKeyring(k)), Audience: audience}))
	client := must(NewClient(ClientConfig{Keys: []PublicKey{k.Public()}, Audience: audience, App: "chat"}))
	hello := serverHello{offers: []offer{k.Public().offer()}}.bytes()
	for _, words := range []*ws.CloseError{ws.ErrClosed, {Code: websocket.StatusGoingAway}, ws.ErrRevoked, ErrDecrypt} {
		for name, exchange := range map[string]func(m Messages, between *pipe) error{
			"before the ServerHello": func(m Messages, _ *pipe) error { return second(client.Connect(t.Context(), m)) },
			"before ready": func(m Messages, between *pipe) error {
				_ = between.Write(websocket.MessageBinary, hello)
				return second(client.Connect(t.Context(), m))
			},
			"before the ClientHello": func(m Messages, _ *pipe) error { return second(server.accept(t.Context(), m, "CID", "", "")) },
		} {
			t.Run(fmt.Sprintf("%d %s, %s", words.Code, words.Reason, name), func(t *testing.T) {
				between, m := newPipe("hpke1.chat")
				go func() { _ = between.Close(words.Code, words.Reason) }()
				err := exchange(m, between)
				if errors.Is(err, words) || errors.Is(err, io.EOF) || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%v, want io.ErrUnexpectedEOF alone", err)
				}
			})
		}
	}
}
