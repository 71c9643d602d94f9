package redis

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A read of a node that starts waits for the first connection to the log, however long that takes, and
// fails at once after the first attempt has failed.
func TestReadsWaitForTheFirstConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newEndLog(Config{Log: slog.New(slog.DiscardHandler)}, nil)
		time.Sleep(dialTimeout)
		result := make(chan error)
		go func() { result <- l.await(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-result:
			t.Fatalf("before the first connection: %v", err)
		default:
		}
		l.markIntact()
		if err := <-result; err != nil {
			t.Errorf("after it: %v", err)
		}

		l = newEndLog(Config{Log: slog.New(slog.DiscardHandler)}, nil)
		time.Sleep(dialTimeout)
		fault := errors.New("fault")
		l.noteFault(fault)
		if err := l.await(t.Context()); !errors.Is(err, fault) {
			t.Errorf("after the first attempt has failed: %v", err)
		}
	})
}

// A read that waits since the first of two faults goes on when the log is read again, and none waits
// for a Shared that is closed.
func TestReadsWaitForTheLog(t *testing.T) {
	t.Parallel()
	fault := errors.New("fault")
	for name, tt := range map[string]struct {
		then func(*endLog)
		want error
	}{
		"the log is read again": {(*endLog).markIntact, nil},
		"it is closed":          {(*endLog).close, goredis.ErrClosed},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newEndLog(Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, nil)
			l.markIntact()
			l.noteFault(fault)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			result := make(chan error, 1)
			go func() { result <- l.await(ctx) }()
			synctest.Wait()
			l.noteFault(fault)
			tt.then(l)
			synctest.Wait()
			select {
			case err := <-result:
				if !errors.Is(err, tt.want) {
					t.Errorf("%s: %v, want %v", name, err, tt.want)
				}
			default:
				t.Errorf("%s: the read waits on", name)
			}
		})
	}
}
