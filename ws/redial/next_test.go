package redial

import (
	"io"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const second = time.Second

// closed is the ending of a connection by a server's close frame.
func closed(code websocket.StatusCode, reason string) ending {
	return ending{cause: peerClosed(websocket.CloseError{Code: code, Reason: reason}), opened: true}
}

// refused is the ending of a dial by a securews server's refusal; with an empty reason it is
// the answer of a router or proxy.
func refused(status int, reason string, after time.Duration) ending {
	return ending{cause: &HandshakeError{Status: status, Reason: reason, RetryAfter: after, what: "handshake"}}
}

func failed(cause error) ending { return ending{cause: cause} }

func (e ending) aged(lived time.Duration) ending { e.lived = lived; return e }

func (e ending) beside(c *Conn) ending { e.next = c; return e }

// The tables of docs/clients.md, "When a connection ends", with the documented defaults: the
// reaction to the first ending.
func TestWhatFollowsAnEnding(t *testing.T) {
	stopped := next{do: doStop}
	soon := next{do: doRetry, window: second / 2}
	spread := next{do: doRetry, window: 8 * second}
	renewed := next{do: doRenew, window: second / 2}
	served := next{do: doServe}
	other := &Conn{}
	cfg := documented(t, Config{})
	listing := documented(t, Config{RetryCodes: []websocket.StatusCode{1008, 4000}, RetryStatuses: []int{409}})
	tests := map[string]struct {
		how  ending
		cfg  *Config
		want next
	}{
		"serve returned nil":               {ending{opened: true}, cfg, stopped},
		"an error of serve":                {failed(Permanent(io.EOF)), cfg, stopped},
		"a source without credentials":     {failed(&noCredential{Permanent(io.EOF)}), cfg, stopped},
		"a source that failed":             {failed(&noCredential{io.EOF}), cfg, soon},
		"a failed dial":                    {failed(io.EOF), cfg, soon},
		"1000":                             {closed(1000, ""), cfg, stopped},
		"1000 renewed":                     {closed(1000, "renewed"), cfg, stopped},
		"1001":                             {closed(1001, ""), cfg, spread},
		"1002":                             {closed(1002, "protocol"), cfg, stopped},
		"1005":                             {closed(1005, ""), cfg, stopped},
		"1006":                             {closed(1006, ""), cfg, spread},
		"1008":                             {closed(1008, "rate"), cfg, stopped},
		"1008, in RetryCodes":              {closed(1008, "rate"), listing, spread},
		"1011":                             {closed(1011, "internal"), cfg, spread},
		"1012":                             {closed(1012, "restart"), cfg, spread},
		"1013":                             {closed(1013, "slow"), cfg, spread},
		"3000 expired":                     {closed(3000, "expired"), cfg, renewed},
		"3000 reauth":                      {closed(3000, "reauth"), cfg, renewed},
		"3000 revoked":                     {closed(3000, "revoked"), cfg, stopped},
		"3003":                             {closed(3003, "forbidden"), cfg, stopped},
		"3008":                             {closed(3008, "idle"), cfg, spread},
		"4000":                             {closed(4000, ""), cfg, stopped},
		"4000, in RetryCodes":              {closed(4000, ""), listing, spread},
		"401":                              {refused(401, "credential_expired", 0), cfg, renewed},
		"401 of a gateway":                 {refused(401, "", 0), cfg, renewed},
		"401 with Retry-After":             {refused(401, "credential_outdated", second), cfg, next{doRenew, second, second / 2}},
		"403":                              {refused(403, "forbidden", 0), cfg, stopped},
		"403 of a gateway":                 {refused(403, "", 0), cfg, soon},
		"404":                              {refused(404, "", 0), cfg, soon},
		"409, in RetryStatuses":            {refused(409, "bad_handshake", 0), listing, soon},
		"503 with Retry-After":             {refused(503, "overloaded", 7*second), cfg, next{doRetry, 7 * second, second / 2}},
		"503 with a Retry-After of a day":  {refused(503, "overloaded", 24*time.Hour), cfg, next{doRetry, 5 * time.Minute, second / 2}},
		"renewed":                          {ending{cause: ErrRenewed, opened: true}.beside(other), cfg, served},
		"1006, and a successor is open":    {closed(1006, "").beside(other), cfg, served},
		"3000 revoked, with a successor":   {closed(3000, "revoked").beside(other), cfg, stopped},
		"serve returned nil, with another": {ending{opened: true}.beside(other), cfg, stopped},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, _ := (history{}).follow(tt.how, tt.cfg); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// The paragraphs below those tables: the window doubles, only a connection that lived resets
// it, and a new credential is tried once.
func TestWhatFollowsAfterOtherEndings(t *testing.T) {
	renewing := history{failures: 1, refused: true, renew: true}
	tests := map[string]struct {
		past history
		how  ending
		want next
		then history
	}{
		"the second failed dial": {
			past: history{failures: 1}, how: failed(io.EOF),
			want: next{do: doRetry, window: second}, then: history{failures: 2},
		},
		"the seventh": {
			past: history{failures: 6}, how: failed(io.EOF),
			want: next{do: doRetry, window: 30 * second}, then: history{failures: 7},
		},
		"one after years": {
			past: history{failures: 63}, how: failed(io.EOF),
			want: next{do: doRetry, window: 30 * second}, then: history{failures: 63},
		},
		"a connection of less than 10 s": {
			past: history{failures: 6, refused: true}, how: closed(1001, "").aged(10*second - 1),
			want: next{do: doRetry, window: 30 * second}, then: history{failures: 7, refused: true},
		},
		"a connection of 10 s": {
			past: history{failures: 6, refused: true}, how: closed(1001, "").aged(10 * second),
			want: next{do: doRetry, window: 8 * second}, then: history{failures: 5},
		},
		"a renewed connection of less than 10 s": {
			past: history{failures: 6}, how: ending{cause: ErrRenewed, opened: true, lived: second, next: &Conn{}},
			want: next{do: doServe}, then: history{failures: 6},
		},
		"a renewed connection of 10 s": {
			past: history{failures: 6, refused: true}, how: ending{cause: ErrRenewed, opened: true, lived: 10 * second, next: &Conn{}},
			want: next{do: doServe}, then: history{},
		},
		"the first refused credential": {
			past: history{failures: 3}, how: refused(401, "credential_expired", 0),
			want: next{do: doRenew, window: 4 * second}, then: history{failures: 4, refused: true, renew: true},
		},
		"the second in a row": {
			past: renewing, how: refused(401, "credential_expired", 0),
			want: next{do: doStop}, then: renewing,
		},
		"the second, by a gateway": {
			past: renewing, how: refused(401, "", 0),
			want: next{do: doRenew, window: second}, then: history{failures: 2, refused: true, renew: true},
		},
		"the second, with Retry-After": {
			past: renewing, how: refused(401, "credential_outdated", 7*second),
			want: next{doRenew, 7 * second, second}, then: history{failures: 2, refused: true, renew: true},
		},
		"the end of a credential that was accepted": {
			past: history{failures: 3}, how: closed(3000, "expired").aged(second),
			want: next{do: doRenew, window: second / 2}, then: history{failures: 3, refused: true, renew: true},
		},
		"the end of a credential after 10 s": {
			past: history{failures: 3}, how: closed(3000, "expired").aged(10 * second),
			want: next{do: doRenew, window: second / 2}, then: history{refused: true, renew: true},
		},
		"a failed dial after it": {
			past: history{refused: true, renew: true}, how: failed(io.EOF),
			want: next{do: doRetry, window: second / 2}, then: history{failures: 1, refused: true},
		},
		"the second, within a second of its connection": {
			past: renewing, how: closed(3000, "expired").aged(second - 1),
			want: next{do: doStop}, then: renewing,
		},
		"the second, after a second of its connection": {
			past: renewing, how: closed(3000, "expired").aged(second),
			want: next{do: doRenew, window: second / 2}, then: renewing,
		},
		"a refused credential, and a source that fails": {
			past: renewing, how: failed(&noCredential{io.EOF}),
			want: next{do: doRetry, window: second}, then: history{failures: 2, refused: true, renew: true},
		},
		"a refused credential, and a failed dial with another": {
			past: renewing, how: failed(io.EOF),
			want: next{do: doRetry, window: second}, then: history{failures: 2, refused: true},
		},
	}
	cfg := documented(t, Config{})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, then := tt.past.follow(tt.how, cfg); got != tt.want || then != tt.then {
				t.Errorf("%+v, then %+v; want %+v, then %+v", got, then, tt.want, tt.then)
			}
		})
	}
}

// documented fills in the defaults.
func documented(t *testing.T, cfg Config) *Config {
	t.Helper()
	cfg.URL = "wss://app.example/ws"
	cfg, err := cfg.compile()
	if err != nil {
		t.Fatal(err)
	}
	return &cfg
}

func TestDelayLiesBetweenRetryAfterAndTheEndOfTheWindow(t *testing.T) {
	n := next{do: doRetry, least: time.Minute, window: second}
	for range 1000 {
		if d := n.delay(); d < time.Minute || d > time.Minute+second {
			t.Fatalf("%v", d)
		}
	}
}
