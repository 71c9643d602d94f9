package session

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func sampleRecord() *record {
	return &record{
		issuer: "session", subject: "alice", scopes: []string{"chat", "read"},
		attributes: map[string]string{"device": "phone", "name": "Alice Ünïcode"},
		values:     []value{{"cart", `{"n":1}`}, {"theme", `"dark"`}},
		roles:      []string{"admin"},
		marks: marks{
			everywhere: strings.Repeat("e", 16),
			others:     "\xff\x00" + strings.Repeat("o", 14), roles: strings.Repeat("r", 16),
		},
		provider: provider{issuer: "https://id.example", subject: "7", session: strings.Repeat("s", 43), mark: strings.Repeat("p", 16)},
		login:    1_699_999_999_000_000_000, start: 1_700_000_000_000_000_000,
		seen: 1_700_000_060_000_000_000, end: 1_700_043_200_000_000_000,
	}
}

func TestRecordRoundTrip(t *testing.T) {
	for _, rec := range []*record{sampleRecord(), {issuer: "i", start: 1, login: 1, seen: 1, end: 2}} {
		b, err := rec.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(b)
		if err != nil || !reflect.DeepEqual(got, rec) {
			t.Errorf("%+v %v, want %+v", got, err, rec)
		}
	}
}

// The layout, byte for byte.
func TestDecodeReadsVersion5(t *testing.T) {
	b := []byte("wss\x05" +
		"\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x04" +
		"\x10everywhere-mark.\x00\x10the-roles--mark." +
		"\x07session\x05alice\x01i\x017\x06handle\x10providers--mark.\x01\x04chat\x01\x05admin\x01\x06device\x05phone\x01\x04cart\x011")
	want := &record{
		issuer: "session", subject: "alice", scopes: []string{"chat"}, roles: []string{"admin"},
		attributes: map[string]string{"device": "phone"}, values: []value{{"cart", "1"}},
		marks:    marks{everywhere: "everywhere-mark.", roles: "the-roles--mark."},
		provider: provider{"i", "7", "handle", "providers--mark."}, login: 1, start: 2, seen: 3, end: 4,
	}
	got, err := decode(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v %v, want %+v", got, err, want)
	}
	if again, err := got.encode(); err != nil || !bytes.Equal(again, b) {
		t.Errorf("it is written as %q %v", again, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := sampleRecord().encode()
	if err != nil {
		t.Fatal(err)
	}
	const head, texts = 4 + 4*8, 4 + 4*8 + 3*17 // the offsets of the marks and the issuer
	edit := func(fn func(rec *record)) []byte {
		rec := sampleRecord()
		fn(rec)
		b := appendString(appendString(appendString(bytes.Clone(good[:head]), rec.marks.everywhere), rec.marks.others), rec.marks.roles)
		b = appendString(appendString(b, rec.issuer), rec.subject)
		b = append(b, 0, 0, 0)
		b = appendString(b, rec.provider.mark)
		b = append(b, 0, 0, 0, byte(len(rec.values)))
		for _, e := range rec.values {
			b = appendString(appendString(b, e.name), e.json)
		}
		return b
	}
	time := func(i int, text string) []byte { // the i-th of login, start, seen, end
		return append(append(bytes.Clone(good[:4+8*i]), text...), good[12+8*i:]...)
	}
	for name, b := range map[string][]byte{
		"nothing":                           nil,
		"the head alone":                    good[:head],
		"version 1":                         append([]byte("wss\x01"), good[4:]...),
		"version 2":                         append([]byte("wss\x02"), good[4:]...),
		"version 3":                         append([]byte("wss\x03"), good[4:]...),
		"version 4":                         append([]byte("wss\x04"), good[4:]...),
		"a later version":                   append([]byte("wss\x06"), good[4:]...),
		"a mark of the provider of 1 byte":  edit(func(rec *record) { rec.provider.mark = "p" }),
		"an entry beside the records":       append([]byte(entryMagic), good[4:]...),
		"a login after the start":           time(0, "\x7f\xff\xff\xff\xff\xff\xff\xff"),
		"a login of zero":                   time(0, "\x00\x00\x00\x00\x00\x00\x00\x00"),
		"a start of zero":                   time(1, "\x00\x00\x00\x00\x00\x00\x00\x00"),
		"an end of zero":                    time(3, "\x00\x00\x00\x00\x00\x00\x00\x00"),
		"an end a century later":            time(3, "\x40\x00\x00\x00\x00\x00\x00\x00"),
		"a mark of 15 bytes":                edit(func(rec *record) { rec.marks.others = rec.marks.others[1:] }),
		"a mark of 17 bytes":                edit(func(rec *record) { rec.marks.everywhere += "x" }),
		"a mark of the roles of 1 byte":     edit(func(rec *record) { rec.marks.roles = "r" }),
		"something after the end":           append(bytes.Clone(good), 0),
		"more than 64,000 bytes":            append(bytes.Clone(good), make([]byte, 64<<10)...),
		"a length that lies":                append(bytes.Clone(good[:texts]), 0xff, 0xff, 0x03),
		"a length of four bytes":            append(bytes.Clone(good[:texts]), 0x80, 0x80, 0x80, 0x01),
		"a length that is not minimal":      append(bytes.Clone(good[:texts]), 0x80, 0x00, 0, 0, 0, 0, 0),
		"a count beyond what is left":       append(bytes.Clone(good[:texts]), 0, 0, 0xff, 0x01),
		"names that descend":                edit(func(rec *record) { rec.values[0].name = "zebra" }),
		"a name twice":                      edit(func(rec *record) { rec.values[0].name = "theme" }),
		"text that is not UTF-8":            edit(func(rec *record) { rec.subject = "\xff" }),
		"a record cut before the last byte": good[:len(good)-1],
	} {
		if rec, err := decode(b); err == nil {
			t.Errorf("%s is accepted: %+v", name, rec)
		}
	}
	for name, b := range map[string][]byte{"the test's own encoder": edit(func(*record) {}), "its times": time(0, string(good[4:12]))} {
		if _, err := decode(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// For any bytes in a store, decode neither panics nor allocates by the lengths they
// claim, and accepts one encoding of a record only.
func FuzzDecode(f *testing.F) {
	b, err := sampleRecord().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:30])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := decode(b)
		if err != nil {
			return
		}
		again, err := rec.encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x decodes, but encodes as %x %v", b, again, err)
		}
	})
}

// The parser of cookies accepts no more than net/http's, and a value that
// is accepted is 32 bytes of base64url.
func FuzzCookie(f *testing.F) {
	c := newCookie(Config{Name: "session"})
	token, _ := newToken()
	for _, line := range []string{
		"", "__Host-session=" + token, "a=b; __Host-session=" + token + "; c",
		"__Host-session=" + token + ";__Host-session=", "=__Host-session=x",
		"__Host-session = x", "__Host-session=" + token + ";__Host-session",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Cookie": {line}}
		value, n, _ := c.read(h)
		handle, ok := parseToken(value)
		if ok != (handle != "") || ok && n == 0 {
			t.Fatalf("%q: %q %v %d", line, handle, ok, n)
		}
		if !ok || n != 1 {
			return
		}
		secret, err := base64.RawURLEncoding.Strict().DecodeString(value)
		sum := sha256.Sum256(secret)
		if err != nil || len(secret) != 32 || handle != base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Errorf("%q is accepted", value)
		}
		for _, theirs := range (&http.Request{Header: h}).CookiesNamed(c.name) {
			// A pair without '=' is a cookie without a name (RFC 6265bis §5.6); net/http
			// takes it for an empty one of ours.
			if theirs.Value != value && theirs.Value != "" {
				t.Errorf("%q: net/http reads %v, we %q", line, theirs, value)
			}
		}
	})
}
