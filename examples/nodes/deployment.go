package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/examples/localcert"
	"github.com/securews/securews/internal/redisserver"
)

// deployment has the processes of the scenario, and the network between them.
type deployment struct {
	origin string
	prefix string              // of the keys in Redis
	redis  *redisserver.Server // nil: the user's own
	addr   string              // of Redis
	proxy  *proxy
	a, b   *node
	tokens *issuer
	client *http.Client // trusts the certificate of the proxy
}

// deploy starts everything. The deployment is to be closed, also after an error.
func deploy(ctx context.Context, logs io.Writer, addr string) (*deployment, error) {
	d := &deployment{addr: addr, prefix: "securews-example-" + rand.Text() + ":"}
	var err error
	if addr == "" {
		d.redis, err = redisserver.New(ctx)
		if errors.Is(err, redisserver.ErrMissing) {
			err = fmt.Errorf("%w\nor name one that runs already: go run ./examples/nodes -redis host:port", err)
		}
		if err != nil {
			return d, err
		}
		d.addr = d.redis.Addr
	} else if err := redisserver.Await(ctx, addr, time.Second); err != nil {
		return d, fmt.Errorf("-redis %s does not answer: %w", addr, err)
	}
	if d.tokens, err = newIssuer(); err != nil {
		return d, err
	}
	cert, err := localcert.New()
	if err != nil {
		return d, err
	}
	if d.proxy, err = startProxy(cert); err != nil {
		return d, err
	}
	d.origin = d.proxy.origin
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return d, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	d.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, MaxIdleConnsPerHost: 64,
	}}
	for name, n := range map[string]**node{"A": &d.a, "B": &d.b} {
		if *n, err = startNode(name, d, logs); err != nil {
			return d, err
		}
		if err := d.proxy.add(ctx, *n); err != nil {
			return d, err
		}
	}
	return d, nil
}

// close ends everything that was started, and removes the keys of a server that is the user's.
func (d *deployment) close() error {
	for _, n := range []*node{d.a, d.b} {
		if n != nil {
			n.kill()
		}
	}
	if d.proxy != nil {
		d.proxy.close()
	}
	if d.redis != nil {
		d.redis.Close()
		return nil
	}
	return d.removeKeys()
}

func (d *deployment) removeKeys() error {
	if d.a == nil {
		return nil // no node has written one
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := goredis.NewClient(&goredis.Options{Addr: d.addr})
	defer func() { _ = client.Close() }()
	var errs []error
	keys := client.Scan(ctx, 0, d.prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		errs = append(errs, client.Del(ctx, keys.Val()).Err())
	}
	return errors.Join(append(errs, keys.Err())...)
}
