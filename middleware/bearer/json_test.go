package bearer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"testing"
	"unicode/utf8"
)

var surrogate = regexp.MustCompile(`\\u[dD][89a-fA-F]`)

// plain is a second opinion on [object] by encoding/json: whether the document is one
// object, no name twice, not too deep.
func plain(doc []byte) bool {
	if !json.Valid(doc) || !utf8.Valid(doc) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber() // RFC 8259 §6: the grammar has no largest number
	first, err := d.Token()
	if err != nil || first != json.Delim('{') {
		return false
	}
	return plainRest(d, '{', 1)
}

func plainRest(d *json.Decoder, open json.Delim, depth int) bool {
	if depth > maxDepth {
		return false
	}
	names := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil || names[name.(string)] {
				return false
			}
			names[name.(string)] = true
		}
		v, err := d.Token()
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		if delim, ok := v.(json.Delim); ok && !plainRest(d, delim, depth+1) {
			return false
		}
	}
	_, err := d.Token()
	return err == nil
}

func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` {"a" : [1, -0.5e+3, "x\n\u00e9\ud83e\udd8a", true, false, null, {}, []] } `, `{"a":1,"\u0061":2}`,
		`{"a":{"b":1,"b":2}}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":+1}`, `{"a":1e}`, `{"a":1e555}`, `{"a":tru}`, `{"a":"\x"}`,
		`{"a":"\ud800"}`, `{"a":"\udc00\ud800"}`, "{\"a\":\"\xff\"}", `{"a":1}}`, `{"a":1,}`, `[1]`, `"a"`, ``, `{"a"`, `{"a":"\`,
		`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":1,"k":1,"l":1,"m":1,"n":1,"o":1,"p":1,"q":1,"a":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		members, err := object(doc)
		if want := plain(doc); (err == nil) != want && !(err != nil && surrogate.Match(doc)) {
			t.Fatalf("object says %v, encoding/json %v: %q", err, want, doc)
		}
		if err != nil {
			return
		}
		var as map[string]json.RawMessage
		if json.Unmarshal(doc, &as) != nil || len(as) != len(members) {
			t.Fatalf("%d members, encoding/json has %d: %q", len(members), len(as), doc)
		}
		for _, m := range members {
			if !bytes.Equal(as[string(m.name)], m.value) {
				t.Fatalf("%q is %q, encoding/json has %q", m.name, m.value, as[string(m.name)])
			}
		}
	})
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{"", "A", "AA", "AB", "AAA", "AAB", "AAAA", "AA==", "A+/A", "A\nAA", "____"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := canonical(s), roundTrips(s); got != want {
			t.Fatalf("%q: canonical %v, decoding and encoding again %v", s, got, want)
		}
	})
}

// roundTrips is RFC 4648 §3.5 by definition: an encoder would have written s.
func roundTrips(s string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && s != "" && base64.RawURLEncoding.EncodeToString(raw) == s
}
