package session_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2/memstore"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

func newRevocations(t *testing.T) middleware.Revocations {
	t.Helper()
	list, err := session.NewRevocations(memstore.NewWithCleanupInterval(0))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// revoked asks, and fails unless there is an answer.
func revoked(t *testing.T, list middleware.Revocations, p middleware.Principal) bool {
	t.Helper()
	yes, err := list.Revoked(t.Context(), p)
	if err != nil {
		t.Error(err)
	}
	return yes
}

// A subject may be disabled until a year that nanoseconds cannot count.
func TestRevocationOfAFarYear(t *testing.T) {
	t.Parallel()
	for _, year := range []int{2200, 2263, 2900, 9999} {
		list, far := newRevocations(t), time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC)
		for _, v := range []middleware.Revocation{
			{Subject: "alice", Before: far, Expires: far}, {TokenHandle: "token", Expires: far}, {SessionHandle: "session", Expires: far},
		} {
			if err := list.Revoke(t.Context(), v); err != nil {
				t.Error(year, err)
			}
		}
		for name, p := range map[string]middleware.Principal{
			"the subject": {Subject: "alice", IssuedAt: time.Now()}, "the subject, without a time": {Subject: "alice"},
			"the token": {TokenHandle: "token"}, "the session": {SessionHandle: "session"},
		} {
			if !revoked(t, list, p) {
				t.Errorf("%d: %s is not revoked", year, name)
			}
		}
	}
}

// The second revocation of a handle is for a shorter time: the first one holds.
func TestSecondRevocationShortensNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		list := newRevocations(t)
		for _, d := range []time.Duration{time.Hour, time.Second, time.Minute} {
			v := middleware.Revocation{TokenHandle: "token", SessionHandle: "session", Expires: time.Now().Add(d)}
			if err := list.Revoke(t.Context(), v); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour - time.Second)
		for name, p := range map[string]middleware.Principal{"token": {TokenHandle: "token"}, "session": {SessionHandle: "session"}} {
			if !revoked(t, list, p) {
				t.Errorf("the %s is not revoked any more, a second before the end of an hour", name)
			}
		}
	})
}
