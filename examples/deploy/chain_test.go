package main

import (
	"strings"
	"testing"
)

// behindAnother is a proxy of the page with the lines that the page has for one behind another.
type behindAnother struct {
	name  string
	start func(*testing.T, *proxy, map[string]string)
	edits func(t *testing.T) map[string]string
}

var behindAnothers = []behindAnother{
	{"nginx", startNginx, func(t *testing.T) map[string]string {
		return map[string]string{
			"proxy_set_header X-Forwarded-Proto $scheme;":      "",
			"proxy_set_header X-Forwarded-For   $remote_addr;": printed(t, "nginx behind another proxy", "nginx"),
		}
	}},
	{"haproxy", startHAProxy, func(t *testing.T) map[string]string {
		return map[string]string{
			"\thttp-request set-header X-Forwarded-Proto http\n":                "",
			"\thttp-request set-header X-Forwarded-Proto https if { ssl_fc }\n": "",
			"\thttp-request set-header X-Forwarded-For %[src]\n":                printed(t, "haproxy behind another proxy", "haproxy"),
		}
	}},
	{"Caddy", startCaddy, func(t *testing.T) map[string]string {
		more := filled(t, printed(t, "Caddy behind another proxy", "caddyfile"), map[string]string{"192.0.2.20": "127.0.0.1"})
		return map[string]string{"\t\theader_up -Forwarded\n": "\t\theader_up -Forwarded\n" + more}
	}},
	{"ReverseProxy", startReverseProxy, func(t *testing.T) map[string]string {
		return map[string]string{"pr.SetXForwarded()": printed(t, "Go's ReverseProxy behind another proxy", "go")}
	}},
}

// The service behind two proxies knows the client as behind one.
func TestTwoProxies(t *testing.T) {
	t.Parallel()
	for _, b := range behindAnothers {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			inner, outer := newProxy(t), newProxy(t)
			inner.serve(t, "tcp", nil)
			b.start(t, inner, b.edits(t))
			outer.network, outer.service, outer.lines = "tcp", inner.plain, inner.lines
			startHAProxy(t, outer, nil)
			t.Run("clients get in", outer.getIn)
			t.Run("a forger gains nothing", outer.gainNothing)
			t.Run("the limit counts the client", outer.counted)
		})
	}
}

// If a configuration lacks a line, the cause in the log names the line, or the setting.
func TestCauseNamesTheSetting(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		sentence string
		edits    map[string]string
		change   func(*settings)
		causes   []string
	}{
		{
			"nginx does not say the scheme",
			map[string]string{"proxy_set_header X-Forwarded-Proto $scheme;": ""},
			nil,
			[]string{"127.0.0.1", "X-Forwarded-Proto"},
		},
		{
			"the service trusts another proxy", nil, func(s *settings) { s.trusted = "192.0.2.1" },
			[]string{"127.0.0.1", "ProxiesConfig.Trusted"},
		},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t)
			p.serve(t, "tcp", row.change)
			startNginx(t, p, row.edits)
			res := p.send(t, p.client(t, "127.0.0.2", false), "GET", "https://app.example/events", nil)
			if res.StatusCode != 403 || reason(t, res) != "tls_required" {
				t.Errorf("%s, want 403 tls_required", res.Status)
			}
			cause := p.logged(t, "/events").Cause
			for _, want := range row.causes {
				if !strings.Contains(cause, want) {
					t.Errorf("the cause %q does not name %s", cause, want)
				}
			}
		})
	}
}
