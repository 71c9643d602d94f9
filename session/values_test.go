package session_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/securews/securews/session"
)

type cart struct {
	Items []string
	Total float64
}

// inRequest runs fn behind Handler and returns the browser that asked.
func inRequest(t *testing.T, b *browser, m *session.Manager, fn func(w http.ResponseWriter, r *http.Request)) *http.Response {
	t.Helper()
	b.h = m.Handler(http.HandlerFunc(fn))
	return b.get("/")
}

func TestTypedValues(t *testing.T) {
	const basket = session.Key[cart]("basket")
	m := newManager(t, session.Config{})
	b := newBrowser(t, nil)
	want := cart{[]string{"tea", "ünïcode"}, 4.5}
	inRequest(t, b, m, func(_ http.ResponseWriter, r *http.Request) {
		v := m.Values(r.Context())
		if _, ok, err := basket.Get(v); ok || err != nil {
			t.Errorf("before Put: %v %v", ok, err)
		}
		if err := basket.Put(v, want); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := basket.Get(v); !ok || err != nil || got.Total != 4.5 {
			t.Errorf("in the same request: %+v %v %v", got, ok, err)
		}
	})
	inRequest(t, b, m, func(_ http.ResponseWriter, r *http.Request) {
		v := m.Values(r.Context())
		if got, ok, err := basket.Get(v); !ok || err != nil || len(got.Items) != 2 || got.Items[1] != "ünïcode" {
			t.Errorf("in the next request: %+v %v %v", got, ok, err)
		}
		if _, ok, err := session.Key[int]("basket").Get(v); ok || err == nil {
			t.Error("a cart is no int")
		}
		if err := basket.Delete(v); err != nil {
			t.Fatal(err)
		}
		if _, ok, _ := basket.Get(v); ok {
			t.Error("deleted, and still there")
		}
	})
	inRequest(t, b, m, func(_ http.ResponseWriter, r *http.Request) {
		if _, ok, _ := basket.Get(m.Values(r.Context())); ok {
			t.Error("it is back")
		}
	})
}

func TestValuesAreBounded(t *testing.T) {
	m := newManager(t, session.Config{})
	inRequest(t, newBrowser(t, nil), m, func(_ http.ResponseWriter, r *http.Request) {
		v := m.Values(r.Context())
		for name, err := range map[string]error{
			"an empty name":          session.Key[int]("").Put(v, 1),
			"a name of 129 bytes":    session.Key[int](strings.Repeat("x", 129)).Put(v, 1),
			"a name not in UTF-8":    session.Key[int]("\xff").Put(v, 1),
			"17 KiB":                 note.Put(v, strings.Repeat("x", 17<<10)),
			"what JSON cannot write": session.Key[func()]("f").Put(v, func() {}),
		} {
			if err == nil {
				t.Errorf("%s is accepted", name)
			}
		}
		n := 0
		for n < 300 && session.Key[int]("k"+strconv.Itoa(n)).Put(v, n) == nil {
			n++
		}
		if n != 256 {
			t.Errorf("%d values fit, want 256", n)
		}
		if err := session.Key[int]("k0").Delete(v); err != nil {
			t.Error(err)
		}
	})
	inRequest(t, newBrowser(t, nil), m, func(_ http.ResponseWriter, r *http.Request) {
		v, long := m.Values(r.Context()), strings.Repeat("x", 15<<10)
		_, _ = session.Key[string]("a").Put(v, long), session.Key[string]("b").Put(v, long)
		if err := session.Key[string]("c").Put(v, long); err == nil {
			t.Error("45 KiB fit")
		}
		if _, ok, _ := session.Key[string]("c").Get(v); ok {
			t.Error("what did not fit is there")
		}
	})
}

// A change that comes too late is an error, not a silent loss.
func TestNothingChangesOnceTheResponseHasBegun(t *testing.T) {
	m := newManager(t, session.Config{})
	b := newBrowser(t, nil)
	res := inRequest(t, b, m, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begun")
		for name, err := range map[string]error{
			"Put": note.Put(m.Values(r.Context()), "x"), "Logout": m.Logout(r.Context()),
			"Login": m.Login(r.Context(), session.Identity{Subject: "alice"}),
		} {
			if !errors.Is(err, session.ErrBegun) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	if res.Header["Set-Cookie"] != nil {
		t.Errorf("Set-Cookie: %v", res.Header)
	}
}

// A request without a change begins no session.
func TestNoSessionWithoutAChange(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	b := newBrowser(t, app(t, m))
	for _, path := range []string{"/page", "/note", "/me", "/delete", "/logout"} {
		if res := b.get(path); path != "/logout" && res.Header["Set-Cookie"] != nil {
			t.Errorf("GET %s sets a cookie", path)
		}
	}
	if reads, _ := store.counts(); reads != 0 || store.records(t) != 0 {
		t.Errorf("%d reads, %d records", reads, store.records(t))
	}
}

// An update that fails writes nothing, and one outside its session is refused.
func TestUpdate(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	b.get("/put?v=old")
	p := b.mustPrincipal(m)
	mine := errors.New("not today")
	_, before := store.counts()
	err := m.Update(t.Context(), p, func(v *session.Values) error { _ = note.Put(v, "new"); return mine })
	if _, after := store.counts(); !errors.Is(err, mine) || after != before {
		t.Errorf("a failing update: %v, %d writes", err, after-before)
	}
	b.wants("/note", 200, "old")
	var kept *session.Values
	err = m.Update(t.Context(), p, func(v *session.Values) error { kept = v; return note.Put(v, "new") })
	if err != nil {
		t.Error(err)
	}
	b.wants("/note", 200, "new")
	if err := note.Put(kept, "later"); err == nil {
		t.Error("a change after the update is silently lost")
	}
	other := p
	other.Subject = "bob"
	wantsRefusal(t, "another subject", m.Update(t.Context(), other, func(*session.Values) error { return nil }), 401, "credential_expired")
	other = p
	other.Issuer = "https://idp.example"
	if err := m.Update(t.Context(), other, func(*session.Values) error { return nil }); err == nil {
		t.Error("another issuer's principal is updated")
	}
	b.get("/logout")
	err = m.Update(t.Context(), p, func(*session.Values) error { t.Error("fn is called"); return nil })
	wantsRefusal(t, "after the logout", err, 401, "credential_revoked")
}

// The writer hides nothing that net/http offers.
func TestWriterPassesOn(t *testing.T) {
	m := newManager(t, session.Config{})
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) })
	mux.HandleFunc("/flush", func(w http.ResponseWriter, r *http.Request) {
		_ = note.Put(m.Values(r.Context()), "x")
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "flushed")
	})
	mux.HandleFunc("/hint", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		_ = note.Put(m.Values(r.Context()), "x") // the response has not begun
		_, _ = io.WriteString(w, "hinted")
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, _ *http.Request) {
		c, brw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = brw.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nhijacked")
		_ = brw.Flush()
	})
	mux.HandleFunc("/control", func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "unwrapped")
	})
	srv := httptest.NewTLSServer(m.Handler(mux))
	defer srv.Close()
	for path, want := range map[string]struct {
		body   string
		cookie bool
	}{
		"/file": {"from a file", false}, "/flush": {"flushed", true}, "/hint": {"hinted", true},
		"/hijack": {"hijacked", false}, "/control": {"unwrapped", false},
	} {
		res, err := srv.Client().Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(bufio.NewReader(res.Body))
		_ = res.Body.Close()
		if string(body) != want.body || (res.Header.Get("Set-Cookie") != "") != want.cookie || res.StatusCode != 200 {
			t.Errorf("GET %s: %d %q %v", path, res.StatusCode, body, res.Header)
		}
	}
}
