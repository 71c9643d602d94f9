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
	"github.com/securews/securews/examples/localredis"
)

// stage has the processes and the network of the story.
type stage struct {
	origin string
	prefix string             // of the keys in Redis
	redis  *localredis.Server // nil: the user's own
	addr   string             // of Redis
	front  *front
	a, b   *node
	tokens *issuer
	client *http.Client // trusts the certificate of the front
}

// build starts everything. The stage is to be closed, also after an error.
func build(ctx context.Context, logs io.Writer, addr string) (*stage, error) {
	st := &stage{addr: addr, prefix: "securews-example-" + rand.Text() + ":"}
	var err error
	if addr == "" {
		st.redis, err = localredis.New(ctx)
		if errors.Is(err, localredis.ErrMissing) {
			err = fmt.Errorf("%w\nor name one that runs already: go run ./examples/nodes -redis host:port", err)
		}
		if err != nil {
			return st, err
		}
		st.addr = st.redis.Addr
	} else if err := localredis.Await(ctx, addr, time.Second); err != nil {
		return st, fmt.Errorf("-redis %s does not answer: %w", addr, err)
	}
	if st.tokens, err = newIssuer(); err != nil {
		return st, err
	}
	cert, err := localcert.New()
	if err != nil {
		return st, err
	}
	if st.front, err = startFront(cert); err != nil {
		return st, err
	}
	st.origin = st.front.origin
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return st, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	st.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, MaxIdleConnsPerHost: 64,
	}}
	for name, n := range map[string]**node{"A": &st.a, "B": &st.b} {
		if *n, err = startNode(name, st, logs); err != nil {
			return st, err
		}
		if err := st.front.add(ctx, *n); err != nil {
			return st, err
		}
	}
	return st, nil
}

// close ends everything that was started, and removes the keys of a server that is the user's.
func (st *stage) close() error {
	for _, n := range []*node{st.a, st.b} {
		if n != nil {
			n.kill()
		}
	}
	if st.front != nil {
		st.front.close()
	}
	if st.redis != nil {
		st.redis.Close()
		return nil
	}
	return st.removeKeys()
}

func (st *stage) removeKeys() error {
	if st.a == nil {
		return nil // no node has written one
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := goredis.NewClient(&goredis.Options{Addr: st.addr})
	defer func() { _ = client.Close() }()
	var errs []error
	keys := client.Scan(ctx, 0, st.prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		errs = append(errs, client.Del(ctx, keys.Val()).Err())
	}
	return errors.Join(append(errs, keys.Err())...)
}
