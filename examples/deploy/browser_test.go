package main

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patience bounds one step of a browser.
const patience = time.Minute

// opener opens an address in a new tab, waits until the page has loaded, and returns a function
// that evaluates an expression there: a promise of a string.
type opener func(url string) (evaluate func(expression string) (string, error), err error)

var browsers = []struct {
	name  string
	start func(*testing.T) opener
}{
	{"Chromium", startChromium},
	{"Firefox", startFirefox},
}

// The expressions of a page. The last is that of a sandboxed frame, whose Origin is null (HTML
// §7.3.2), and which gains nothing.
const (
	opensSocket = `new Promise((done) => {
		const s = new WebSocket("wss://" + location.host + "/ws");
		s.onopen = () => s.send("hello");
		s.onmessage = (e) => done(e.data);
		s.onclose = (e) => done("closed " + e.code);
	})`
	opensStream = `new Promise((done) => {
		const s = new EventSource("/events");
		s.onopen = () => { s.close(); done("open"); };
		s.onerror = () => done("error");
	})`
	opensSocketInSandbox = `new Promise((done) => {
		addEventListener("message", (e) => done(e.data));
		const f = document.createElement("iframe");
		f.sandbox = "allow-scripts";
		f.srcdoc = '<script>const s = new WebSocket("wss://' + location.host + '/ws");' +
			's.onopen = () => parent.postMessage("open", "*"); s.onclose = () => parent.postMessage("closed", "*");<\/script>';
		document.body.append(f);
	})`
)

// hostChange is a proxy that changes Host, or one that does not, and the settings of the service
// that the page names for it.
type hostChange struct {
	name   string
	start  func(*testing.T, *proxy, map[string]string)
	edits  func(p *proxy) map[string]string
	change func(p *proxy, s *settings)
	// hides: the service does not learn the Host that the client asked for.
	hides bool
}

// The lines of the page's configurations that keep Host.
const (
	nginxKeepsHost        = "proxy_set_header Host              $http_host;"
	reverseProxyKeepsHost = "pr.Out.Host = pr.In.Host //"
)

func sendsItsOwn(p *proxy, s *settings)        { s.hosts = []string{p.service} }
func readsForwardedHost(_ *proxy, s *settings) { s.hostHeader = "X-Forwarded-Host" }
func sendsName(_ *proxy, s *settings)          { s.hosts = []string{"app"} }
func nginxToName(*proxy) map[string]string     { return map[string]string{nginxKeepsHost: ""} }
func nothing(*proxy) map[string]string         { return nil }
func nginxToAddress(p *proxy) map[string]string {
	return map[string]string{nginxKeepsHost: "", "http://app": "http://" + p.service}
}

func reverseProxyAlone(*proxy) map[string]string {
	return map[string]string{reverseProxyKeepsHost: "//"}
}

func nginxForwardsHost(*proxy) map[string]string {
	return map[string]string{nginxKeepsHost: "", `X-Forwarded-Host  ""`: "X-Forwarded-Host $http_host"}
}

var hostChanges = []hostChange{
	{name: "nginx of the page", start: startNginx, edits: nothing},
	{name: "haproxy of the page", start: startHAProxy, edits: nothing},
	{name: "Caddy of the page", start: startCaddy, edits: nothing},
	{name: "ReverseProxy of the page", start: startReverseProxy, edits: nothing},
	{name: "nginx with its own Host, an address", start: startNginx, edits: nginxToAddress, change: sendsItsOwn, hides: true},
	{name: "nginx with its own Host, the name of an upstream", start: startNginx, edits: nginxToName, change: sendsName, hides: true},
	{name: "nginx with its own Host and X-Forwarded-Host", start: startNginx, edits: nginxForwardsHost, change: readsForwardedHost},
	{name: "ReverseProxy after SetURL alone", start: startReverseProxy, edits: reverseProxyAlone, change: sendsItsOwn, hides: true},
	{
		name:  "ReverseProxy after SetURL, with X-Forwarded-Host",
		start: startReverseProxy, edits: reverseProxyAlone, change: readsForwardedHost,
	},
}

// serveBehind starts the service and the proxy, and returns the origin of the page.
func (c hostChange) serveBehind(t *testing.T) (*proxy, string) {
	t.Helper()
	p := newProxy(t)
	_, port, err := net.SplitHostPort(p.tls)
	if err != nil {
		t.Fatal(err)
	}
	origin := "https://app.example:" + port
	p.serve(t, "tcp", func(s *settings) {
		s.origin = origin
		if c.change != nil {
			c.change(p, s)
		}
	})
	c.start(t, p, c.edits(p))
	return p, origin
}

// A listed origin gets in, also if the proxy changes Host, as Sec-Fetch-Site: same-origin
// beside it shows.
func TestBrowsers(t *testing.T) {
	for _, b := range browsers {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			open := b.start(t)
			for _, c := range hostChanges {
				t.Run(c.name, func(t *testing.T) {
					_, origin := c.serveBehind(t)
					evaluate, err := open(origin + "/page")
					if err != nil {
						t.Fatal(err)
					}
					for _, row := range []struct{ sentence, expression, want string }{
						{"a page opens a socket", opensSocket, "hello"},
						{"a page opens an event stream", opensStream, "open"},
						{"a sandboxed frame opens no socket", opensSocketInSandbox, "closed"},
					} {
						if got, err := evaluate(row.expression); got != row.want || err != nil {
							t.Errorf("%s: %q, %v; want %q", row.sentence, got, err, row.want)
						}
					}
				})
			}
		})
	}
}

// Without a setting for it the service refuses another Host (RFC 9110 §15.5.20). A client cannot
// choose the host by X-Forwarded-Host.
func TestChangedHostNeedsASetting(t *testing.T) {
	t.Parallel()
	for _, c := range hostChanges {
		if c.change == nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			without := c
			without.change = nil
			p, origin := without.serveBehind(t)
			res := p.send(t, p.client(t, "127.0.0.2", false), "GET", origin+"/events", forged())
			if res.StatusCode != 421 || reason(t, res) != "host_not_allowed" {
				t.Errorf("without the setting: %s, want 421 host_not_allowed", res.Status)
			}

			p, origin = c.serveBehind(t)
			want := 421
			if c.hides { // as the page says
				want = 204
			}
			h := http.Header{"X-Forwarded-Host": {strings.TrimPrefix(origin, "https://")}, "Origin": {origin}}
			req := request(t, "POST", origin+"/limited", h)
			req.Host = "evil.example"
			if got := answer(t, p.client(t, "127.0.0.2", false), req).StatusCode; got != want {
				t.Errorf("another Host from the client: %d, want %d", got, want)
			}
		})
	}
}
