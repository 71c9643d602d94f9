package redis

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"

	goredis "github.com/redis/go-redis/v9"
)

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
