package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/securews/securews/internal/needed"
)

// start builds the command, runs it and returns its addresses.
func start(t *testing.T) (cmd *exec.Cmd, origin, metrics string) {
	t.Helper()
	needed.WithoutRace(t)
	command := filepath.Join(t.TempDir(), "observed")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", command, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	addr, metricsAddr := freeAddr(t), freeAddr(t)
	cmd = exec.Command(command, "-addr", addr, "-metrics", metricsAddr)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	printed := bufio.NewScanner(stdout)
	for printed.Scan() {
		if strings.Contains(printed.Text(), "http://"+metricsAddr+"/metrics") {
			go func() {
				for printed.Scan() { // the spans
				}
			}()
			return cmd, "https://" + addr, "http://" + metricsAddr + "/metrics"
		}
	}
	t.Fatal("it does not print its addresses")
	return nil, "", ""
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A running chat is scraped over HTTP, by Prometheus' own parser; its public listener has no
// metrics; and it ends in good order.
func TestRunningChatIsScraped(t *testing.T) {
	t.Parallel()
	cmd, origin, metrics := start(t)
	//nolint:gosec // the certificate of this test
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	cookie := login(t, client, origin)
	header := http.Header{"Origin": {origin}, "Cookie": {cookie}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dial := func() *websocket.Conn {
		c, _, err := websocket.Dial(ctx, origin+"/ws", &websocket.DialOptions{HTTPClient: client, HTTPHeader: header})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := dial(), dial()
	for _, c := range []*websocket.Conn{b, a} { // when b has its own message, it is in the room
		if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := b.Read(ctx); err != nil || string(p) != "ann: hello" {
			t.Fatalf("%q, %v", p, err)
		}
	}
	if open := gauge(scrape(t, metrics)["securews_connections_open"]); open != 2 {
		t.Errorf("%v open", open)
	}
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, origin+"/logout", nil)
	r.Header = header
	if res, err := client.Do(r); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	if _, _, err := b.Read(ctx); websocket.CloseStatus(err) != 3000 {
		t.Error(err)
	}
	awaitRevoked(t, metrics, 1)

	r, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, origin+"/metrics", nil)
	r.Header.Set("Origin", origin)
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("/metrics of the public listener: %s", res.Status)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// awaitRevoked scrapes until at least n connections have ended with `revoked`.
func awaitRevoked(t *testing.T, metrics string, n float64) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		for _, m := range scrape(t, metrics)["securews_connections_ended_total"].GetMetric() {
			if m.GetLabel()[1].GetValue() == "revoked" && m.GetCounter().GetValue() >= n {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("no connection has ended with `revoked`")
		}
	}
}

func gauge(f *dto.MetricFamily) float64 { return f.GetMetric()[0].GetGauge().GetValue() }

func scrape(t *testing.T, address string) map[string]*dto.MetricFamily {
	t.Helper()
	res, err := (&http.Client{Timeout: time.Minute}).Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}
