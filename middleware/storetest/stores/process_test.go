package stores

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience bounds one step of a test. The rechecks of a server are a second apart.
const patience = 30 * time.Second

// process is a server of its own.
type process struct {
	t      testing.TB
	origin string
	cmd    *exec.Cmd
	keys   *keys
}

// start starts this test binary again, as a server.
func start(t testing.TB, address string, k *keys) *process {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	p := &process{t: t, cmd: exec.Command(path), keys: k}
	p.cmd.Env = append(os.Environ(), storeVariable+"="+address, keysVariable+"="+k.document())
	p.cmd.Stderr = &log
	in, errIn := p.cmd.StdinPipe()
	out, errOut := p.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		p.kill()
		if t.Failed() && log.Len() > 0 {
			t.Logf("the server said: %s", log.Bytes())
		}
	})
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(out).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case p.origin = <-line:
	case <-time.After(patience):
	}
	if p.origin == "" {
		p.kill()
		t.Fatalf("the server has no address: %s", log.Bytes())
	}
	return p
}

// kill ends the process by SIGKILL.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// credential is a cookie or a token, under one header.
type credential struct{ header, value string }

// do sends a request, and returns its answer with the body. A 503 of a busy machine refuses,
// too, but does not tell why: it is asked again.
func (p *process) do(method, path string, c credential) (answer *http.Response, body []byte) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; {
		answer, body = p.doOnce(method, path, c)
		if answer.StatusCode != http.StatusServiceUnavailable || time.Now().After(end) {
			return answer, body
		}
	}
}

func (p *process) doOnce(method, path string, c credential) (*http.Response, []byte) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.origin+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Origin", p.origin)
	if c.header != "" {
		r.Header.Set(c.header, c.value)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer, body
}

// act posts, and returns the new cookie, or c if there is none.
func (p *process) act(path string, c credential) credential {
	p.t.Helper()
	answer, body := p.do(http.MethodPost, path, c)
	if answer.StatusCode != http.StatusOK {
		p.t.Fatalf("POST %s: %s %s", path, answer.Status, body)
	}
	for _, cookie := range answer.Cookies() {
		c = credential{"Cookie", cookie.Name + "=" + cookie.Value}
	}
	return c
}

// me asks who c is, and returns the status and the reason of a refusal.
func (p *process) me(c credential) (who me, answer string) {
	p.t.Helper()
	res, body := p.do(http.MethodGet, "/me", c)
	var refusal struct{ Reason string }
	_ = json.Unmarshal(body, &refusal)
	_ = json.Unmarshal(body, &who)
	return who, strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", refusal.Reason))
}

// dial opens a socket; the status is that of a refusal. A 503 is asked again.
func (p *process) dial(c credential) (socket *websocket.Conn, status int) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; {
		socket, status = p.dialOnce(c)
		if status != http.StatusServiceUnavailable || time.Now().After(end) {
			return socket, status
		}
	}
}

func (p *process) dialOnce(c credential) (socket *websocket.Conn, status int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	h := http.Header{"Origin": {p.origin}}
	h.Set(c.header, c.value)
	socket, answer, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(p.origin, "http")+"/ws", &websocket.DialOptions{HTTPHeader: h})
	if answer == nil {
		p.t.Fatal(err)
	}
	return socket, answer.StatusCode
}

// connect opens a socket and has it echo.
func (p *process) connect(c credential) *websocket.Conn {
	p.t.Helper()
	socket, status := p.dial(c)
	if socket == nil {
		p.t.Fatalf("the handshake: %d", status)
	}
	p.t.Cleanup(func() { _ = socket.CloseNow() })
	echoes(p.t, socket)
	return socket
}

func echoes(t testing.TB, socket *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := socket.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := socket.Read(ctx); err != nil || string(text) != "hello" {
		t.Fatalf("echoed %q: %v", text, err)
	}
}

// ends returns how the socket ends.
func ends(socket *websocket.Conn) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, _, err := socket.Read(ctx)
	if f, ok := errors.AsType[websocket.CloseError](err); ok {
		return fmt.Sprint(int(f.Code), " ", f.Reason)
	}
	return fmt.Sprint("no close frame: ", err)
}

// keys are those of an issuer of tokens after RFC 9068.
type keys struct{ private ed25519.PrivateKey }

func newKeys(t testing.TB) *keys {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &keys{private}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// document is the public key set (RFC 7517 §5, RFC 8037 §2).
func (k *keys) document() string {
	return fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","use":"sig","alg":"EdDSA","x":%q}]}`,
		b64(k.private.Public().(ed25519.PublicKey)))
}

// token is one of the subject, an hour long and issued ten minutes ago; sid may be empty.
func (k *keys) token(subject, sid string) credential {
	claims := map[string]any{
		"iss": issuer, "aud": audience, "sub": subject, "client_id": "test", "jti": rand.Text(),
		"iat": time.Now().Add(-10 * time.Minute).Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	if sid != "" {
		claims["sid"] = sid
	}
	payload, _ := json.Marshal(claims)
	signed := b64([]byte(`{"alg":"EdDSA","typ":"at+jwt","kid":"1"}`)) + "." + b64(payload)
	return credential{"Authorization", "Bearer " + signed + "." + b64(ed25519.Sign(k.private, []byte(signed)))}
}
