package live

// times are the moments at which a credential ends a member or is asked about, in
// nanoseconds of [Registry.Now]; 0: none.
type times struct {
	expires int64 // end of the credential
	stale   int64 // when the last good answer no longer counts
	recheck int64 // when to ask again
	drain   int64 // when the shutdown ends this member
	maxAge  int64
}

// next returns when the first deadline of t is due, or the cause if it has passed; 0 and
// nil if there is none.
func next(now int64, t times) (due int64, cause *Cause) {
	switch {
	case past(t.expires, now):
		return 0, Expired
	case past(t.stale, now):
		return 0, Later
	case past(t.drain, now):
		return 0, Restart
	case past(t.maxAge, now):
		return 0, Reauth
	}
	for _, at := range [...]int64{t.expires, t.stale, t.recheck, t.drain, t.maxAge} {
		due = sooner(due, at)
	}
	return due, nil
}

func past(at, now int64) bool { return at > 0 && now >= at }

// sooner returns the earlier of two times, of which 0 is none.
func sooner(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
