package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
)

var expiryChecks = []check[scs.Store]{
	{contract: "an entry ends at its expiry, whatever the time zone", run: ends, waits: true},
	{contract: "an entry lives until its expiry, up to 31 days", run: livesLong},
	{contract: "Commit replaces the expiry", run: replacesExpiry, waits: true},
}

// zones have other days and hours than UTC, so that a store which drops the zone of an expiry
// is found.
var zones = []*time.Location{time.UTC, time.Local, time.FixedZone("east", 14*3600), time.FixedZone("west", -12*3600)}

// early is how much sooner an entry may end: some servers count whole seconds.
const early = time.Second

func ends(t testing.TB, open func(testing.TB) scs.Store) {
	s := storeHandleOf(t, open)
	keys := make([]string, len(zones))
	expires := time.Now().Add(3 * time.Second)
	for i, zone := range zones {
		keys[i] = newKey()
		s.commit(keys[i], []byte("short"), expires.In(zone))
	}
	for i, key := range keys {
		asked := time.Now()
		if s.find(key) == nil && asked.Before(expires.Add(-early)) {
			t.Errorf("an entry that ends in %v, in zone %v, is absent", time.Until(expires), zones[i])
		}
	}
	for i, key := range keys {
		asked := time.Now()
		eventually(t, fmt.Sprintf("an entry of 3 s, in zone %v, ends", zones[i]), func() bool {
			asked = time.Now()
			return s.find(key) == nil
		})
		if asked.Before(expires.Add(-early)) {
			t.Errorf("in zone %v an entry ended %v before its expiry", zones[i], expires.Sub(asked))
		}
	}
}

func livesLong(t testing.TB, open func(testing.TB) scs.Store) {
	s := storeHandleOf(t, open)
	for _, ahead := range []time.Duration{time.Minute, time.Hour, 12 * time.Hour, 30 * 24 * time.Hour, 31 * 24 * time.Hour} {
		for _, zone := range zones {
			key := newKey()
			s.commit(key, []byte("long"), time.Now().Add(ahead).In(zone))
			s.finds(fmt.Sprintf("%v before its expiry, in zone %v", ahead, zone), key, []byte("long"))
		}
	}
}

func replacesExpiry(t testing.TB, open func(testing.TB) scs.Store) {
	s := storeHandleOf(t, open)
	longer, shorter, sibling := newKey(), newKey(), newKey()
	soon := time.Now().Add(2 * time.Second)
	s.commit(longer, []byte("was short"), soon)
	s.commit(longer, []byte("is long"), inAnHour())
	s.commit(shorter, []byte("was long"), inAnHour())
	s.commit(shorter, []byte("is short"), soon)
	s.commit(sibling, []byte("short"), soon)
	eventually(t, "an entry of 2 s ends", func() bool { return s.find(sibling) == nil })
	s.finds("after the first expiry, which a second Commit has moved by an hour", longer, []byte("is long"))
	eventually(t, "an entry of an hour ends after a second Commit with 2 s", func() bool { return s.find(shorter) == nil })
}
