package live

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// blocking is a log whose writes never return, as one to a pipe that nobody reads.
type blocking struct{ until chan struct{} }

func (blocking) Enabled(context.Context, slog.Level) bool { return true }

func (b blocking) Handle(context.Context, slog.Record) error {
	<-b.until
	return nil
}

func (b blocking) WithAttrs([]slog.Attr) slog.Handler { return b }

func (b blocking) WithGroup(string) slog.Handler { return b }

// The attack: a member that does not return, and a log that blocks when that is reported.
// The deadlines of the other members are kept.
func TestLogThatBlocksHoldsNoDeadline(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		until := make(chan struct{})
		w.cfg.Log = slog.New(blocking{until})
		stuck := w.joinAs(&fake{stays: true}, w.auth, ann)
		w.store.revoke(names["session"])
		time.Sleep(time.Minute)
		f := w.join(middleware.Principal{Issuer: ann.Issuer, Subject: "bob", Expires: time.Now().Add(time.Minute)})
		time.Sleep(time.Minute + 2*tick)
		wantEnded(t, f, "expired")
		close(until)
		stuck.Leave(nil)
	})
}

// A Follow that ends its goroutine follows nothing: no answer is known.
func TestFollowThatEndsItsGoroutine(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		broken := newStore()
		broken.follow = runtime.Goexit
		a := authOver(t, broken)
		wantRefusal(t, w.try(&fake{}, w.voucherOf(a, ann)), 503, "unavailable", "Follow")
	})
}

// The attack: a voucher is kept until its credential has run out, which no event reports,
// and opens a member then. One as old as a recheck is asked about.
func TestOldVoucherIsAskedAbout(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		w.join(ann).Leave(nil) // the Auth is followed
		time.Sleep(time.Second)
		v := w.voucher(ann)
		time.Sleep(time.Hour)
		w.store.learn(names["session"])
		wantRefusal(t, w.try(&fake{}, v), 401, "credential_revoked")
	})
}
