package redis_test

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

// startCluster starts a Cluster of three masters, and returns their addresses.
func startCluster(t testing.TB) []string {
	t.Helper()
	needs(t, "redis-cli", "apt-get install -y --no-install-recommends redis-tools")
	var addrs []string
	for range 3 {
		bus := fmt.Sprint(freePort(t))
		s := startServer(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "5000")
		addrs = append(addrs, s.addr)
	}
	host, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-h", host, "-p", port, "--cluster", "create"}, addrs...)
	if out, err := exec.Command("redis-cli", append(args, "--cluster-yes")...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: addrs})
	defer client.Close()
	eventually(t, "the Cluster is ready", func() bool {
		info, err := client.ClusterInfo(t.Context()).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok") && client.Set(t.Context(), "ready", 1, 0).Err() == nil
	})
	return addrs
}
