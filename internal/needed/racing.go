package needed

import "testing"

// WithoutRace skips a test under the race detector, which does not watch the other processes
// that do the work.
func WithoutRace(t testing.TB) {
	t.Helper()
	if racing {
		t.Skip("under the race detector, which does not watch the processes that do the work")
	}
}

// SameForServer skips a test under the race detector if the server of this process does the same for
// another client or proxy.
func SameForServer(t testing.TB, other string) {
	t.Helper()
	if racing {
		t.Skipf("under the race detector, whose server does the same for %s", other)
	}
}
