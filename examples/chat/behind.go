package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/securews/securews/middleware"
)

// The addresses that the program listens on by default: browsers connect to the first, a proxy
// on the same machine to the second.
const (
	directAddr = "localhost:8443"
	behindAddr = "127.0.0.1:8080"
)

const unixPrefix = "unix:"

// proxies returns the Proxies of -behind, or nil without the flag: only TLS to this process
// counts then.
func (o options) proxies() (*middleware.Proxies, error) {
	if len(o.behind) == 0 {
		return nil, nil
	}
	return middleware.NewProxies(middleware.ProxiesConfig{Trusted: o.behind})
}

// checkBehind reports the faults of -behind and of the flags that it changes.
func (o options) checkBehind() (errs []error) {
	path, onUnix := strings.CutPrefix(o.addr, unixPrefix)
	if onUnix && path == "" {
		errs = append(errs, errors.New("-addr unix: names no file: write unix:/run/chat/chat.sock"))
	}
	if len(o.behind) == 0 {
		if onUnix {
			errs = append(errs, errors.New("-addr unix: is for a proxy in front: add -behind unix"))
		}
		return errs
	}
	if _, err := o.proxies(); err != nil {
		errs = append(errs, fmt.Errorf("-behind: %w", err))
	}
	if len(o.origins) == 0 {
		errs = append(errs, errors.New("-behind needs -origin: browsers see the address of the proxy"))
	}
	if o.cert != "" {
		errs = append(errs, errors.New("-behind leaves TLS to the proxy: give -cert and -key to the proxy"))
	}
	for _, peer := range o.behind {
		if (peer == "unix") != onUnix {
			errs = append(errs, fmt.Errorf("-behind %s with -addr %s: unix:/path goes with -behind unix, and "+
				"host:port with the address of the proxy", peer, o.addr))
		}
	}
	if !onUnix && !isLoopback(o.addr) {
		errs = append(errs, fmt.Errorf("-addr %s: the requests of the proxy are not encrypted: listen on "+
			"127.0.0.1, on [::1] or on unix:/path", o.addr))
	}
	return errs
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// listen listens on -addr.
func (o options) listen() (net.Listener, error) {
	if path, ok := strings.CutPrefix(o.addr, unixPrefix); ok {
		return listenUnix(path)
	}
	return net.Listen("tcp", o.addr)
}

// listenUnix listens on a Unix socket. A killed process leaves its socket behind, which nothing else
// removes.
func listenUnix(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	if info, gone := os.Lstat(path); gone == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("-addr unix:%s: there is a file that is not a socket: name another path", path)
	}
	switch conn, refused := net.Dial("unix", path); {
	case refused == nil:
		_ = conn.Close()
		return nil, fmt.Errorf("-addr unix:%s: another process listens there: stop that one, or name another path", path)
	case !errors.Is(refused, syscall.ECONNREFUSED):
		return nil, errors.Join(err, refused)
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	return net.Listen("unix", path)
}

// serve serves HTTP/1.1 without TLS behind a proxy, and https otherwise.
func (o options) serve(srv *http.Server, listener net.Listener) error {
	if len(o.behind) > 0 {
		return srv.Serve(listener)
	}
	return srv.ServeTLS(listener, "", "")
}

// announceProxy prints the settings that the proxy needs.
func (o options) announceProxy(out io.Writer, listening net.Addr) {
	names, err := hosts(o.origins)
	if err != nil {
		return // newGate has reported it
	}
	fmt.Fprintf(out, `  The proxy connects from %s. It must
    send HTTP/1.1 without TLS to %s, with Upgrade and Connection of handshakes
    keep Host, which is %s
    set X-Forwarded-Proto to https if the client uses TLS, else to http
    set X-Forwarded-For to the client's address, or append it
    remove X-Forwarded-Host and Forwarded
  docs/deploy.md has the configurations of nginx, haproxy, Caddy and Go's ReverseProxy.

`, strings.Join(o.behind, ", "), listening, strings.Join(names, " or "))
}
