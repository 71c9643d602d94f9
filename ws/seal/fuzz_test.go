package seal

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

func seeds(f *testing.F, pick func(sessionVector) []byte) {
	var v vectors
	if err := json.Unmarshal(must(os.ReadFile(vectorsFile)), &v); err != nil {
		f.Fatal(err)
	}
	for _, s := range v.Sessions {
		f.Add(pick(s))
	}
	f.Add([]byte(nil))
	f.Add([]byte{1, 1, 0, 0})
	f.Add([]byte{2, 1, 0, 0})
}

// An accepted hello is encoded to the same bytes again: no part of it is ignored.
func FuzzServerHello(f *testing.F) {
	seeds(f, func(s sessionVector) []byte { return s.ServerHello })
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := parseServerHello(b); ok && !bytes.Equal(h.bytes(), b) {
			t.Errorf("%x was read as %+v", b, h)
		}
	})
}

func FuzzClientHello(f *testing.F) {
	seeds(f, func(s sessionVector) []byte { return s.ClientHello })
	keys := []Key{must(GenerateKey(X25519, day(1))), must(GenerateKey(P256, day(1)))}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := parseClientHello(b); ok && !bytes.Equal(h.bytes(), b) {
			t.Errorf("%x was read as %+v", b, h)
		}
		if newConn(nil, 0, 0).agree(keys, binding{}, nil, b, nil) {
			t.Errorf("%x names a key of ours", b) // 64 bits would have to be guessed
		}
		// Insert the keys that it names, so that enc is parsed.
		if len(b) >= clientHelloHead {
			for _, k := range keys {
				b = bytes.Clone(b)
				copy(b[4:], k.Public().offer().append(nil))
				newConn(nil, 0, 0).agree(keys, binding{}, nil, b, nil)
			}
		}
	})
}

// A direction opens only exactly its next record; after any other input it opens nothing.
func FuzzRecord(f *testing.F) {
	sealed := func(typ recordType, p string) []byte {
		return must(newDirection(seed("fuzz"), 16).seal(nil, typ, []byte(p)))
	}
	f.Add(sealed(recordText, "hello"))
	f.Add(sealed(recordUpdate, ""))
	f.Add([]byte(nil))
	f.Add(make([]byte, Overhead))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDirection(seed("fuzz"), 16)
		given := bytes.Clone(b)
		typ, p, ok := d.open(b)
		if ok {
			if again := sealed(typ, string(p)); !bytes.Equal(again, given) {
				t.Errorf("%x was opened, and is sealed as %x", given, again)
			}
			return
		}
		if p != nil {
			t.Errorf("%x was refused and %q returned", given, p)
		}
		if _, _, ok := d.open(sealed(recordText, "hello")); ok {
			t.Error("it went on after a refusal")
		}
	})
}

// The keys of an accepted directory have the identifiers that the directory gives.
func FuzzDirectory(f *testing.F) {
	f.Add(appendDirectory(nil, []Key{must(GenerateKey(X25519, day(1))), must(GenerateKey(P256, day(1)))}))
	f.Add([]byte(`{"keys":[{"kem":999},null]}`))
	f.Add([]byte(`{"keys":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := ParseDirectory(b)
		if err != nil && keys != nil {
			t.Errorf("%v beside %v", keys, err)
		}
		for _, k := range keys {
			if k.id != keyID(k.Suite(), k.Bytes()) {
				t.Errorf("%v is not that of its key", k)
			}
		}
	})
}
