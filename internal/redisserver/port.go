package redisserver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// ports are those that FreePort has returned.
var ports sync.Map

// FreePort returns a port of loopback that nothing listens on, once. It is below those that Linux
// gives to outgoing connections, so that a server can be started on it again.
func FreePort() (int, error) {
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if _, used := ports.LoadOrStore(port, true); used {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			_ = l.Close()
			return port, nil
		}
	}
	return 0, errors.New("no free port")
}
