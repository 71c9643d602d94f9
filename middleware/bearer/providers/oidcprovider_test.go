package providers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/securews/securews/internal/needed"
	"github.com/securews/securews/middleware/bearer"
)

// oidcProvider is npm's oidc-provider, as a process.
type oidcProvider struct {
	t      testing.TB
	at     string
	in     io.Writer
	answer *bufio.Reader
}

// startOIDCProvider starts a provider that announces sign-outs to that URL.
func startOIDCProvider(t testing.TB, logout string) *oidcProvider {
	t.Helper()
	node := needed.Program(t, "node", "apt-get install -y nodejs npm")
	needed.NodeModule(t, ".", "middleware/bearer/providers", "oidc-provider")
	cmd := exec.Command(node, "testdata/oidc-provider.mjs")
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+certificateFile(t))
	var log bytes.Buffer
	cmd.Stderr = &log
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("oidc-provider said: %s", log.Bytes())
		}
	})
	p := &oidcProvider{t: t, in: in, answer: bufio.NewReader(out)}
	line, err := json.Marshal(map[string]string{"cert": string(loopback().cert), "key": string(loopback().key), "logout": logout})
	if err != nil {
		t.Fatal(err)
	}
	p.at = "https://127.0.0.1:" + p.do(string(line))
	return p
}

// do sends a line and returns the answer.
func (p *oidcProvider) do(line string) string {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
	answer, err := p.answer.ReadString('\n')
	if err != nil {
		p.t.Fatalf("oidc-provider has ended: %v", err)
	}
	return strings.TrimSpace(answer)
}

func (p *oidcProvider) issuer() string { return p.at }

// config is the default: the access tokens are those of RFC 9068. The audience of the page's ID
// tokens is also one, so that nothing but typ tells the two apart.
func (p *oidcProvider) config() bearer.Config {
	return bearer.Config{Audience: []string{"https://api.example", "page"}}
}

func (p *oidcProvider) causes() causes {
	return causes{
		idToken:  `typ is not that of an access token: it is ""; want one of ["at+jwt"]`,
		audience: `aud is "https://other.example"; want one of Config.Audience`,
	}
}

func (p *oidcProvider) rotate() { p.do("rotate") }

func (p *oidcProvider) withdraw() { p.do("withdraw") }

// ask names the resource that the token is for (RFC 8707).
func (p *oidcProvider) ask(w wish) url.Values {
	resource := map[wish]string{
		here: "https://api.example", elsewhere: "https://other.example",
		brief: "https://api.example/brief", opaque: "https://api.example/opaque",
		opaqueElsewhere: "https://other.example/opaque",
	}
	return url.Values{"resource": {resource[w]}, "scope": {"read"}}
}

func (p *oidcProvider) clients() clients {
	return clients{
		page: "page", service: "service", secret: "secret of the service",
		user: "alice", password: "any", subject: "alice", scopes: "read",
	}
}
