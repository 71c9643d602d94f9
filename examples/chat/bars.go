package main

import (
	"context"
	"fmt"
	"sync"

	goredis "github.com/redis/go-redis/v9"
)

// bars are the accounts without the role of a member.
type bars interface {
	has(ctx context.Context, name string) (bool, error)
	set(ctx context.Context, name string, barred bool) error
}

func (st state) bars() bars {
	switch {
	case st.redis != nil:
		return redisBars{st.redis.Client()}
	case st.file != nil:
		return fileBars{st.file.db}
	}
	return &memoryBars{names: map[string]bool{}}
}

type memoryBars struct {
	mu    sync.RWMutex
	names map[string]bool
}

func (b *memoryBars) has(_ context.Context, name string) (bool, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.names[name], nil
}

func (b *memoryBars) set(_ context.Context, name string, barred bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.names[name] = barred
	return nil
}

// redisBars are lost with the data of Redis, as sessions are. A real service has its accounts in a
// database.
type redisBars struct{ client goredis.UniversalClient }

const barsKey = keyPrefix + "barred"

func (b redisBars) has(ctx context.Context, name string) (bool, error) {
	barred, err := b.client.SIsMember(ctx, barsKey, name).Result()
	if err != nil {
		return false, fmt.Errorf("chat: the roles: %w", err)
	}
	return barred, nil
}

func (b redisBars) set(ctx context.Context, name string, barred bool) error {
	change := b.client.SRem
	if barred {
		change = b.client.SAdd
	}
	if err := change(ctx, barsKey, name).Err(); err != nil {
		return fmt.Errorf("chat: the roles: %w", err)
	}
	return nil
}
