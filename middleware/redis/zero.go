package redis

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"

	goredis "github.com/redis/go-redis/v9"
)

var errZero = errors.New("redis: the zero Shared: make one with New")

// made returns s, or the Shared in place of nil and of the zero value, of which everything fails.
func (s *Shared) made() *Shared {
	if s == nil || s.client == nil {
		return zero()
	}
	return s
}

// shared returns the Shared of a store, as made does.
func (x *Sessions) shared() *Shared {
	if x == nil {
		return zero()
	}
	return x.s.made()
}

// zero makes a Shared of which every command fails, and which connects to no server.
var zero = sync.OnceValue(func() *Shared {
	client := goredis.NewClient(&goredis.Options{})
	client.AddHook(failing{})
	cfg := Config{Prefix: defaultPrefix, Log: slog.New(slog.DiscardHandler)}
	s := &Shared{cfg: cfg, client: client, ends: newEndLog(cfg, client)}
	s.ends.closed, s.ends.state = true, state{fault: errZero} // no reader, and reads do not wait for one
	s.store = &Sessions{s}
	return s
})

// failing has every command of a client fail.
type failing struct{}

func (failing) DialHook(goredis.DialHook) goredis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) { return nil, errZero }
}

func (failing) ProcessHook(goredis.ProcessHook) goredis.ProcessHook {
	return func(_ context.Context, cmd goredis.Cmder) error {
		cmd.SetErr(errZero)
		return errZero
	}
}

func (failing) ProcessPipelineHook(goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(_ context.Context, cmds []goredis.Cmder) error {
		for _, cmd := range cmds {
			cmd.SetErr(errZero)
		}
		return errZero
	}
}
