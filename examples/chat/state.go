package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/alexedwards/scs/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/redis"
	"github.com/securews/securews/middleware/ticket"
)

// state is shared by the nodes of the chat, or by a process and its successor. From the zero value,
// each process is a chat of its own.
type state struct {
	secret *secret
	redis  *redis.Shared // of several nodes
	file   *stateFile    // of one
}

// keyPrefix begins every key in Redis.
const keyPrefix = "chat:"

// passwordVariable is in the environment, since other users can read the flags of a process.
const passwordVariable = "CHAT_REDIS_PASSWORD"

// openState returns the state of the command line. It does not connect: Redis may be down.
func (o options) openState(log *slog.Logger) (st state, err error) {
	if o.state != "" {
		if st.file, err = openFile(o.state); err != nil {
			return st, err
		}
		if st.secret, err = st.file.secret(); err != nil {
			st.close()
		}
		return st, err
	}
	if st.secret, err = loadSecret(o.secret); err != nil || o.redis == "" {
		return st, err
	}
	to := &goredis.UniversalOptions{Addrs: []string{o.redis}, Password: os.Getenv(passwordVariable)}
	if !isLoopback(o.redis) {
		to.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	st.redis, err = redis.New(redis.Config{Options: to, Prefix: keyPrefix, Log: log})
	return st, err
}

func (st state) close() {
	if st.redis != nil {
		_ = st.redis.Close()
	}
	if st.file != nil {
		_ = st.file.db.Close()
	}
}

// sessions returns the store for session.Config; nil: the memory of this process.
func (st state) sessions() scs.Store {
	switch {
	case st.redis != nil:
		return st.redis.Sessions()
	case st.file != nil:
		return fileSessions{st.file}
	}
	return nil
}

func (st state) tickets() (ticket.Store, error) {
	if st.redis == nil {
		return ticket.NewMemoryStore(0)
	}
	return st.redis.Tickets(), nil
}

// perMinute limits by key, or by the client's address if key is nil. All nodes share the limit of
// one name.
func (st state) perMinute(name string, n int, key func(*http.Request) string) (*middleware.RateLimit, error) {
	if st.redis == nil {
		return middleware.NewRateLimit(middleware.RateLimitConfig{Events: n, Per: time.Minute, Key: key})
	}
	limiter, err := st.redis.Limiter(redis.Limit{Name: name, Events: n, Per: time.Minute})
	if err != nil {
		return nil, err
	}
	return middleware.NewRateLimit(middleware.RateLimitConfig{Limiter: limiter, Key: key})
}

// ready returns the checks of /ready.
func (st state) ready() []func(context.Context) error {
	if st.redis == nil {
		return nil
	}
	return []func(context.Context) error{st.redis.Ready}
}
