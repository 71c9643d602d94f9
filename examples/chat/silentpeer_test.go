package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// silentPeer has upgraded and never answers anything, not even a close frame.
type silentPeer struct {
	*tls.Conn
	r *bufio.Reader
}

func openSilent(t *testing.T, p *process) silentPeer {
	t.Helper()
	cookie := signIn(t, insecure(), p.origin, "bob", p.passwords["bob"])
	c, err := tls.Dial("tcp", p.host(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nCookie: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", p.host(), p.origin, cookie)
	r := bufio.NewReader(c)
	answer, err := http.ReadResponse(r, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("silent peer: %v, %v", answer, err)
	}
	return silentPeer{c, r}
}

// cut records when a silent peer received a close frame, and when TCP ended.
type cut struct {
	told, gone time.Time
	code       int // of the close frame
	err        error
}

// watch reads frames (RFC 6455 §5.2) until the connection ends.
func (s silentPeer) watch() <-chan cut {
	done := make(chan cut, 1)
	go func() {
		var c cut
		for c.err == nil {
			var opcode byte
			var payload []byte
			if opcode, payload, c.err = s.frame(); c.err == nil && opcode == 8 && len(payload) >= 2 {
				c.told, c.code = time.Now(), int(payload[0])<<8|int(payload[1])
			}
		}
		c.gone = time.Now()
		done <- c
	}()
	return done
}

func (s silentPeer) frame() (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(head[1]) // a server does not mask
	if n == 126 {     // and the chat sends nothing of 64 KiB
		var size [2]byte
		if _, err := io.ReadFull(s.r, size[:]); err != nil {
			return 0, nil, err
		}
		n = int(size[0])<<8 | int(size[1])
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(s.r, payload)
	return head[0] & 0xf, payload, err
}
