package ws

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/middleware"
)

// handshake is an opening handshake that may be upgraded. It is parsed once.
type handshake struct {
	origin      string // "": none
	subprotocol string // the selected one; "": none was offered
}

// parse reads the handshake of a stripped request, or refuses it.
func (cfg *Config) parse(r *http.Request) (hs handshake, err error) {
	if !cfg.DangerouslyAllowPlaintext {
		if err := cfg.Proxies.CheckTLS(r); err != nil { // ASVS 4.4.1
			return hs, refusal(http.StatusForbidden, middleware.ReasonTLSRequired, &plaintextCause{errors.Unwrap(err), cfg.Proxies == nil})
		}
	}
	if err := checkHandshake(r); err != nil {
		return hs, err
	}
	if cfg.Hosts != nil {
		if r, err = cfg.Hosts.Admit(r); err != nil {
			return hs, err
		}
	}
	if err := cfg.Origins.Check(r); err != nil {
		return hs, err
	}
	hs.origin = r.Header.Get("Origin") // of which Origins allows one
	hs.subprotocol, err = cfg.selectSubprotocol(r)
	return hs, err
}

// It names no value: that of a subprotocol may be a credential.
var errSubprotocol = errors.New("ws: handshake: Sec-WebSocket-Protocol: none of those that the client offers is in Config.Subprotocols")

// plaintextCause names the settings of a handler beside the cause that the proxies give.
type plaintextCause struct {
	why       error
	noProxies bool // Config.Proxies is nil
}

func (c *plaintextCause) Error() string {
	proxies := "see Config.Proxies"
	if c.noProxies {
		proxies = "Config.Proxies is nil, and a Proxies in front as a layer does not replace it"
	}
	return fmt.Sprintf("ws: handshake: %v; %s; on a development server see Config.DangerouslyAllowPlaintext", c.why, proxies)
}

func (c *plaintextCause) Unwrap() error { return c.why }

func refusal(status int, reason middleware.Reason, err error) error {
	return &middleware.Refusal{Status: status, Reason: reason, Err: err}
}

// checkHandshake holds the client to RFC 6455 §4.2.1, and to sending each header once that
// may stand once.
func checkHandshake(r *http.Request) error {
	if opening.IsExtendedConnect(r) {
		return refusal(http.StatusNotImplemented, middleware.ReasonExtendedConnect,
			errors.New("ws: handshake: WebSocket over HTTP/2 (RFC 8441) is not served"))
	}
	if !opening.IsHandshake(r) || r.ProtoMajor > 1 {
		f := &middleware.Refusal{
			Status: http.StatusUpgradeRequired, Reason: middleware.ReasonUpgradeRequired,
			Err: errors.New("ws: handshake: no Upgrade header that names websocket, or not HTTP/1.1"),
		}
		if r.ProtoMajor == 1 { // such headers make an HTTP/2 answer malformed (RFC 9113 §8.2.2)
			f.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
		}
		return f
	}
	if r.Method != http.MethodGet {
		return &middleware.Refusal{
			Status: http.StatusMethodNotAllowed, Reason: middleware.ReasonMethodNotAllowed,
			Header: http.Header{"Allow": {"GET"}}, Err: fmt.Errorf("ws: handshake: the method is %.300q, want GET", r.Method),
		}
	}
	if v := r.Header["Sec-Websocket-Version"]; len(v) != 1 || v[0] != "13" {
		return &middleware.Refusal{
			Status: http.StatusUpgradeRequired, Reason: middleware.ReasonWebSocketVersion,
			Header: http.Header{"Sec-Websocket-Version": {"13"}, "Upgrade": {"websocket"}, "Connection": {"Upgrade"}}, // RFC 9110 §15.5.22
			Err:    fmt.Errorf("ws: handshake: Sec-WebSocket-Version is %.300q, want 13 once", v),                     // RFC 6455 §4.4
		}
	}
	if flaw := handshakeFlaw(r); flaw != "" {
		return refusal(http.StatusBadRequest, middleware.ReasonBadHandshake, errors.New("ws: handshake: "+flaw))
	}
	return nil
}

func handshakeFlaw(r *http.Request) string {
	upgrade, keys := r.Header["Upgrade"], r.Header["Sec-Websocket-Key"]
	switch {
	case !r.ProtoAtLeast(1, 1):
		return "before HTTP/1.1"
	case r.Host == "":
		return "no Host"
	case len(upgrade) != 1 || !strings.EqualFold(strings.TrimSpace(upgrade[0]), "websocket"):
		return "Upgrade does not say websocket, once"
	case !namesUpgrade(r.Header["Connection"]):
		return "Connection does not name Upgrade"
	case len(keys) != 1 || !isKey(keys[0]):
		return "Sec-WebSocket-Key is not 16 bytes of base64, once"
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return "a body"
	}
	return ""
}

func namesUpgrade(lines []string) bool {
	for _, line := range lines {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(token, " \t"), "upgrade") {
				return true
			}
		}
	}
	return false
}

func isKey(s string) bool {
	var key [18]byte
	s = strings.Trim(s, " \t")
	if len(s) != 24 {
		return false
	}
	// Not strict: the example of RFC 6455 §4.1 itself ends in bits that are not zero.
	n, err := base64.StdEncoding.Decode(key[:], []byte(s))
	return err == nil && n == 16
}

// maxOffered bounds the subprotocols of one handshake, each of which is compared
// with all the others.
const maxOffered = 64

// selectSubprotocol returns the first of the client's protocols that is spoken here,
// "" if it offers none. It refuses if it offers some and none is spoken: a browser fails a
// connection that answers 101 without one.
func (cfg *Config) selectSubprotocol(r *http.Request) (string, error) {
	lines := r.Header["Sec-Websocket-Protocol"]
	if len(lines) == 0 {
		return "", nil
	}
	chosen := ""
	var seen []string
	for _, line := range lines {
		for offered := range strings.SplitSeq(line, ",") {
			offered = strings.Trim(offered, " \t")
			if !opening.IsToken(offered) || slices.Contains(seen, offered) || len(seen) == maxOffered {
				return "", refusal(http.StatusBadRequest, middleware.ReasonBadHandshake,
					fmt.Errorf("ws: handshake: Sec-WebSocket-Protocol is not a list of up to %d different tokens", maxOffered))
			}
			seen = append(seen, offered)
			if chosen == "" && slices.Contains(cfg.Subprotocols, offered) {
				chosen = offered
			}
		}
	}
	if chosen == "" {
		return "", refusal(http.StatusBadRequest, middleware.ReasonSubprotocol, errSubprotocol)
	}
	return chosen, nil
}
