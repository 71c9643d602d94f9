package redis

import (
	"errors"
	"testing"
	"time"
)

// A value that contradicts is waited for, but not by each of many requests for as long as it lasts.
func TestContradictionThatLasts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	var m memories
	m.add(end{key: "key", value: []byte("wsr\x01Emark"), expires: now.Add(time.Hour)}, now)
	for _, tt := range []struct {
		after time.Duration
		value string
		want  error
	}{
		{0, "wsr\x01Elater", errContradicted},
		{contradictedFor, "wsr\x01Elater", errContradicted},
		{contradictedFor + 1, "wsr\x01Elater", errLasting},
		{2 * contradictedFor, "wsr\x01Emark", nil},
		{3 * contradictedFor, "wsr\x01Elater", errContradicted},
	} {
		if err := m.correct([]string{"key"}, [][]byte{[]byte(tt.value)}, now.Add(tt.after)); err != tt.want {
			t.Errorf("after %v: %v, want %v", tt.after, err, tt.want)
		}
	}
}

// The values that the server has, corrected by the ends that the node remembers.
func TestValuesAreCorrected(t *testing.T) {
	t.Parallel()
	const old, mark, later = "record", "wsr\x01Emark", "wsr\x01Elater"
	now := time.Unix(1_800_000_000, 0)
	inAnHour := now.Add(time.Hour)
	for _, tt := range []struct {
		name         string
		known        *end // nil: none
		server, want string
		err          error
		doubted      bool
	}{
		{name: "no end is known", server: old, want: old},
		{name: "no end is known, and nothing stored"},
		{name: "the server has the end", known: &end{value: []byte(mark), expires: inAnHour}, server: mark, want: mark},
		{name: "the server has lost it", known: &end{value: []byte(mark), expires: inAnHour}, want: mark, doubted: true},
		{name: "it has expired", known: &end{value: []byte(mark), expires: now}},
		{
			name: "the server has another", known: &end{value: []byte(mark), expires: inAnHour},
			server: later, err: errContradicted, doubted: true,
		},
		{name: "the session was deleted", known: &end{expires: inAnHour}},
		{name: "the server has it again", known: &end{expires: inAnHour}, server: old, doubted: true},
		{name: "the deletion is forgotten", known: &end{expires: now}, server: old, want: old},
	} {
		var m memories
		if tt.known != nil {
			tt.known.key = "key"
			m.add(*tt.known, now.Add(-verifyFor))
		}
		values := [][]byte{nil}
		if tt.server != "" {
			values[0] = []byte(tt.server)
		}
		err := m.correct([]string{"key"}, values, now)
		if !errors.Is(err, tt.err) || err == nil && string(values[0]) != tt.want {
			t.Errorf("%s: %q %v, want %q %v", tt.name, values[0], err, tt.want, tt.err)
		}
		if got := len(m.since(now, now)) == 1; got != tt.doubted {
			t.Errorf("%s: is looked up: %t, want %t", tt.name, got, tt.doubted)
		}
	}
}
