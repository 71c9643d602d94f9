package metrics_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/metrics"
	"github.com/securews/securews/ws"
)

// No message, close frame or request of a peer, and no cause or status of an application, adds
// a value to a label: those of the tables are all there are.
func TestLabelsAreClosed(t *testing.T) {
	s := newService(t, metrics.Config{})
	allowed := map[string][]string{
		"code":   {"other"},
		"reason": {"other", "none", "peer"},
		"method": {"other", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3003, 3008} {
		allowed["code"] = append(allowed["code"], strconv.Itoa(code))
	}
	for code := range 600 {
		if http.StatusText(code) != "" {
			allowed["code"] = append(allowed["code"], strconv.Itoa(code))
		}
	}
	allowed["reason"] = slices.Concat(allowed["reason"], closeWords(t), reasonWords(t))

	hostilePeers(t, s)
	oddApplication(t, s)

	for _, series := range s.scrape().series() {
		_, labels, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
		for label := range strings.SplitSeq(labels, ",") {
			name, value, _ := strings.Cut(label, "=")
			if label != "" && !slices.Contains(allowed[name], value) {
				t.Errorf("%s: %q is in no table", series, label)
			}
		}
	}
}

// hostilePeers close sockets with codes and reasons of their own, and send requests to odd
// routes with odd methods and headers.
func hostilePeers(t *testing.T, s *service) {
	t.Helper()
	server := httptest.NewTLSServer(s.Handler(s.socket(echo)))
	t.Cleanup(server.Close)
	words := []string{"", "revoked", "expired", "pwned", "code=\"1000\"", "\n# HELP", strings.Repeat("é", 61)}
	rng := rand.New(rand.NewPCG(1, 2))
	n := 0
	for i := range 60 {
		c, _, err := websocket.Dial(t.Context(), server.URL+"/",
			&websocket.DialOptions{HTTPHeader: as("ann" + strconv.Itoa(i)), HTTPClient: server.Client()})
		must(t, err)
		code := []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 3000, 3003, 3008, 3999, 4000, 4999}[i%14]
		if i >= 40 {
			code = 3000 + rng.IntN(2000)
		}
		must(t, c.Close(websocket.StatusCode(code), words[i%len(words)]))
		n++
	}
	for i, frame := range [][]byte{
		closePayload(1005, ""), closePayload(1006, "x"), closePayload(1015, ""), closePayload(999, ""), closePayload(65535, "x"),
		closePayload(0, ""), closePayload(5000, ""),
		{3},
		closePayload(1000, "\xff"),
	} {
		conn := rawSocket(t, server, "raw"+strconv.Itoa(i))
		_, err := conn.Write(append([]byte{0x88, 0x80 | byte(len(frame)), 0, 0, 0, 0}, frame...))
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		n++
	}
	s.await(live.Ended, n)
	for i := range 40 {
		r, _ := http.NewRequestWithContext(t.Context(), fmt.Sprintf("ODD%d", i), fmt.Sprintf("%s/r%d?code=%d", server.URL, i, i), nil)
		r.Header.Set("Origin", fmt.Sprintf("https://evil%d.example", i))
		r.Header.Set("Sec-WebSocket-Protocol", fmt.Sprintf("p%d", i))
		res, err := server.Client().Do(r)
		must(t, err)
		_ = res.Body.Close()
	}
}

func closePayload(code uint16, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, code), reason...)
}

// rawSocket opens a WebSocket whose frames the test writes itself.
func rawSocket(t *testing.T, server *httptest.Server, name string) io.WriteCloser {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/", nil)
	r.Header = as(name)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	res, err := server.Client().Do(r)
	must(t, err)
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res.Status)
	}
	return res.Body.(io.WriteCloser) // net/http, Response.Body
}

// oddApplication ends connections and refuses requests with words and codes of its own.
func oddApplication(t *testing.T, s *service) {
	t.Helper()
	for i, e := range []*ws.CloseError{
		{Code: 4000, Reason: "kicked"},
		{Code: 4999, Reason: "revoked"},
		{Code: 1008, Reason: "spam"},
		{Code: 3000, Reason: "peer?"},
		{Code: 1001},
		{Code: 3456, Reason: "none"},
		{Code: 1013, Reason: "ann@example.com"},
	} {
		server := httptest.NewTLSServer(s.Handler(s.socket(func(context.Context, *ws.Conn) error { return e })))
		t.Cleanup(server.Close)
		c, _, err := websocket.Dial(t.Context(), server.URL,
			&websocket.DialOptions{HTTPHeader: as("odd" + strconv.Itoa(i)), HTTPClient: server.Client()})
		must(t, err)
		_, _, _ = c.Read(t.Context())
		s.await(live.Ended, 1)
	}
	s.Live().Refused("my_reason")
	s.Live().Refused(middleware.Reason("user-" + strconv.Itoa(7)))
	s.await(live.Refused, 2)
	h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(code)
	}))
	for _, code := range []int{299, 418, 444, 499, 599, 699, 999} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+strconv.Itoa(code), nil))
	}
}

// A close by the peer is not counted as an end of the credential, whatever its words.
func TestPeerCannotBeCountedAsRevoked(t *testing.T) {
	s := newService(t, metrics.Config{})
	server := httptest.NewTLSServer(s.socket(echo))
	defer server.Close()
	c, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{HTTPHeader: as("ann"), HTTPClient: server.Client()})
	must(t, err)
	must(t, c.Close(3000, "revoked"))
	s.await(live.Ended, 1)
	s.scrape().want(t, map[string]float64{
		"securews_connections_ended_total{code=3000,reason=revoked}": 0,
		"securews_connections_ended_total{code=3000,reason=peer}":    1,
		"securews_end_to_close_seconds{reason=revoked}":              0,
	})
}

// Each cause and reason of the module has a series from the start, so that its first
// increment shows in rate().
func TestKnownWordsHaveSeriesFromTheStart(t *testing.T) {
	series := newService(t, metrics.Config{}).gathered().series()
	has := func(prefix, suffix string) bool {
		return slices.ContainsFunc(series, func(s string) bool { return strings.HasPrefix(s, prefix) && strings.HasSuffix(s, suffix) })
	}
	words := closeWords(t)
	if len(words) < 16 {
		t.Fatalf("the causes of ws: %q", words)
	}
	for _, word := range words {
		if !has("securews_connections_ended_total{code=", ",reason="+word+"}") {
			t.Errorf("no series for the end %q", word)
		}
	}
	reasons := reasonWords(t)
	if len(reasons) < 28 {
		t.Fatalf("the reasons of middleware: %q", reasons)
	}
	for _, word := range reasons {
		if !has("securews_connections_refused_total{reason="+word, "}") {
			t.Errorf("no series for the refusal %q", word)
		}
	}
}

// closeWords returns the reasons of the close codes in the sources of ws and seal.
func closeWords(t *testing.T) (words []string) {
	t.Helper()
	for _, name := range []string{"../../ws/closeerror.go", "../../ws/seal/ending.go"} {
		inspect(t, name, func(n ast.Node) {
			if kv, ok := n.(*ast.KeyValueExpr); ok {
				if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "Reason" {
					words = appendString(words, kv.Value)
				}
			}
		})
	}
	return words
}

// reasonWords returns the reasons of refusals in the source of middleware.
func reasonWords(t *testing.T) (words []string) {
	t.Helper()
	inspect(t, "../reason.go", func(n ast.Node) {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Reason") {
			words = appendString(words, spec.Values[0])
		}
	})
	return words
}

func inspect(t *testing.T, name string, fn func(ast.Node)) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	must(t, err)
	ast.Inspect(f, func(n ast.Node) bool { fn(n); return true })
}

func appendString(words []string, x ast.Expr) []string {
	if lit, ok := x.(*ast.BasicLit); ok {
		if s, err := strconv.Unquote(lit.Value); err == nil && s != "" {
			return append(words, s)
		}
	}
	return words
}
