package redial_test

import (
	"context"
	"crypto/tls"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws/redial"
)

func TestConfigErrors(t *testing.T) {
	tests := map[string]struct {
		cfg  redial.Config
		want []string
	}{
		"zero":     {redial.Config{}, []string{"URL: empty"}},
		"no wss":   {redial.Config{URL: "https://app.example/ws"}, []string{`URL: scheme "https"`}},
		"relative": {redial.Config{URL: "/ws"}, []string{"URL: no host"}},
		"no host":  {redial.Config{URL: "wss:///ws"}, []string{"URL: no host"}},
		"plaintext to a name": {
			redial.Config{URL: "ws://app.example", DangerouslyAllowLocalHTTP: true}, []string{"ws:// to app.example"},
		},
		"plaintext to an address": {
			redial.Config{URL: "ws://10.0.0.1", DangerouslyAllowLocalHTTP: true}, []string{"ws:// to 10.0.0.1"},
		},
		"plaintext, almost local": {
			redial.Config{URL: "ws://localhost.example", DangerouslyAllowLocalHTTP: true}, []string{"ws:// to localhost.example"},
		},
		"plaintext without the option": {redial.Config{URL: "ws://127.0.0.1:8080"}, []string{"without DangerouslyAllowLocalHTTP"}},
		"user":                         {redial.Config{URL: "wss://me:pw@app.example"}, []string{"URL: user or password"}},
		"fragment":                     {redial.Config{URL: "wss://app.example/#x"}, []string{"fragment"}},
		"empty fragment":               {redial.Config{URL: "wss://app.example/#"}, []string{"fragment"}},
		"token in the query":           {redial.Config{URL: "wss://app.example/?Access_Token=secret"}, []string{"in the query"}},
		"ticket in the query":          {redial.Config{URL: "wss://app.example/?ticket=secret"}, []string{"in the query"}},
		"origin with a path":           {redial.Config{URL: wss, Origin: "https://app.example/"}, []string{"Origin:"}},
		"origin null":                  {redial.Config{URL: wss, Origin: "null"}, []string{"Origin:"}},
		"subprotocols": {
			redial.Config{URL: wss, Subprotocols: []string{"a", "a", "b c", "", "ticket.x", "base64url.bearer.authorization.k8s.io.x"}},
			[]string{`"a" is given twice`, `"b c" is not a token`, `"" is not`, "a credential", "base64ur"},
		},
		"headers": {redial.Config{URL: wss, Header: http.Header{
			"authorization": {"x"}, "origin": {"x"}, "Upgrade": {"x"}, "sec-websocket-protocol": {"x"}, "host": {"x"}, "a b": {"x"},
			"X-A": {"fine", "a\r\nb"},
		}}, []string{
			"Header: X-A: a value", "Header: Authorization",
			"Header: Origin", "Upgrade is", "Sec-Websocket-Protocol is", "Host is", `"a b" is not`,
		}},
		"no verification": {redial.Config{URL: wss, HTTPClient: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		}}}, []string{"InsecureSkipVerify"}},
		"old TLS": {redial.Config{URL: wss, HTTPClient: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{MaxVersion: tls.VersionTLS11},
		}}}, []string{"TLS 1.2"}},
		"old TLS allowed": {redial.Config{URL: wss, HTTPClient: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS10, InsecureSkipVerify: true},
		}}}, []string{"MinVersion below TLS 1.2", "InsecureSkipVerify"}},
		"longer than ever": {redial.Config{
			URL: wss, Backoff: redial.Backoff{Max: math.MaxInt64, RetryAfter: math.MaxInt64},
			Timeouts: redial.Timeouts{Dial: math.MaxInt64},
		}, []string{"Backoff.Max", "Backoff.RetryAfter", "Timeouts.Dial"}},
		"retry codes": {
			redial.Config{URL: wss, RetryCodes: []websocket.StatusCode{1000, 3000, 1002, 4000, 5000}}, []string{"3000", "1002", "5000"},
		},
		"retry statuses": {
			redial.Config{URL: wss, RetryStatuses: []int{403, 302, 1013}}, []string{"RetryStatuses: 302", "RetryStatuses: 1013"},
		},
		"negative": {redial.Config{
			URL: wss, Backoff: redial.Backoff{Min: -1, Spread: -1}, Limits: redial.Limits{QueueBytes: -1},
			Timeouts: redial.Timeouts{Pong: -1},
		}, []string{"Backoff.Min", "Backoff.Spread", "Limits.QueueBytes", "Timeouts.Pong"}},
		"max below min": {
			redial.Config{URL: wss, Backoff: redial.Backoff{Min: time.Minute, Max: time.Second}}, []string{"Backoff: Max"},
		},
		"max below spread": {redial.Config{URL: wss, Backoff: redial.Backoff{Spread: time.Hour}}, []string{"Backoff: Max"}},
		"a long close":     {redial.Config{URL: wss, Timeouts: redial.Timeouts{Close: time.Minute}}, []string{"Timeouts.Close"}},
		"all at once":      {redial.Config{Origin: "x", Subprotocols: []string{""}}, []string{"URL:", "Origin:", "Subprotocols:"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := redial.New(tt.cfg)
			if c != nil || err == nil {
				t.Fatalf("New: %v, %v; want an error", c, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nlacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "pw") {
				t.Errorf("the error quotes a secret: %v", err)
			}
		})
	}
}

func TestConfigsThatAreGood(t *testing.T) {
	for name, cfg := range map[string]redial.Config{
		"least":     {URL: "wss://app.example"},
		"localhost": {URL: "ws://localhost:8080/ws", DangerouslyAllowLocalHTTP: true},
		"127.0.0.2": {URL: "ws://127.0.0.2/ws", DangerouslyAllowLocalHTTP: true},
		"::1":       {URL: "ws://[::1]:80/ws?room=1", DangerouslyAllowLocalHTTP: true},
		"short max": {URL: wss, Backoff: redial.Backoff{Max: time.Second}},
		"long min":  {URL: wss, Backoff: redial.Backoff{Min: time.Minute}},
		"everything": {
			URL: wss, Origin: "https://app.example:8443",
			Subprotocols: []string{"a", "b"}, RetryCodes: []websocket.StatusCode{1000, 4321},
		},
	} {
		if _, err := redial.New(cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestZeroClientRefuses(t *testing.T) {
	var zero redial.Client
	for _, c := range []*redial.Client{nil, &zero} {
		if err := c.Run(context.Background(), listen); err == nil {
			t.Error("Run of the zero Client succeeds")
		}
		if err := c.Send(websocket.MessageText, nil); err == nil {
			t.Error("Send of the zero Client succeeds")
		}
	}
	c, err := redial.New(redial.Config{URL: wss})
	must(t, err)
	if err := c.Run(context.Background(), nil); err == nil {
		t.Error("Run without serve succeeds")
	}
}
