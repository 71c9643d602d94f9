package session

import (
	"fmt"
	"sync"
	"testing"
)

// The remembered keys are those of the subject that was asked for, also while others take
// their place.
func TestSubjectKeysAreThoseOfTheSubject(t *testing.T) {
	keys := newSubjectKeys("issuer")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 5000 {
				subject := fmt.Sprint("subject", i%2000)
				got := keys.of(subject)
				want := [...]string{entryKey('E', "issuer", subject), entryKey('O', "issuer", subject), entryKey('R', "issuer", subject)}
				if got != want {
					t.Errorf("%s: %q, want %q", subject, got, want)
					return
				}
			}
		})
	}
	all.Wait()
	keys.of("alice")
	if n := testing.AllocsPerRun(100, func() { keys.of("alice") }); n != 0 {
		t.Errorf("%v allocations for a subject that is remembered, want 0", n)
	}
}
