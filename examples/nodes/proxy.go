package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/securews/securews/examples/localcert"
	"github.com/securews/securews/internal/poll"
	"github.com/securews/securews/middleware"
)

// nodeHeader names the node that has answered. In a request of this example it chooses one; a proxy
// that faces the internet leaves that out.
const nodeHeader = "X-Node"

// proxy is the reverse proxy: it has the certificate, and takes the ready nodes in turn.
type proxy struct {
	origin string
	srv    *http.Server

	mu       sync.Mutex
	backends []*backend
	turn     int
}

// backend is a node, as the proxy sees it.
type backend struct {
	name    string
	handler http.Handler
	probe   string
	ready   atomic.Bool
}

func startProxy(cert tls.Certificate) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	origin, err := localcert.Origin("localhost:0", l.Addr())
	if err != nil {
		return nil, err
	}
	p := &proxy{origin: origin}
	p.srv = middleware.NewServer("", p)
	p.srv.TLSConfig.Certificates = []tls.Certificate{cert}
	p.srv.WriteTimeout = 0 // streams
	p.srv.ErrorLog = log.New(io.Discard, "", 0)
	go func() { _ = p.srv.ServeTLS(l, "", "") }()
	return p, nil
}

func (p *proxy) close() { _ = p.srv.Close() }

// add adds a node, and returns when it is ready.
func (p *proxy) add(ctx context.Context, n *node) error {
	target, err := url.Parse(n.address)
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConnsPerHost = 64
	b := &backend{name: n.name, probe: n.address + "/ready", handler: &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.Out.Host = pr.In.Host
			pr.SetXForwarded()
			pr.Out.Header.Del("X-Forwarded-Host")
			pr.Out.Header.Del(nodeHeader)
		},
		ModifyResponse: func(res *http.Response) error {
			res.Header.Set(nodeHeader, n.name)
			return nil
		},
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
	}}
	p.mu.Lock()
	p.backends = append(p.backends, b)
	p.mu.Unlock()
	go b.watch()
	return p.await(ctx, n.name, true)
}

// watch asks the node every 100 ms whether it is ready.
func (b *backend) watch() {
	client := &http.Client{Timeout: 2 * time.Second}
	for range time.Tick(100 * time.Millisecond) {
		res, err := client.Get(b.probe)
		b.ready.Store(err == nil && res.StatusCode == http.StatusOK)
		if err == nil {
			_ = res.Body.Close()
		}
	}
}

// await waits until the proxy finds the node ready, or not.
func (p *proxy) await(ctx context.Context, name string, ready bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return poll.Until(ctx, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		i := slices.IndexFunc(p.backends, func(b *backend) bool { return b.name == name })
		if i < 0 || p.backends[i].ready.Load() != ready {
			return errors.New("the readiness of " + name + " does not change")
		}
		return nil
	})
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := p.choose(r.Header.Get(nodeHeader))
	if b == nil {
		http.Error(w, "no node is ready", http.StatusServiceUnavailable)
		return
	}
	b.handler.ServeHTTP(w, r)
}

// choose returns the named node, or the next one that is ready.
func (p *proxy) choose(name string) *backend {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.backends {
		p.turn = (p.turn + 1) % len(p.backends)
		if b := p.backends[p.turn]; b.name == name || name == "" && b.ready.Load() {
			return b
		}
	}
	return nil
}
