package session_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

func TestConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  session.Config
		want []string // in the error, all of them; none: accepted
	}{
		"the zero value":                   {session.Config{}, nil},
		"an Absolute shorter than 30 min":  {session.Config{Absolute: time.Minute}, nil},
		"a negative Idle":                  {session.Config{Idle: -1}, []string{"Idle"}},
		"a negative Absolute":              {session.Config{Absolute: -1}, []string{"Absolute"}},
		"a negative StoreTimeout":          {session.Config{StoreTimeout: -1}, []string{"StoreTimeout"}},
		"an Idle beyond Absolute":          {session.Config{Idle: 13 * time.Hour}, []string{"Idle"}},
		"a month and more":                 {session.Config{Absolute: 31 * 24 * time.Hour}, []string{"Absolute"}},
		"a minute for the store":           {session.Config{StoreTimeout: time.Minute}, []string{"StoreTimeout"}},
		"a name with its prefix":           {session.Config{Name: "__Host-x"}, []string{"Name"}},
		"a name that ends the cookie":      {session.Config{Name: "x; Domain=example"}, []string{"Name"}},
		"a name of 65 bytes":               {session.Config{Name: strings.Repeat("x", 65)}, []string{"Name"}},
		"a previous name with its prefix":  {session.Config{PreviousName: "__Host-x"}, []string{"PreviousName"}},
		"a previous name that is the name": {session.Config{PreviousName: "session"}, []string{"PreviousName"}},
		"embedded and Lax": {
			session.Config{DangerouslyEmbedded: true, SameSiteLax: true}, []string{"DangerouslyEmbedded"},
		},
		"embedded without Secure": {
			session.Config{DangerouslyEmbedded: true, DangerouslyAllowLocalHTTP: true}, []string{"DangerouslyEmbedded"},
		},
		"an issuer that leaves its quotes": {session.Config{Issuer: `x", Basic realm="y`}, []string{"Issuer"}},
		"an issuer with a line break":      {session.Config{Issuer: "x\r\ny"}, []string{"Issuer"}},
		"a store that is a nil pointer":    {session.Config{Store: (*shakyStore)(nil)}, []string{"Store"}},
		"revocations that are a nil one":   {session.Config{Revocations: (*downRevocations)(nil)}, []string{"Revocations"}},
		"everything at once, and all of it": {
			session.Config{Idle: -1, Absolute: -1, Name: "_", Issuer: "\x00"}, []string{"Idle", "Absolute", "Name", "Issuer"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.cfg.Log = slog.New(slog.DiscardHandler)
			m, err := session.New(tt.cfg)
			if (err == nil) != (tt.want == nil) || (m == nil) != (err != nil) {
				t.Fatalf("%v %v", m, err)
			}
			for _, word := range tt.want {
				if !strings.Contains(err.Error(), "session: "+word+": ") {
					t.Errorf("%v does not name %s", err, word)
				}
			}
		})
	}
	if reflect.TypeFor[session.Config]().Comparable() || reflect.TypeFor[session.Identity]().Comparable() {
		t.Error("Config or Identity is comparable")
	}
}

// ASVS 3.3.1-3.3.5: no field weakens the cookie, except those that the package doc names.
func TestConfigCannotWeakenTheCookie(t *testing.T) {
	for i := range reflect.TypeFor[session.Config]().NumField() {
		switch f := reflect.TypeFor[session.Config]().Field(i).Name; f {
		case "_", "Store", "StoreTimeout", "Idle", "ConnectionsExtendIdle", "Absolute", "Name", "PreviousName", "SameSiteLax", "Persistent",
			"DangerouslyEmbedded", "LogoutClearsCache", "LogoutClearsCookies", "DangerouslyAllowLocalHTTP", "Issuer", "Revocations", "Log":
		default:
			t.Errorf("a new field, %s: does it weaken the cookie?", f)
		}
	}
}

// ASVS 16.2.5: neither token nor handle reaches the log.
func TestLogsHoldNoSecret(t *testing.T) {
	var log bytes.Buffer
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	p := b.mustPrincipal(m)
	_ = store.MemStore.Commit(p.SessionHandle, []byte("spoiled"), time.Now().Add(time.Hour))
	b.wants("/me", 401, "no_credential")
	fmt.Fprintln(&log, m.Alive(t.Context(), p), m.End(t.Context(), "alice", p.SessionHandle))
	if text := log.String(); !strings.Contains(text, "a record is not usable") || strings.Contains(text, p.SessionHandle) ||
		strings.Contains(text, b.cookies[hostCookie]) {
		t.Errorf("log: %s", text)
	}
}

// Two managers in one chain keep apart.
func TestTwoManagers(t *testing.T) {
	users, admins := newManager(t, session.Config{}), newManager(t, session.Config{Name: "admin", Issuer: "admins"})
	mux := http.NewServeMux()
	mux.HandleFunc("/user", func(_ http.ResponseWriter, r *http.Request) {
		_ = users.Login(r.Context(), session.Identity{Subject: "alice"})
		_ = note.Put(users.Values(r.Context()), "user's")
	})
	mux.HandleFunc("/admin", func(_ http.ResponseWriter, r *http.Request) {
		_ = admins.Login(r.Context(), session.Identity{Subject: "root"})
		if _, ok, _ := note.Get(admins.Values(r.Context())); ok {
			t.Error("the admin session has the user's value")
		}
	})
	b := newBrowser(t, admins.Handler(users.Handler(mux)))
	b.wants("/user", 200, "")
	b.wants("/admin", 200, "")
	if p := b.mustPrincipal(users); p.Subject != "alice" || p.Issuer != "session" {
		t.Errorf("user: %+v", p)
	}
	if p := b.mustPrincipal(admins); p.Subject != "root" || p.Issuer != "admins" {
		t.Errorf("admin: %+v", p)
	}
	if err := users.Alive(t.Context(), b.mustPrincipal(admins)); err != nil {
		t.Errorf("another manager's principal is not its to judge: %v", err)
	}
}

func TestZeroManagerRefuses(t *testing.T) {
	var m session.Manager
	p := middleware.Principal{SessionHandle: "x"}
	_, list := m.Sessions(t.Context(), "alice")
	_, alive := m.SessionAlive(t.Context(), "x")
	m.Follow(nil)()
	for name, err := range map[string]error{
		"Login": m.Login(t.Context(), session.Identity{Subject: "alice"}), "Logout": m.Logout(t.Context()),
		"LogoutOthers": m.LogoutOthers(t.Context()), "LogoutEverywhere": m.LogoutEverywhere(t.Context(), "alice"),
		"Sessions": list, "End": m.End(t.Context(), "alice", "x"), "SessionAlive": alive, "Alive": m.Alive(t.Context(), p),
		"Update": m.Update(t.Context(), p, func(*session.Values) error { return nil }), "SetRoles": m.SetRoles(t.Context(), "alice", nil),
	} {
		if err == nil {
			t.Errorf("%s of the zero Manager succeeds", name)
		}
	}
}
