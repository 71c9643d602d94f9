package redis_test

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/internal/needed"
)

// installation is a single server, or the masters of a Cluster.
type installation struct {
	t       testing.TB
	addrs   []string
	servers []*server
}

// onEach runs the test on one server and on a Cluster.
func onEach(t *testing.T, test func(t *testing.T, x *installation)) {
	t.Run("one server", func(t *testing.T) {
		s := startServer(t)
		test(t, &installation{t, []string{s.Addr}, []*server{s}})
	})
	t.Run("a Cluster", func(t *testing.T) { test(t, startCluster(t)) })
}

// startCluster starts a Cluster of three masters.
func startCluster(t testing.TB) *installation {
	t.Helper()
	needed.Program(t, "redis-cli", "apt-get install -y --no-install-recommends redis-tools")
	x := &installation{t: t}
	for range 3 {
		bus := fmt.Sprint(freePort(t))
		s := startServer(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "5000")
		x.addrs, x.servers = append(x.addrs, s.Addr), append(x.servers, s)
	}
	host, port, err := net.SplitHostPort(x.addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-h", host, "-p", port, "--cluster", "create"}, x.addrs...)
	if out, err := exec.Command("redis-cli", append(args, "--cluster-yes")...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	x.await()
	return x
}

// await waits until all slots of a Cluster are served.
func (x *installation) await() {
	x.t.Helper()
	if len(x.servers) == 1 {
		return
	}
	client := raw(x.t, x.addrs...).(*goredis.ClusterClient)
	eventually(x.t, "the Cluster is ready", func() bool {
		for i := range 30 {
			if client.Set(x.t.Context(), fmt.Sprint("ready", i), 1, 0).Err() != nil {
				return false
			}
		}
		info, err := client.ClusterInfo(x.t.Context()).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok")
	})
}

func (x *installation) allow(rule string) {
	x.t.Helper()
	for _, s := range x.servers {
		s.allow(rule)
	}
}

func (x *installation) kill() {
	for _, s := range x.servers {
		s.Kill()
	}
}

func (x *installation) start() {
	x.t.Helper()
	for _, s := range x.servers {
		s.start()
	}
	x.await()
}

// restart kills all servers and starts them again, empty.
func (x *installation) restart() {
	x.t.Helper()
	for _, s := range x.servers {
		s.restart()
	}
	x.await()
}

// proxied stands in front of every server, for one node.
type proxied struct {
	via     map[string]string // the proxy for each address
	proxies []*proxy
}

func (x *installation) proxied() *proxied {
	x.t.Helper()
	p := &proxied{via: map[string]string{}}
	for _, addr := range x.addrs {
		proxy := startProxy(x.t, addr)
		p.via[addr] = proxy.addr()
		p.proxies = append(p.proxies, proxy)
	}
	return p
}

func (p *proxied) each(fn func(*proxy)) {
	for _, proxy := range p.proxies {
		fn(proxy)
	}
}
