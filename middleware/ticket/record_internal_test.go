package ticket

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

const wire = `{"v":1,"path":"/ws","origin":"https://app.example","cid":"C1","exp":"2026-01-02T03:04:35Z",` +
	`"principal":{"iss":"https://id.example","sub":"ann","sid":"s","jti":"t","method":"bearer","scopes":["read"],` +
	`"attributes":{"a":"b"},"iat":"2026-01-02T03:00:00.000000001Z","exp":"2026-01-02T04:00:00Z"}}`

// The words in the store are for other versions to read: they do not change within one.
func TestRecordOnTheWire(t *testing.T) {
	p := middleware.Principal{
		Issuer: "https://id.example", Subject: "ann", SessionHandle: "s", TokenHandle: "t", Method: "bearer", Scopes: []string{"read"},
		Attributes: map[string]string{"a": "b"}, IssuedAt: time.Date(2026, 1, 2, 4, 0, 0, 1, time.FixedZone("CET", 3600)),
		Expires: time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC),
	}
	rec := &record{1, "/ws", "https://app.example", "C1", time.Date(2026, 1, 2, 3, 4, 35, 0, time.UTC), stored(p)}
	got, err := rec.encode()
	if err != nil || string(got) != wire {
		t.Errorf("encoded %s, %v", got, err)
	}
	back, err := decode([]byte(wire))
	if err != nil || !reflect.DeepEqual(back, rec) {
		t.Errorf("decoded %+v, %v", back, err)
	}
	if q := back.accepted(); !q.IssuedAt.Equal(p.IssuedAt) || !q.Expires.Equal(p.Expires) {
		t.Errorf("accepted %+v", q)
	}
}

// A binding to a certificate (RFC 8705 §3.1) or another key (RFC 9449 §6.1), roles, the time
// of the login, the issuer's key (RFC 7638), claims and an encrypted token are further members, which versions that do not
// know them refuse.
func TestFurtherMembersOnTheWire(t *testing.T) {
	const bound = `,"exp":"2026-01-02T04:00:00Z","x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0",` +
		`"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I","roles":["admin"],"auth_time":"2026-01-02T02:00:00Z",` +
		`"signing_key":"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs","claims":{"level":"3","note":"\"n\""},"sealed_token":"c2VhbGVk"}}`
	rec, err := decode([]byte(strings.Replace(wire, `,"exp":"2026-01-02T04:00:00Z"}}`, bound, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if p := rec.accepted(); p.Binding.KeyThumbprint != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" ||
		!slices.Equal(p.Roles, []string{"admin"}) || p.AuthTime.Hour() != 2 || p.Claims["level"] != "3" || p.Claims["note"] != `"n"` ||
		p.SealedToken != "c2VhbGVk" {
		t.Errorf("accepted %+v", p)
	}
	if got := rec.accepted().Binding.CertificateSHA256; got != "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" {
		t.Errorf("accepted for %q", got)
	}
	if got := rec.accepted().SigningKey; got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("accepted with the key %q", got)
	}
	if got, err := rec.encode(); err != nil || !strings.HasSuffix(string(got), bound) {
		t.Errorf("encoded %s, %v", got, err)
	}
}

// Every field of a Principal crosses the store, or is set when it is accepted.
func TestRecordKnowsAllOfAPrincipal(t *testing.T) {
	set := map[string]bool{"Connection": true, "Binding": true, "recheckBy": true}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[principal]()) {
		set[f.Name] = true
	}
	fields := slices.Concat(reflect.VisibleFields(reflect.TypeFor[middleware.Principal]()),
		reflect.VisibleFields(reflect.TypeFor[middleware.Binding]()))
	for _, f := range fields {
		if !set[f.Name] {
			t.Errorf("Principal.%s is lost on its way through a ticket", f.Name)
		}
	}
}

// Text that is not UTF-8 does not cross JSON: two subjects must not become one.
func TestEncodeRefusesWhatIsNotUTF8(t *testing.T) {
	const bad = "ann\xff"
	for name, p := range map[string]principal{
		"issuer": {Issuer: bad}, "subject": {Subject: bad}, "session": {SessionHandle: bad}, "token": {TokenHandle: bad},
		"certificate": {CertificateSHA256: bad}, "key": {KeyThumbprint: bad}, "issuer's key": {SigningKey: bad},
		"sealed token": {SealedToken: bad}, "role": {Roles: []string{bad}}, "method": {Method: bad},
		"scope": {Scopes: []string{"read", bad}}, "attribute": {Attributes: map[string]string{"a": bad}},
		"claim":            {Claims: map[string]string{"a": bad}},
		"attribute's name": {Attributes: map[string]string{bad: "a"}}, "half a letter each": {Issuer: "\xc3", Subject: "\xa4"},
	} {
		if b, err := (&record{Principal: p}).encode(); err == nil {
			t.Errorf("%s: encoded %s", name, b)
		}
	}
	if _, err := (&record{Principal: principal{Subject: "änn\ufffd"}}).encode(); err != nil {
		t.Error(err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, value := range map[string]string{
		"nothing":             "",
		"another version":     `{"v":2` + wire[6:],
		"a field more":        `{"role":"admin",` + wire[1:],
		"something behind it": wire + "{}",
		"no path":             `{"v":1,"origin":"","cid":"C1","exp":"2026-01-02T03:04:35Z","principal":{"iss":"i","sub":"s","method":"m"}}`,
		"no cid": `{"v":1,"path":"/ws","origin":"","exp":"2026-01-02T03:04:35Z",` +
			`"principal":{"iss":"i","sub":"s","method":"m"}}`,
		"no end":       `{"v":1,"path":"/ws","origin":"","cid":"C1","principal":{"iss":"i","sub":"s","method":"m"}}`,
		"no principal": `{"v":1,"path":"/ws","origin":"","cid":"C1","exp":"2026-01-02T03:04:35Z"}`,
		"cut short":    wire[:len(wire)-1],
		"too long":     wire + string(make([]byte, 16<<10)),
	} {
		if rec, err := decode([]byte(value)); err == nil {
			t.Errorf("%s: decoded %+v", name, rec)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(wire))
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		rec, err := decode(value)
		if err != nil {
			return
		}
		again, err := rec.encode()
		if err != nil {
			t.Skip(err) // escapes may make it longer than it was
		}
		back, err := decode(again)
		if err != nil || rec.Principal.Subject != back.Principal.Subject || !rec.Expires.Equal(back.Expires) {
			t.Fatalf("%s comes back as %+v, %v", again, back, err)
		}
	})
}
