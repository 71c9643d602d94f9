package redis

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

func TestAnnouncementArrivesAsItWas(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for _, v := range []middleware.Revocation{
		{},
		{Resync: true},
		{Issuer: "https://id.example", Subject: "ann", Before: at, Expires: at.Add(time.Hour)},
		{SessionHandle: "s", TokenHandle: "t"},
		{Subject: "\xff\x00\"\\\n"},
		{Subject: "before 1970", Before: time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)},
	} {
		fields := announcement(v)
		got, err := parseAnnouncement(fields[1])
		if err != nil || got != v {
			t.Errorf("%+v became %+v: %v", v, got, err)
		}
	}
	for far, want := range map[time.Time]time.Time{
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC): time.Unix(0, math.MaxInt64).UTC(),
		time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC):    time.Unix(0, math.MinInt64).UTC(),
	} {
		if got, err := parseAnnouncement(announcement(middleware.Revocation{Before: far})[1]); err != nil || !got.Before.Equal(want) {
			t.Errorf("%v became %v: %v", far, got.Before, err)
		}
	}
}

func TestStoredArrivesAsItWas(t *testing.T) {
	t.Parallel()
	for _, s := range []end{
		{key: "k", value: []byte("wsr\x01E\x00\xff"), expires: time.UnixMilli(1_800_000_000_123), first: id{5, 6}},
		{key: "k", expires: time.UnixMilli(1), first: id{math.MaxUint64, 0}},
	} {
		got, err := parseEnd(id{7, 8}, fieldsOf(s.fields()))
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v became %+v: %v", s, got, err)
		}
	}
	s, err := parseEnd(id{7, 8}, fieldsOf(end{key: "k", value: []byte("v"), expires: time.UnixMilli(9)}.fields()))
	if err != nil || s.first != (id{7, 8}) {
		t.Errorf("the first entry of an end has the id of its entry: %+v %v", s, err)
	}
}

func fieldsOf(list []string) map[string]any {
	fields := map[string]any{}
	for i := 0; i+1 < len(list); i += 2 {
		fields[list[i]] = list[i+1]
	}
	return fields
}

func FuzzLogEntry(f *testing.F) {
	f.Add("1-2", "key", "value", "1800000000000", "3-4", `{"sub":"YW5u"}`)
	f.Add("1", "", "", "x", "-", `{"before":1e400}`)
	f.Fuzz(func(t *testing.T, at, key, value, expires, first, announced string) {
		position, err := parseID(at)
		if err == nil {
			if again, err := parseID(position.String()); err != nil || again != position {
				t.Errorf("%q became %v", at, position)
			}
		}
		s, err := parseEnd(position, fieldsOf([]string{fieldKey, key, fieldValue, value, fieldExpires, expires, fieldFirst, first}))
		if err == nil {
			if again, err := parseEnd(id{}, fieldsOf(s.fields())); err != nil || fmt.Sprint(again) != fmt.Sprint(s) && s.first != (id{}) {
				t.Errorf("%+v became %+v: %v", s, again, err)
			}
		}
		if v, err := parseAnnouncement(announced); err == nil {
			if again, err := parseAnnouncement(announcement(v)[1]); err != nil || again != v {
				t.Errorf("%+v became %+v: %v", v, again, err)
			}
		}
	})
}
