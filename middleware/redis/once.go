package redis

import (
	"context"
	"errors"
	"net"

	goredis "github.com/redis/go-redis/v9"
)

// newClient returns a client that sends no command twice. MaxRetries does not keep that of a Cluster from
// it, and MaxRedirects would also keep it from following a slot to another server.
func newClient(options *goredis.UniversalOptions) goredis.UniversalClient {
	client := goredis.NewUniversalClient(options)
	if cluster, ok := client.(*goredis.ClusterClient); ok {
		cluster.OnNewNode(func(node *goredis.Client) { node.AddHook(once{}) })
	}
	return client
}

// once is the hook of each server of a Cluster. Pipelines are beyond it: they read, or store ends again.
type once struct{}

func (once) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (once) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func (once) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if mayBeDone(err) {
			err = errUnanswered{err.Error()}
		}
		return err
	}
}

// mayBeDone reports whether a command that failed may have been sent without an answer.
func mayBeDone(err error) bool {
	if err == nil || errors.Is(err, goredis.ErrPoolTimeout) || errors.Is(err, goredis.ErrClosed) {
		return false
	}
	if _, answered := errors.AsType[goredis.Error](err); answered {
		return false
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok && failed.Op == "dial" {
		return false
	}
	return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) // never sent again
}

// errUnanswered hides the error that has the client send the command again.
type errUnanswered struct{ text string }

func (e errUnanswered) Error() string { return e.text }
