package redis_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/testissuer"
)

// ASVS 7.4.1: a sign-out on one node ends connections of the other, at once: the recheck is
// minutes away.
func TestSignOutReachesTheOtherNode(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		k := testissuer.New(t)
		set := settings{Addrs: x.addrs, Keys: k.KeySet()}
		a, b := startNode(t, set), startNode(t, set)

		ann := a.login("ann")
		socket, stream := b.open(ann), b.openStream(ann)
		a.act("/logout", ann)
		if got := ended(socket); got != "3000 revoked" {
			t.Errorf("after a logout the socket ends with %q", got)
		}
		if got := <-stream; !strings.Contains(got, "revoked") {
			t.Errorf("after a logout the stream ends with %q", got)
		}
		if got := b.me(ann); got != "401 credential_revoked" {
			t.Errorf("after a logout: %s", got)
		}

		bob := a.login("bob")
		socket = b.open(bob)
		a.act("/roles?user=bob", credential{})
		if got := ended(socket); got != "3000 reauth" {
			t.Errorf("after a change of roles the socket ends with %q", got)
		}

		token := bearerOf(k, "cas")
		socket = b.open(token)
		a.act("/revoke?user=cas", credential{})
		if got := ended(socket); got != "3000 revoked" {
			t.Errorf("after a revocation the socket ends with %q", got)
		}
		if got := b.me(token); got != "401 credential_revoked" {
			t.Errorf("after a revocation: %s", got)
		}
	})
}

// ASVS 7.4.3: all sessions of a user, with 500 sockets and streams on two nodes.
func TestSignOutEverywhereOnTwoNodes(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		set := settings{Addrs: x.addrs, Keys: testissuer.New(t).KeySet()}
		nodes := []*process{startNode(t, set), startNode(t, set)}
		var sockets []*websocket.Conn
		var streams []<-chan string
		for range 5 {
			ann := nodes[0].login("ann")
			for i := range 80 {
				sockets = append(sockets, nodes[i%2].open(ann))
			}
			for i := range 20 {
				streams = append(streams, nodes[i%2].openStream(ann))
			}
		}
		bystander := nodes[1].open(nodes[0].login("bob"))
		began := time.Now()
		nodes[0].act("/everywhere?user=ann", credential{})
		if got := count(sockets, ended); got["3000 revoked"] != len(sockets) {
			t.Errorf("the sockets end with %v", got)
		}
		for text, n := range count(streams, func(end <-chan string) string { return <-end }) {
			if !strings.Contains(text, "revoked") {
				t.Errorf("%d streams end with %q", n, text)
			}
		}
		t.Logf("%d sockets and streams ended within %v", len(sockets)+len(streams), time.Since(began))
		stillOpen(t, bystander)
	})
}

func stillOpen(t testing.TB, socket *websocket.Conn) {
	t.Helper()
	if err := socket.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
		t.Error(err)
	}
	if _, text, err := socket.Read(t.Context()); err != nil || string(text) != "still here" {
		t.Errorf("%q %v", text, err)
	}
}

// A node is cut off for 3 s. Each end that was acknowledged meanwhile arrives.
func TestSignOutsDuringAPartition(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		cut := x.proxied()
		a := startNode(t, settings{Addrs: x.addrs, Keys: testissuer.New(t).KeySet()})
		b := startNode(t, settings{Addrs: x.addrs, Via: cut.via, Keys: testissuer.New(t).KeySet()})
		var cookies []credential
		var sockets []*websocket.Conn
		for i := range 100 {
			c := a.login(fmt.Sprint("user", i))
			cookies, sockets = append(cookies, c), append(sockets, b.open(c))
		}
		cut.each((*proxy).sever)
		severed := time.Now()
		for _, c := range cookies {
			a.act("/logout", c)
		}
		time.Sleep(3*time.Second - time.Since(severed))
		cut.each((*proxy).heal)
		if got := count(sockets, ended); got["3000 revoked"] != len(sockets) {
			t.Errorf("the sockets end with %v", got)
		}
	})
}

// The connections of a node to the server die, and nothing says so.
func TestConnectionThatDiesWithoutAnError(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		between := x.proxied()
		a := startNode(t, settings{Addrs: x.addrs, Keys: testissuer.New(t).KeySet()})
		b := startNode(t, settings{Addrs: x.addrs, Via: between.via, Keys: testissuer.New(t).KeySet()})
		c := a.login("ann")
		socket := b.open(c)
		between.each((*proxy).deaden)
		began := time.Now()
		a.act("/logout", c)
		if got := ended(socket); got != "3000 revoked" {
			t.Errorf("the socket ends with %q", got)
		}
		t.Logf("found after %v", time.Since(began).Round(time.Millisecond))
	})
}

// The connection that reads the log leads to a replica that no longer follows its master, without
// any error. The node finds it by the entries of its own that do not arrive.
func TestLogOfAStaleReplica(t *testing.T) {
	t.Parallel()
	x := startBesideAStaleReplica(t, settings{})
	x.between.turn(x.master.Addr, func(l *link) bool { return !l.reads })
	for range 2 { // also once every connection has been asked about
		if got := x.signOut(t); got != "3000 revoked" {
			t.Errorf("the socket ends with %q", got)
		}
	}
}

// Every connection of a node leads to such a replica, and its entries arrive there. The node finds
// the master once its connections are used no longer.
func TestNodeOfAStaleReplica(t *testing.T) {
	t.Parallel()
	x := startBesideAStaleReplica(t, settings{Short: true})
	c := x.a.login("ann")
	eventually(t, "a request is answered by the replica", func() bool { return x.b.me(c) == "401 no_credential" })
	x.between.turn(x.master.Addr, func(*link) bool { return false })
	if got := x.signOut(t); got != "3000 revoked" && got != "3000 expired" { // the replica does not have the tombstone
		t.Errorf("the socket ends with %q", got)
	}
}

// besideAStaleReplica are two nodes, of which the connections of one lead to the replica.
type besideAStaleReplica struct {
	master  *server
	between *proxy
	a, b    *process
}

func startBesideAStaleReplica(t *testing.T, set settings) besideAStaleReplica {
	t.Helper()
	master := startServer(t)
	replica := startReplica(t, master)
	stale := raw(t, replica.Addr)
	between := startProxy(t, master.Addr)
	set.Keys, set.Addrs = testissuer.New(t).KeySet(), []string{master.Addr}
	a := startNode(t, set)
	set.Addrs = []string{between.addr()}
	b := startNode(t, set)
	b.open(a.login("bob"))
	eventually(t, "the replica has followed", func() bool {
		return strings.Contains(stale.Info(t.Context(), "replication").Val(), "master_link_status:up")
	})
	if err := stale.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	between.turn(replica.Addr, func(*link) bool { return true })
	eventually(t, "the log of the replica is read", between.reading)
	return besideAStaleReplica{master, between, a, b}
}

// signOut returns how a socket on one node ends after a logout on the other.
func (x *besideAStaleReplica) signOut(t *testing.T) string {
	t.Helper()
	c := x.a.login("ann")
	eventually(t, "the node, which connects anew, serves", func() bool { return x.b.me(c) == "200" })
	socket := x.b.open(c)
	began := time.Now()
	x.a.act("/logout", c)
	defer func() { t.Logf("found after %v", time.Since(began).Round(time.Millisecond)) }()
	return ended(socket)
}

// The server is killed and restarted, empty. No sign-out that was acknowledged is lost, also if
// the node that has the connections has not heard of it, and also for tokens, which are not kept
// in the server.
func TestSignOutsOutliveALossOfTheServer(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		cut := x.proxied()
		k := testissuer.New(t)
		a := startNode(t, settings{Addrs: x.addrs, Keys: k.KeySet()})
		b := startNode(t, settings{Addrs: x.addrs, Via: cut.via, Keys: k.KeySet()})
		var cookies, tokens []credential
		var sockets []*websocket.Conn
		for i := range 50 {
			cookies = append(cookies, a.login(fmt.Sprint("user", i)))
			tokens = append(tokens, bearerOf(k, fmt.Sprint("machine", i)))
			sockets = append(sockets, b.open(cookies[i]), b.open(tokens[i]))
		}
		bystander := b.open(bearerOf(k, "bystander"))
		a.open(cookies[0]) // has the node read the log
		cut.each((*proxy).sever)
		for i, c := range cookies {
			a.act("/logout", c)
			a.act(fmt.Sprint("/revoke?user=machine", i), credential{})
		}
		x.restart()
		cut.each((*proxy).heal)
		if got := count(sockets, ended); got["3000 revoked"]+got["3000 expired"] != len(sockets) {
			t.Errorf("the sockets end with %v", got)
		}
		for _, node := range []*process{a, b} {
			node.awaitReady()
			for _, c := range slices.Concat(cookies, tokens) {
				if got := node.me(c); got != "401 credential_revoked" && got != "401 no_credential" {
					t.Errorf("an old credential is answered with %q", got)
				}
			}
		}
		stillOpen(t, bystander)
	})
}

// While Redis is down what needs it is refused; open sockets go on until Stale (RFC 6455 §7.4.1, 1013).
func TestWhileTheServerIsDown(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		k := testissuer.New(t)
		a := startNode(t, settings{Addrs: x.addrs, Keys: k.KeySet(), Stale: true})
		c := a.login("ann")
		socket := a.open(c)
		x.kill()
		for name, refused := range map[string]func() *http.Response{
			"a handshake":          func() *http.Response { _, answer := a.dial("/ws", c); return answer },
			"a handshake by token": func() *http.Response { _, answer := a.dial("/ws", bearerOf(k, "x")); return answer },
			"a login":              func() *http.Response { answer, _ := a.do("POST", "/login?user=bob", credential{}); return answer },
			"a logout":             func() *http.Response { answer, _ := a.do("POST", "/logout", c); return answer },
			"a sign-out everywhere": func() *http.Response {
				answer, _ := a.do("POST", "/everywhere?user=bob", credential{})
				return answer
			},
			"a revocation":            func() *http.Response { answer, _ := a.do("POST", "/revoke?user=bob", credential{}); return answer },
			"a ticket":                func() *http.Response { answer, _ := a.do("POST", "/ticket", bearerOf(k, "x")); return answer },
			"the probe of readiness":  func() *http.Response { answer, _ := a.do("GET", "/ready", credential{}); return answer },
			"a request with a cookie": func() *http.Response { answer, _ := a.do("GET", "/me", c); return answer },
		} {
			if answer := refused(); answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %d, Retry-After %q", name, answer.StatusCode, answer.Header.Get("Retry-After"))
			}
		}
		if got := ended(socket); got != "1013 later" {
			t.Errorf("the socket ends with %q", got)
		}
		x.start()
		a.awaitReady()
		a.open(a.login("ann"))
	})
}
