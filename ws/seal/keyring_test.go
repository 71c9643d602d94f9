package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/ws/wstest"
)

// A rotation: the new key is added beside the old one and offered first; a client that knows
// either can connect; the old key is removed automatically when it ends.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next, hybrid := must(GenerateKey(X25519, day(10))), must(GenerateKey(X25519, day(40))), must(GenerateKey(XWing, day(5)))
		ring := must(NewKeyring(old))
		if err := ring.Replace(old, hybrid, next); err != nil {
			t.Fatal(err)
		}
		names := func(keys []Key) (s string) {
			for _, k := range keys {
				s += map[kid]string{old.id: "old ", next.id: "next ", hybrid.id: "hybrid "}[k.id]
			}
			return s
		}
		if got := names(ring.offered(defaultSuites())); got != "hybrid next old " {
			t.Errorf("offered: %s; want by suite, then the newest", got)
		}
		if got := names(ring.live()); got != "next old hybrid " {
			t.Errorf("directory: %s; want the newest first", got)
		}
		if got := names(ring.offered([]Suite{X25519})); got != "next old " {
			t.Errorf("offered of X25519: %s", got)
		}
		time.Sleep(7 * 24 * time.Hour)
		if got := names(ring.live()); got != "next old " {
			t.Errorf("after 7 days: %s", got)
		}
		time.Sleep(3 * 24 * time.Hour)
		if got := names(ring.live()); got != "next " {
			t.Errorf("after 10 days, to the second: %s", got)
		}
		time.Sleep(30 * 24 * time.Hour)
		if got := ring.live(); len(got) != 0 {
			t.Errorf("after 40 days: %v", got)
		}
	})
}

// An open connection continues while the keys change.
func TestRotationMidStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := must(GenerateKey(X25519, day(1)))
		ring := must(NewKeyring(old))
		l := lab{keys: []Key{old}, server: Config{Keys: ring}}

		l.up = func(i int, m message) []message {
			if i == 2 {
				if err := ring.Replace(must(GenerateKey(X25519, day(30)))); err != nil {
					t.Error(err)
				}
			}
			return []message{m}
		}
		l.connect(t).wantSuccess(t)
	})
}

// A ring accepts only usable keys, reports every problem, and on an error keeps its keys.
func TestKeyringMistakes(t *testing.T) {
	good := must(GenerateKey(P256, day(1)))
	past := must(GenerateKey(P256, time.Now().Add(-time.Minute)))
	ring := must(NewKeyring(good))
	err := ring.Replace(Key{}, past, good, good)
	if err == nil {
		t.Fatal("taken")
	}
	for _, what := range []string{"key 0 is the zero Key", "key 1", "has expired", "key 3", "given twice"} {
		if !strings.Contains(err.Error(), what) {
			t.Errorf("%v does not say %q", err, what)
		}
	}
	if len(ring.live()) != 1 {
		t.Error("the ring has changed")
	}
	if _, err := NewKeyring(); err == nil {
		t.Error("no keys")
	}
	if _, err := NewKeyring(make([]Key, maxKeys+1)...); err == nil {
		t.Error("too many keys")
	}
}

// A key survives a round trip through a secret store, and is not printed by anything else.
func TestKeyForms(t *testing.T) {
	for _, s := range defaultSuites() {
		k := must(GenerateKey(s, day(1)))
		b := must(k.Bytes())
		again := must(ParseKey(s, b, day(1)))
		if again.id != k.id || again.String() != k.String() {
			t.Errorf("%v: %v came back as %v", s, k, again)
		}
		if pk := must(ParsePublicKey(s, k.Public().Bytes(), time.Time{})); pk.id != k.id || pk.Suite() != s || !pk.NotAfter().IsZero() {
			t.Errorf("%v: %v came back as %v", s, k.Public(), pk)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("key", "key", k, "psk", PSK(b))
		shown := fmt.Sprintf("%v %+v %#v %s %v %+v %#v %s", k, k, k, k, PSK(b), PSK(b), PSK(b), &log)
		for _, verb := range []string{"%d", "%v", "%x", "%q"} {
			shown += fmt.Sprintf(verb, []any{PSK(b), Config{PSK: b}, ClientConfig{PSK: b}})
		}
		for _, secret := range []string{
			string(b), fmt.Sprintf("%x", b),
			fmt.Sprint(b), fmt.Sprintf("%#v", b), base64.RawURLEncoding.EncodeToString(b),
		} {
			if strings.Contains(shown, secret) {
				t.Errorf("%v shows its secret: %s", s, shown)
			}
		}
		if _, err := ParseKey(s, b[1:], day(1)); err == nil {
			t.Errorf("%v: a byte is missing", s)
		}
		if _, err := ParsePublicKey(s, k.Public().Bytes()[1:], day(1)); err == nil {
			t.Errorf("%v: a byte of the public key is missing", s)
		}
	}
	for _, err := range []error{
		second(GenerateKey(0x0012, day(1))), second(ParseKey(0x0012, nil, day(1))), second(ParsePublicKey(0x0012, nil, day(1))),
		second(GenerateKey(X25519, time.Time{})), second(Key{}.Bytes()),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
	if (Key{}).Public().Bytes() != nil || !strings.Contains(Suite(0x0012).String(), "0x0012") {
		t.Error("the zero Key is a key")
	}
}

// A secret in a field of another type is not printed either. For an unexported field fmt
// calls none of its methods, with any verb, and encoding/json does not call LogValue.
func TestSecretsInside(t *testing.T) {
	for _, s := range defaultSuites() {
		k, psk := must(GenerateKey(s, day(1))), PSK(seed("pre-shared key"))
		cfg := Config{Keys: must(NewKeyring(k)), Audience: audience, PSK: psk}
		own := ClientConfig{Keys: []PublicKey{k.Public()}, Audience: audience, App: "chat", PSK: psk}
		server, client := must(NewServer(cfg)), must(NewClient(own))
		for _, v := range []any{
			cfg, own, server, *server, client, *client, cfg.Keys,
			struct{ k Key }{k},
			struct{ k []Key }{[]Key{k}},
			struct{ s Server }{*server},
			struct{ c Client }{*client},
		} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%t"} {
				wantNoSecret(t, fmt.Sprintf("%T %s", v, verb), fmt.Sprintf(verb, v), must(k.Bytes()), psk)
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("configured", "client", own, "key", k)
		wantNoSecret(t, "JSON", log.String(), must(k.Bytes()), psk)
	}
}

func wantNoSecret(t *testing.T, what, shown string, secrets ...[]byte) {
	t.Helper()
	for _, b := range secrets {
		b = b[:8]
		for _, form := range []string{
			string(b), fmt.Sprintf("%x", b), strings.Trim(fmt.Sprint(b), "[]"), base64.StdEncoding.EncodeToString(b[:6]),
			strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", b), "[]byte{"), "}"),
		} {
			if strings.Contains(shown, form) {
				t.Errorf("%s shows a secret: %.300s", what, shown)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// GET and HEAD are answered, cacheable for a minute; other methods get 405 with Allow (RFC
// 9110 §15.5.6). The client's parser returns the same keys.
func TestDirectoryHandler(t *testing.T) {
	keys := []Key{must(GenerateKey(X25519, day(1))), must(GenerateKey(XWing, day(3))), must(GenerateKey(P256, day(2)))}
	ring := must(NewKeyring(keys...))
	mux := http.NewServeMux()
	mux.Handle(DirectoryPath, ring)
	mux.Handle("/moved", http.RedirectHandler("http://app.example"+DirectoryPath, http.StatusFound))
	mux.Handle("/within", http.RedirectHandler(DirectoryPath, http.StatusFound))
	mux.Handle("/none", http.NotFoundHandler())
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte(" "), 2*maxDirectory))
	})
	for _, c := range []struct {
		method string
		status int
	}{{"GET", 200}, {"HEAD", 200}, {"POST", 405}, {"DELETE", 405}} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(c.method, DirectoryPath, nil))
		if w.Code != c.status {
			t.Errorf("%s: %d", c.method, w.Code)
		}
		if h := w.Header(); c.status == 200 &&
			(h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "public, max-age=60") {
			t.Errorf("%s: %v", c.method, h)
		} else if c.status == 405 && (h.Get("Allow") != "GET, HEAD" || h.Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %v", c.method, h)
		}
	}

	n := wstest.NewServer(t, mux)
	for _, path := range []string{DirectoryPath, "/within"} {
		got, err := FetchKeys(t.Context(), n.Client(), wstest.URL+path)
		if err != nil || len(got) != 3 {
			t.Fatal(got, err)
		}
		for i, want := range []Key{keys[1], keys[2], keys[0]} {
			if got[i].String() != want.String() || !got[i].NotAfter().Equal(want.notAfter) {
				t.Errorf("%s: key %d is %v, want %v", path, i, got[i], want)
			}
		}
	}
	for _, address := range []string{
		wstest.URL + "/moved",
		wstest.URL + "/none", wstest.URL + "/endless", "http://app.example" + DirectoryPath, "://", "",
	} {
		if got, err := FetchKeys(t.Context(), n.Client(), address); !errors.Is(err, errDirectory) {
			t.Errorf("%s: %v, %v", address, got, err)
		}
	}
}

// Valid and invalid directories.
func TestParseDirectory(t *testing.T) {
	k := must(GenerateKey(X25519, day(1)))
	id, pk := base64.RawURLEncoding.EncodeToString(k.id[:]), base64.RawURLEncoding.EncodeToString(k.Public().Bytes())
	entry := fmt.Sprintf(`{"kid":%q,"kem":32,"pk":%q,"not_after":4102444800}`, id, pk)
	other := strings.Replace(entry, `"kem":32`, `"kem":999`, 1)
	for _, c := range []struct {
		body string
		keys int // -1: an error
	}{
		{`{"keys":[` + entry + `]}`, 1},
		{` {"keys":[` + entry + `],"more":1} `, 1},
		{`{"keys":[]}`, 0},
		{`{"keys":[` + other + `,` + entry + `]}`, 1}, // a good key beside one of a suite unknown here
		{`{"keys":[{"kem":999}]}`, 0},
		{`{"keys":[` + entry + `,` + entry + `]}`, -1},
		{`{"KEYS":[` + entry + `]}`, -1},
		{`{"keys":null}`, -1},
		{`{"keys":{}}`, -1},
		{`{}`, -1},
		{`[]`, -1},
		{`null`, -1},
		{``, -1},
		{`{"keys":[` + entry + `]}{}`, -1},
		{`{"keys":[` + entry + `,null]}`, -1},
		{`{"keys":[{}]}`, -1},
		{`{"keys":[` + strings.Replace(entry, `"kid"`, `"KID"`, 1) + `]}`, -1},
		{`{"keys":[` + strings.Replace(entry, id, "AAAAAAAAAAA", 1) + `]}`, -1},
		{`{"keys":[` + strings.Replace(entry, pk, pk+"=", 1) + `]}`, -1},
		{`{"keys":[` + strings.Replace(entry, pk, pk[:40], 1) + `]}`, -1},
		{`{"keys":[` + strings.Replace(entry, pk, "", 1) + `]}`, -1},
		{`{"keys":[` + strings.Replace(entry, "32", "16", 1) + `]}`, -1}, // the same bytes as a key of P-256
		{`{"keys":[` + strings.Replace(entry, "32", `"32"`, 1) + `]}`, -1},
		{`{"keys":[` + strings.Replace(entry, "32", "65568", 1) + `]}`, -1},
		{`{"keys":[` + strings.Replace(entry, "4102444800", "0", 1) + `]}`, -1},
		{`{"keys":[` + strings.Replace(entry, "4102444800", "1e99", 1) + `]}`, -1},
		{`{"keys":[` + strings.Replace(entry, "4102444800", "9223372036854775807", 1) + `]}`, -1},
		{`{"keys":[` + strings.Repeat(other+",", 32) + entry + `]}`, -1},
		{`{"keys":[` + strings.Repeat(other+",", 31) + entry + `]}`, 1},
		{`{"keys":[` + entry + `]}` + strings.Repeat(" ", maxDirectory), -1},
	} {
		keys, err := ParseDirectory([]byte(c.body))
		if (err == nil) != (c.keys >= 0) || err == nil && len(keys) != c.keys || err != nil && !errors.Is(err, errDirectory) {
			t.Errorf("%.200s: %v, %v, want %d", c.body, keys, err, c.keys)
		}
	}
	if !json.Valid(appendDirectory(nil, nil)) || !json.Valid(appendDirectory(nil, []Key{k, k})) {
		t.Error("the response is not JSON")
	}
}

// Every problem of a configuration is reported at once.
func TestConfigMistakes(t *testing.T) {
	_, err := NewServer(Config{Policy: 7, Suites: []Suite{XWing, XWing}, PSK: make(PSK, 32), QueueBytes: -1})
	for _, what := range []string{"Keys", "Audience", "Policy", "Suites", "PSK: all zeros", "QueueBytes"} {
		if err == nil || !strings.Contains(err.Error(), "seal: "+what) {
			t.Errorf("%v does not name %s", err, what)
		}
	}
	_, err = NewClient(ClientConfig{
		Keys: make([]PublicKey, 1), App: "chat v1", Policy: -1, Suites: []Suite{}, PSK: make(PSK, 33), QueueMessages: -1,
		Principal: strings.Repeat("x", 1<<16),
	})
	for _, what := range []string{"Keys", "Audience", "App", "Policy", "Suites", "PSK", "QueueBytes", "audience, origin"} {
		if err == nil || !strings.Contains(err.Error(), "seal: "+what) {
			t.Errorf("%v does not name %s", err, what)
		}
	}
	hybrid := must(GenerateKey(XWing, day(1))).Public()
	for _, tt := range []struct {
		cfg  ClientConfig
		what string
	}{
		{ClientConfig{}, "Keys: none"},
		{ClientConfig{Keys: []PublicKey{hybrid}, Suites: []Suite{X25519}}, "Keys: no key is of one of Suites"},
	} {
		if _, err := NewClient(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.what) {
			t.Errorf("%v, want %s", err, tt.what)
		}
	}
}
