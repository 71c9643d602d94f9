package live

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// A revocation whose client may fetch another credential ends members with the word expired,
// and in every other way as a revocation does.
func TestRevocationThatSaysExpired(t *testing.T) {
	inBubble(t, Config{Timeouts: Timeouts{Recheck: time.Minute}}, func(t *testing.T, w *world) {
		expired := func(context.Context, middleware.Principal) error {
			return middleware.Unauthorized(middleware.ReasonCredentialExpired, errors.New("issued about the time of the cut-off"))
		}
		session := func(name string) middleware.Principal {
			return with(ann, func(p *middleware.Principal) { p.SessionHandle = name })
		}
		tests := []struct {
			sentence string
			event    func()
			restarts bool // the end has begun with another cause
			want     string
			revoked  bool
		}{
			{sentence: "a reported end is a revocation", event: func() { w.store.tell(names["subject"]) }, want: "expired", revoked: true},
			{
				sentence: "it overrules a cause that flushes",
				event:    func() { w.store.tell(names["subject"]) }, restarts: true, want: "restart expired", revoked: true,
			},
			{sentence: "an end that a recheck finds is none", event: func() { time.Sleep(time.Minute) }, want: "expired"},
			{sentence: "and overrules nothing", event: func() { time.Sleep(time.Minute) }, restarts: true, want: "restart"},
		}
		for _, tt := range tests {
			w.store.answer(nil)
			f := w.joinAs(&fake{stays: true}, w.auth, session(tt.sentence))
			if tt.restarts {
				f.end(Restart)
			}
			w.store.answer(expired)
			tt.event()
			wantEnded(t, f, tt.want)
			cause := f.causes[len(f.causes)-1]
			if errors.Is(cause, Revoked) != tt.revoked || errors.Is(cause, Expired) == tt.restarts && !tt.revoked {
				t.Errorf("%s: the last cause is %v", tt.sentence, cause)
			}
			f.Leave(nil)
		}
	})
}

// A long poll that is answered in the place of its handler reads the same word.
func TestRefusalOfARevocationThatSaysExpired(t *testing.T) {
	t.Parallel()
	for cause, want := range map[*Cause]middleware.Reason{
		Revoked: "credential_revoked", Expired: "credential_expired", Expired.Wrap(Revoked): "credential_expired",
	} {
		wantRefusal(t, refusalOf(cause), 401, want)
	}
}
