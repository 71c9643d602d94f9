package redis

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// An end that was replaced unseen is forgotten, and no later one with it. One that is in doubt is looked up
// as a new one is.
func TestMemoryForgetsAndDoubts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	expires := now.Add(time.Hour)
	var m memories
	subject := end{key: "subject", value: []byte("wsr\x01Emark"), expires: expires, first: id{2, 0}}
	token := end{key: "token", value: []byte("wsr\x01Jtime"), expires: expires, first: id{3, 0}}
	m.add(subject, now)
	m.add(token, now)

	later := now.Add(verifyFor)
	m.singles.doubt("token", later)
	if got := m.since(later, later); len(got) != 1 || got[0].key != "token" {
		t.Errorf("in doubt are %v, want the token", got)
	}
	m.forget(end{key: "subject", first: id{1, 0}})
	if _, in := m.get("subject"); in == nil {
		t.Error("a later end was forgotten with an earlier one")
	}
	m.forget(subject)
	if _, in := m.get("subject"); in != nil || len(m.all(now)) != 1 {
		t.Errorf("left are %v, want the token", m.all(now))
	}
}

// The newest ends are remembered, one for each key, and no more than memorySize.
func TestMemoryKeepsTheNewest(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	later := now.Add(time.Hour)
	var m memory
	add := func(key, value string, n uint64, expires time.Time) {
		m.add(end{key: key, value: []byte(value), expires: expires, first: id{n, 0}}, now)
	}
	for i := range uint64(3 * memorySize) {
		add(fmt.Sprint("key", i), "old", i, later)
		add("one", fmt.Sprint(i), i, later)
	}
	all := m.all(now)
	if len(all) != memorySize || len(m.order) > 2*memorySize {
		t.Errorf("%d ends in a list of %d, want %d", len(all), len(m.order), memorySize)
	}
	if last := all[len(all)-1]; last.key != "one" || string(last.value) != fmt.Sprint(3*memorySize-1) {
		t.Errorf("the last is %s %s", last.key, last.value)
	}
	add("one", "older", 5, later)
	if all := m.all(now); string(all[len(all)-1].value) == "older" {
		t.Error("an older end replaced a newer one")
	}
	add("short", "x", 1<<40, now.Add(time.Second))
	if n := len(m.all(now)) - len(m.all(now.Add(time.Second))); n != 1 {
		t.Errorf("%d have expired, want 1", n)
	}
	if got := m.since(now.Add(time.Nanosecond), now); len(got) != 0 {
		t.Errorf("%d are of later", len(got))
	}
}

// An end whose entry has an earlier id than one that the node knew before is not stored: the log has begun
// anew, by a clock that was set back.
func TestEndWithAnEarlierIDIsRefused(t *testing.T) {
	t.Parallel()
	l := newEndLog(Config{}, nil)
	s := end{key: "key", value: []byte("wsr\x01Emark"), expires: time.Now().Add(time.Hour)}
	if err := l.remember("5-0", &s, id{}); err != nil {
		t.Fatal(err)
	}
	if err := l.remember("3-0", &s, id{5, 0}); !errors.Is(err, errEarlier) {
		t.Errorf("%v, want %v", err, errEarlier)
	}
	if known, _ := l.remembered.get("key"); known.first != (id{5, 0}) {
		t.Errorf("remembered is the end of %v", known.first)
	}
	if err := l.remember("3-0", &s, id{2, 0}); err != nil { // another node was faster
		t.Error(err)
	}
}
