package session

import (
	"fmt"
	"sync"
	"testing"
)

// The remembered keys are those of the subject and issuer that were asked for, also
// while others take their place.
func TestSubjectKeys(t *testing.T) {
	keys := newSubjectKeys()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 5000 {
				issuer, subject := fmt.Sprint("issuer", i%3), fmt.Sprint("subject", i%700)
				got := *keys.of(issuer, subject)
				want := [...]string{entryKey('E', issuer, subject), entryKey('O', issuer, subject), entryKey('R', issuer, subject)}
				if got != want {
					t.Errorf("%s of %s: %q, want %q", subject, issuer, got, want)
					return
				}
			}
		})
	}
	all.Wait()
	keys.of("issuer", "alice")
	if n := testing.AllocsPerRun(100, func() { keys.of("issuer", "alice") }); n != 0 {
		t.Errorf("%v allocations for a subject that is remembered, want 0", n)
	}
}
