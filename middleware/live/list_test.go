package live

import (
	"slices"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

func TestListAndEnd(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		open := func(from string, p middleware.Principal) *fake {
			f := &fake{}
			if err := w.Reserve(&f.Binding, requestFrom(from)); err != nil {
				t.Fatal(err)
			}
			if err := f.Bind(t.Context(), w.voucher(p), f); err != nil {
				t.Fatal(err)
			}
			f.Binding.Open()
			time.Sleep(time.Minute)
			return f
		}
		first := open("192.0.2.7:1", ann)
		second := open("[2001:db8:1:2::9]:1",
			with(ann, func(p *middleware.Principal) { p.SessionHandle, p.Method, p.Connection = "", "bearer", "ticket 7" }))
		third := open("@", ann)
		bob := open("192.0.2.7:1", with(ann, func(p *middleware.Principal) { p.Subject = "bob" }))
		other := open("192.0.2.7:1", with(ann, func(p *middleware.Principal) { p.Issuer = "https://other.example" }))
		list := w.List(ann.Issuer, "ann")
		want := []Info{
			{
				ID: third.ID(), Issuer: "https://id.example", Method: "session",
				SessionHandle: "session 1", Opened: time.Now().Add(-3 * time.Minute),
			},
			{
				ID: "ticket 7", Issuer: "https://id.example", Method: "bearer",
				Address: "2001:db8:1:2::", Opened: time.Now().Add(-4 * time.Minute),
			},
			{
				ID: first.ID(), Issuer: "https://id.example", Method: "session",
				SessionHandle: "session 1", Address: "192.0.2.7", Opened: time.Now().Add(-5 * time.Minute),
			},
		}
		for i := range want {
			want[i].Opened = want[i].Opened.Round(0).UTC()
			if i < len(list) && list[i].Opened.Sub(want[i].Opened).Abs() < time.Microsecond {
				list[i].Opened = want[i].Opened
			}
		}
		if !slices.Equal(list, want) {
			t.Errorf("list %+v\nwant %+v", list, want)
		}
		var ids, issuers []string
		for _, info := range w.ListSession("session 1") {
			ids, issuers = append(ids, info.ID), append(issuers, info.Issuer)
		}
		if !slices.Equal(ids, []string{other.ID(), bob.ID(), third.ID(), first.ID()}) || issuers[0] != "https://other.example" ||
			issuers[3] != "https://id.example" {
			t.Errorf("of the session: %v of %v", ids, issuers)
		}
		if l, none := w.ListSession("session 2"), w.ListSession(""); l == nil || len(l) != 0 || len(none) != 0 {
			t.Errorf("of another session %+v, of none %+v", l, none)
		}
		if l := w.List("", "ann"); l == nil || len(l) != 0 {
			t.Errorf("a subject without its issuer: %+v", l)
		}
		if w.End(ann.Issuer, "ann", bob.ID(), Revoked) || w.End(ann.Issuer, "ann", other.ID(), Revoked) ||
			w.End(ann.Issuer, "ann", "", Revoked) {
			t.Error("ended another subject's member")
		}
		if !w.End(ann.Issuer, "ann", second.ID(), &Cause{Code: 4001, Reason: "signed out"}) || !w.End(ann.Issuer, "bob", bob.ID(), nil) {
			t.Error("not found")
		}
		wantEnded(t, second, "signed out")
		wantEnded(t, bob, "revoked")
		if w.End(ann.Issuer, "ann", second.ID(), Revoked) {
			t.Error("found after it has left")
		}
		if !w.End("https://other.example", "ann", other.ID(), nil) {
			t.Error("not found by its issuer")
		}
		wantEnded(t, other, "revoked")
		for _, f := range []*fake{first, third} {
			wantEnded(t, f, "")
			f.Leave(nil)
		}
	})
}
