package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"nhooyr.io/websocket" //lint:file-ignore SA1019 The program is for services that keep it.
)

// origin is that of the program, which runs in the process of the tests, so that they have
// its key.
var origin string

func TestMain(m *testing.M) {
	flag.Parse()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	addr, err := freeAddr()
	if err != nil {
		panic(err)
	}
	origin = "https://" + addr
	printed, stdout, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	terminal := os.Stdout
	os.Stdout, os.Args = stdout, []string{"card", "-addr", addr}
	go main()
	if line, err := bufio.NewReader(printed).ReadString('\n'); !strings.HasPrefix(line, "Listening at "+origin) {
		panic(fmt.Sprintf("printed %q, %v", line, err))
	}
	os.Stdout = terminal
	os.Exit(m.Run())
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

var insecure = &http.Client{
	Timeout:   30 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
}

// user is signed in at an origin by a session of its own.
type user struct{ at, cookie, token string }

func signIn(t *testing.T, at string) user {
	t.Helper()
	answer := post(t, at+"/login", http.Header{})
	token, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 || len(answer.Cookies()) != 1 {
		t.Fatalf("POST /login: %s, %v", answer.Status, err)
	}
	return user{at, answer.Cookies()[0].Name + "=" + answer.Cookies()[0].Value, string(token)}
}

func (u user) byCookie() http.Header { return http.Header{"Cookie": {u.cookie}, "Origin": {u.at}} }
func (u user) byToken() http.Header  { return http.Header{"Authorization": {"Bearer " + u.token}} }

func (u user) logout(t *testing.T) {
	t.Helper()
	if answer := post(t, u.at+"/logout", u.byCookie()); answer.StatusCode != 200 {
		t.Fatalf("POST /logout: %s", answer.Status)
	}
}

func post(t *testing.T, url string, header http.Header) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	answer, err := insecure.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// open opens a socket, which says hello.
func open(t *testing.T, at string, header http.Header) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), at+"/ws", &websocket.DialOptions{HTTPClient: insecure, HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	wantMessage(t, c, "hello")
	return c
}

func wantMessage(t *testing.T, c *websocket.Conn, want string) {
	t.Helper()
	if _, got, err := c.Read(t.Context()); string(got) != want || err != nil {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

func wantEcho(t *testing.T, c *websocket.Conn, message string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
	wantMessage(t, c, message)
}

func wantEnd(t *testing.T, c *websocket.Conn, code int, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, message, err := c.Read(ctx)
	var e websocket.CloseError
	if !errors.As(err, &e) || int(e.Code) != code || e.Reason != reason {
		t.Fatalf("read %q, %v; want %d %s", message, err, code, reason)
	}
}

func TestSocketEndsAtLogoutOfItsSession(t *testing.T) {
	t.Parallel()
	ann, other := signIn(t, origin), signIn(t, origin)
	byCookie, byToken := open(t, origin, ann.byCookie()), open(t, origin, ann.byToken())
	ofOther := open(t, origin, other.byToken())
	wantEcho(t, byCookie, "one")
	wantEcho(t, byToken, "two")
	ann.logout(t)
	wantEnd(t, byCookie, 3000, "revoked")
	wantEnd(t, byToken, 3000, "revoked")
	wantEcho(t, ofOther, "three")
	wantRefusal(t, ann.byToken(), 401, "credential_revoked")
	wantRefusal(t, ann.byCookie(), 401, "credential_revoked")
}

func TestSocketEndsAtExpiryOfItsToken(t *testing.T) {
	t.Parallel()
	ann := signIn(t, origin)
	expires := time.Now().Truncate(time.Second).Add(2 * time.Second)
	ann.token = sign(t, ann.claims(t, change{"exp": expires.Unix()}), "at+jwt", jwa.EdDSA, key)
	byToken, byCookie := open(t, origin, ann.byToken()), open(t, origin, ann.byCookie())
	wantEnd(t, byToken, 3000, "expired")
	if early := time.Until(expires); early > 500*time.Millisecond { // the registry counts in quarters of a second
		t.Errorf("ended %v before its expiry", early)
	}
	wantEcho(t, byCookie, "the session goes on")
}
