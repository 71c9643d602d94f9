package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/internal/needed"
	"github.com/securews/securews/internal/redisserver"
)

// wantOutput is the output, without the times and the numbers that depend on the proxy.
const wantOutput = `
Users on both nodes
ann signs in; node _ answers
with that cookie ann opens 4 sockets and 2 streams: _ on A, _ on B
bob signs in; node _ answers
with that cookie bob opens 4 sockets and 2 streams: _ on A, _ on B

A logout on A reaches B
cas logs out on A
cas's socket and stream on B have ended with 3000 "revoked"
the old cookie on B: 401 credential_revoked
median of 100 such logouts, from the request to the close frame
99 of them took at most this long

A sign-out everywhere
dan is signed in on three devices, with _ sockets and streams on A and _ on B
dan signs out everywhere, on A: all 60 have ended
the three cookies on both nodes: 401 credential_revoked

A ticket from A on B
eve's page fetches a ticket from A
with it, a socket is open on B
a second time it is refused with 401, on A and on B
eve logs out on A: the socket of the ticket has ended, too

B is cut off from Redis for 3 s
20 users log out on A; B, which has their sockets, cannot hear of it
a handshake on B is refused with 503 and Retry-After
B has told the proxy that it is not ready; new clients go to A
after healing, all 20 sockets have ended with 3000 "revoked"
after healing, B is ready again

Redis is killed and comes back empty
gus and hal have cookies, ida and jon tokens of an identity provider; each has sockets on both nodes
B is cut off; on A gus logs out, and ida revokes all tokens; both are acknowledged
Redis is killed (SIGKILL)
a handshake on A is refused with 503 and Retry-After
a login on A is refused so, too
after the kill at the latest, the proxy finds neither node ready
20 sockets and streams of users who have not signed out stay open
Redis is started again, empty, and B is connected again
the sockets of gus and ida have ended, those on B, too: A has stored both sign-outs again
those of hal, ann and bob have ended with 3000 "expired": their sessions are lost
both nodes are ready again
the old cookies and ida's token are refused with 401 on both nodes
jon's token is good, and jon's 4 sockets were never closed
hal signs in again

B is drained for an update
20 clients of ws/redial are connected, _ to A and _ to B
B gets SIGTERM, and the proxy sends it nothing new
its _ clients were told 1012 "restart", spread over 2s, and are connected to A
B has ended with exit code 0
the _ clients of A did not notice

Everything held, in _ s.
`

// lossOfRedis is a part of the output that is left out for a server of the user's.
const lossOfRedis = "gus and hal"

// varying is what differs from run to run.
var varying = []struct{ pattern, plain string }{
	{`(?m)^ +(\d+\.\d+ m?s)? +`, ""},
	{"`", `"`},
	{`node [AB] answers`, "node _ answers"},
	{`\d+ (sockets and streams )?(on|to) ([AB])\b`, "_ $1$2 $3"},
	{`(its|the) \d+ clients`, "$1 _ clients"},
	{`held, in \d+ s`, "held, in _ s"},
}

func plain(text string) string {
	for _, v := range varying {
		text = regexp.MustCompile(v.pattern).ReplaceAllString(text, v.plain)
	}
	return text
}

// command builds the program.
func command(t *testing.T) string {
	t.Helper()
	needed.WithoutRace(t)
	path := filepath.Join(t.TempDir(), "nodes")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// start runs it, and returns the output and the exit code.
func start(t *testing.T, path string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func needsRedis(t *testing.T) {
	t.Helper()
	needed.Program(t, "redis-server", redisserver.Install)
}

// The whole scenario holds, on a server of its own.
func TestScenario(t *testing.T) {
	t.Parallel()
	needsRedis(t)
	out, errs, code := start(t, command(t), nil)
	if code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, errs, out)
	}
	if _, got, _ := strings.Cut(plain(out), "reverse proxy"); !strings.HasSuffix(got, wantOutput) {
		t.Errorf("it prints\n%s", got)
	}
	t.Log(out)
}

// A server of the user's is not killed, and has no keys afterwards.
func TestScenarioOnAServerOfTheUsers(t *testing.T) {
	t.Parallel()
	needsRedis(t)
	server, err := redisserver.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	out, errs, code := start(t, command(t), nil, "-redis", server.Addr)
	if code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, errs, out)
	}
	if strings.Contains(out, lossOfRedis) || !strings.Contains(out, "left out: the Redis is yours") {
		t.Errorf("it prints\n%s", out)
	}
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
	defer func() { _ = client.Close() }()
	if keys, err := client.Keys(context.Background(), "*").Result(); err != nil || len(keys) > 0 {
		t.Errorf("keys are left: %q %v", keys, err)
	}
}

// Without a server it says how to get one.
func TestWithoutAServer(t *testing.T) {
	t.Parallel()
	path := command(t)
	_, errs, code := start(t, path, []string{"PATH=" + t.TempDir()})
	if want := "install it with: apt-get install -y --no-install-recommends redis-server"; code != 1 || !strings.Contains(errs, want) {
		t.Errorf("exit code %d: %s", code, errs)
	}
	_, errs, code = start(t, path, nil, "-redis", "127.0.0.1:1")
	if code != 1 || !strings.Contains(errs, "-redis 127.0.0.1:1 does not answer") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
