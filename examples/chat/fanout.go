package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// fanout carries the messages of rooms between the nodes, by Redis Pub/Sub. A node that is cut off
// misses those of that time. Sign-outs do not go this way.
type fanout struct {
	client goredis.UniversalClient
	log    *slog.Logger
}

const (
	fanoutChannel = keyPrefix + "said"
	lastIDKey     = keyPrefix + "said:last"
	fanoutTimeout = 2 * time.Second
)

// publishScript numbers a message and publishes it, so that all nodes have the same order.
var publishScript = goredis.NewScript(`
local id = redis.call('INCR', KEYS[1])
redis.call('PUBLISH', ARGV[1], string.format('[%d,%s]', id, ARGV[2]))
return id`)

// publish sends a message to all nodes, this one too.
func (f *fanout) publish(m said) error {
	ctx, cancel := context.WithTimeout(context.Background(), fanoutTimeout)
	defer cancel()
	return publishScript.Run(ctx, f.client, []string{lastIDKey}, fanoutChannel, encode(m)).Err()
}

// follow calls deliver with each message, until ctx ends.
func (f *fanout) follow(ctx context.Context, deliver func(said)) {
	subscription := f.client.Subscribe(ctx, fanoutChannel)
	context.AfterFunc(ctx, func() { _ = subscription.Close() })
	for message := range subscription.Channel() {
		var id int64
		var m said
		if err := json.Unmarshal([]byte(message.Payload), &[]any{&id, &m}); err != nil {
			f.log.Warn("a message of another node", "error", err)
			continue
		}
		m.ID = id
		deliver(m)
	}
}
