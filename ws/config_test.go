package ws

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// cookie is a credential that browsers send automatically.
type cookie struct{}

func (cookie) Ambient() bool { return true }

func (cookie) Authenticate(*http.Request) (middleware.Principal, error) {
	return middleware.Principal{}, middleware.ErrNoCredential
}

// complete is a Config without a mistake.
func complete(t testing.TB) Config {
	t.Helper()
	o, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := live.New(live.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Origins: o, Auth: authOf(t, middleware.Anonymous()), Live: g, Serve: func(context.Context, *Conn) error { return nil },
	}
}

func authOf(t testing.TB, list ...middleware.Authenticator) *middleware.Auth {
	t.Helper()
	a, err := middleware.NewAuth(list...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wantMistakes wants one line for each of the fragments, and no line more.
func wantMistakes(t *testing.T, err error, fragments ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, fragment := range fragments {
		if !strings.Contains(err.Error(), fragment) {
			t.Errorf("nothing says %q in:\n%v", fragment, err)
		}
	}
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, "ws: ") {
			t.Errorf("a line does not begin with the package: %q", line)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != len(fragments) {
		t.Errorf("%d lines for %d mistakes:\n%v", n, len(fragments), err)
	}
}

func TestNewNamesEveryMistakeAtOnce(t *testing.T) {
	h, err := New(Config{})
	if h != nil {
		t.Error("a handler beside the error")
	}
	wantMistakes(t, err, "Origins: nil", "Auth: nil", "Serve: nil", "Live: nil")

	_, err = New(Config{
		Subprotocols: []string{"chat", "", "a b", "chat", "a,b", "ünicode"},
		Limits: Limits{
			Message: -1, Frames: -2, BytesPerSecond: -3, ByteBurst: -4, MessagesPerSecond: -5, MessageBurst: -6,
			ControlPerSecond: -7, QueueBytes: -8, QueueMessages: -9,
		},
		Timeouts: Timeouts{
			Message: -1, Write: -2, Idle: -3, Heartbeat: -4, Pong: -5, FirstMessage: -6, Close: -9,
		},
	})
	wantMistakes(
		t, err,
		"Origins: nil", "Auth: nil", "Serve: nil", "Live: nil",
		`Subprotocols: "" is not a token`, `Subprotocols: "a b" is not a token`, `Subprotocols: "chat" is given twice`,
		`Subprotocols: "a,b" is not a token`, `Subprotocols: "ünicode" is not a token`,
		"Limits.Message: -1 is negative", "Limits.Frames: -2 ", "Limits.BytesPerSecond: -3 ", "Limits.ByteBurst: -4 ",
		"Limits.MessagesPerSecond: -5 ", "Limits.MessageBurst: -6 ",
		"Limits.ControlPerSecond: -7 ", "Limits.QueueBytes: -8 ", "Limits.QueueMessages: -9 ",
		"Timeouts.Message: -1ns is negative", "Timeouts.Write: -2ns ", "Timeouts.Idle: -3ns ",
		"Timeouts.Heartbeat: -4ns ", "Timeouts.Pong: -5ns ",
		"Timeouts.FirstMessage: -6ns ", "Timeouts.Close: -9ns ",
	)
}

// A new field of Limits or Timeouts needs its check: each field alone, set
// to -1, is refused by its name.
func TestEveryLimitRefusesToBeNegative(t *testing.T) {
	for _, group := range []string{"Limits", "Timeouts"} {
		typ := reflect.TypeFor[Config]()
		field, _ := typ.FieldByName(group)
		for i := range field.Type.NumField() {
			name := group + "." + field.Type.Field(i).Name
			t.Run(name, func(t *testing.T) {
				cfg := complete(t)
				reflect.ValueOf(&cfg).Elem().FieldByName(group).Field(i).SetInt(-1)
				_, err := New(cfg)
				wantMistakes(t, err, name+": -1")
			})
		}
	}
}

// Any origin together with a cookie is enough for any page to act as its
// visitor (CSWSH): fatal, hence an error (ASVS 4.4.2).
func TestAnyOriginTogetherWithAnAmbientCredentialIsAnError(t *testing.T) {
	tests := []struct {
		sentence string
		auth     *middleware.Auth
		mistakes []string
	}{
		{
			"a cookie alone", authOf(t, cookie{}),
			[]string{"Origins: any origin together with a credential that browsers send automatically"},
		},
		{
			"a cookie or nothing", authOf(t, cookie{}, middleware.Anonymous()),
			[]string{"Origins: any origin together with a credential that browsers send automatically"},
		},
		{"nothing", authOf(t, middleware.Anonymous()), nil},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			cfg := complete(t)
			cfg.Origins, cfg.Auth = middleware.DangerouslyAnyOrigin(), tt.auth
			_, err := New(cfg)
			if tt.mistakes == nil && err != nil {
				t.Fatal(err)
			}
			if tt.mistakes != nil {
				wantMistakes(t, err, tt.mistakes...)
			}
		})
	}
}

func TestNewKeepsNothingOfTheCallers(t *testing.T) {
	cfg := complete(t)
	cfg.Subprotocols = []string{"chat"}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Subprotocols[0] = "evil"
	if got := h.cfg.Subprotocols[0]; got != "chat" {
		t.Errorf("the handler speaks %q", got)
	}
}

func TestHandlerWithoutNewRefuses(t *testing.T) {
	for name, h := range map[string]*Handler{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "https://app.example/ws", nil)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 500 || !strings.Contains(w.Body.String(), `"reason":"internal"`) || strings.Contains(w.Body.String(), "zero") {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
			if err := h.Check(r); err == nil {
				t.Error("Check lets the request in")
			}
		})
	}
}

// A zero policy and a zero Auth compile, and admit no request.
func TestZeroPartsRefuse(t *testing.T) {
	tests := []struct {
		sentence string
		spoil    func(*Config)
		status   int
	}{
		{"the zero OriginPolicy", func(c *Config) { c.Origins = &middleware.OriginPolicy{} }, 403},
		{"the zero Auth", func(c *Config) { c.Auth = &middleware.Auth{} }, 401},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			cfg := complete(t)
			tt.spoil(&cfg)
			h, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("GET", "https://app.example/ws", nil)
			for name, value := range map[string]string{
				"Origin": "https://app.example", "Connection": "Upgrade", "Upgrade": "websocket",
				"Sec-Websocket-Version": "13", "Sec-Websocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
			} {
				r.Header[name] = []string{value}
			}
			err = h.Check(r)
			if err == nil {
				_, err = h.cfg.Auth.Authenticate(r)
			}
			var f *middleware.Refusal
			if !errors.As(err, &f) || f.Status != tt.status {
				t.Errorf("answered %v, want %d", err, tt.status)
			}
		})
	}
}

var documented = regexp.MustCompile(`^([0-9,]*[0-9])( MiB| s| min| h)?\b`)

// computed are the defaults that depend on other fields, as the comments have them.
var computed = map[string]func(Limits) int64{
	"none": func(Limits) int64 { return 0 },
	"2 × MessagesPerSecond if that is set, else 1,224": func(Limits) int64 { return 1224 },
	"a quarter of MessagesPerSecond × Message": func(l Limits) int64 {
		return int64(l.MessagesPerSecond) * int64(l.Message) / 4
	},
	"4 × BytesPerSecond, at least 2 × Message": func(l Limits) int64 {
		return max(4*int64(l.BytesPerSecond), 2*int64(l.Message))
	},
}

// The comments of Limits and Timeouts promise defaults: they are what compile fills in.
func TestDefaultsAreThoseInTheComments(t *testing.T) {
	cfg, err := complete(t).compile()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "limits.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "Limits" && spec.Name.Name != "Timeouts" {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			name := spec.Name.Name + "." + field.Names[0].Name
			got := reflect.ValueOf(cfg).FieldByName(spec.Name.Name).FieldByName(field.Names[0].Name).Int()
			want, ok := documentedDefault(strings.ReplaceAll(field.Doc.Text()+field.Comment.Text(), "\n", " "), cfg.Limits)
			if !ok {
				t.Errorf("%s: its comment names no default", name)
				continue
			}
			if got != want {
				t.Errorf("%s is %d, documented as %d", name, got, want)
			}
			checked++
		}
		return false
	})
	if want := reflect.TypeFor[Limits]().NumField() + reflect.TypeFor[Timeouts]().NumField(); checked != want {
		t.Errorf("%d of %d fields checked", checked, want)
	}
}

var units = map[string]int64{"": 1, " MiB": 1 << 20, " s": int64(time.Second), " min": int64(time.Minute), " h": int64(time.Hour)}

// documentedDefault reads the default in a comment of config.go; false if there is none.
func documentedDefault(comment string, limits Limits) (int64, bool) {
	_, text, ok := strings.Cut(strings.ReplaceAll(comment, "Default", "default"), "default")
	if !ok {
		return 0, false
	}
	text = strings.TrimSpace(strings.TrimPrefix(strings.Split(text, ";")[0], ":"))
	for words, value := range computed {
		if strings.HasPrefix(text, words) {
			return value(limits), true
		}
	}
	m := documented.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(m[1], ",", ""), 10, 64)
	return n * units[m[2]], err == nil
}

// OWASP W4, W14, W19 and W21: the defaults.
func TestDefaultsAsTheCheatSheetHasThem(t *testing.T) {
	cfg, err := complete(t).compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		sentence  string
		got, want any
	}{
		{"W14: 64 KiB a message", cfg.Limits.Message, 65536},
		{"W4: pinged every 25 s", cfg.Timeouts.Heartbeat, 25 * time.Second},
		{"W19: 100 messages a second", cfg.Limits.MessagesPerSecond, 100},
		{"W19: 200 at once, beside the full queue of a client that comes back", cfg.Limits.MessageBurst, 1224},
		{"W21: 1 MiB queued", cfg.Limits.QueueBytes, 1048576},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %v", tt.sentence, tt.got)
		}
	}
}

// A limit that a user sets as high as it goes, to be rid of it, does not turn into
// its opposite.
func TestLargestLimitsAreLimits(t *testing.T) {
	cfg := complete(t)
	limits := reflect.ValueOf(&cfg.Limits).Elem()
	for i := range limits.NumField() {
		if limits.Type().Field(i).Name != "MessageBurst" { // its default is computed
			limits.Field(i).SetInt(math.MaxInt)
		}
	}
	cfg, err := cfg.compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, perSecond := range []int{1, 100, math.MaxInt} {
		b := newBucket(perSecond, cfg.Limits.MessageBurst)
		for i := range 1000 {
			if !b.take(1) {
				t.Fatalf("%d a second and bursts of %d: event %d refused", perSecond, cfg.Limits.MessageBurst, i)
			}
		}
	}
	if s := fmt.Sprint(cfg.Limits); strings.Contains(s, "-") {
		t.Errorf("a negative limit: %s", s)
	}
}

func TestLimitsThatContradict(t *testing.T) {
	for sentence, tt := range map[string]struct {
		limits   Limits
		timeouts Timeouts
		want     string // "": no error
	}{
		"a time-out of for ever":                          {Limits{}, Timeouts{Heartbeat: math.MaxInt64}, "Timeouts.Heartbeat"},
		"a burst of bytes that is smaller than a message": {Limits{Message: 2000, ByteBurst: 1999}, Timeouts{}, "Limits.ByteBurst"},
		"a burst of bytes that is a message":              {Limits{Message: 2000, ByteBurst: 2000}, Timeouts{}, ""},
		"the default burst follows a larger message":      {Limits{Message: 64 << 20}, Timeouts{}, ""},
		"pings of ours that are more frequent than controls": {
			Limits{ControlPerSecond: 1},
			Timeouts{Heartbeat: 300 * time.Millisecond},
			"",
		},
	} {
		cfg := complete(t)
		cfg.Limits, cfg.Timeouts = tt.limits, tt.timeouts
		_, err := cfg.compile()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}
