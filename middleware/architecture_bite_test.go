package middleware_test

import (
	"strings"
	"testing"
)

func TestArchitectureRulesBite(t *testing.T) {
	long := "package ws\n" + strings.Repeat("\n", lineLimit)
	tests := []struct {
		rule func(tree) []string
		path string
		src  string
		want int // findings
	}{
		{followArrows, "middleware/a.go", `package middleware; import ("net/http"; "golang.org/x/net/idna")`, 0},
		{followArrows, "middleware/a.go", `package middleware; import "` + module + `/ws"`, 1},
		{followArrows, "middleware/a.go", `package middleware; import "golang.org/x/net/html"`, 1},
		{followArrows, "middleware/a.go", `package middleware; import . "net/http"`, 1},
		{followArrows, "middleware/bearer/a.go", `package bearer; import "github.com/lestrrat-go/jwx/v3/jwt"`, 0},
		{followArrows, "middleware/bearer/a.go", `package bearer; import "github.com/lestrrat-go/jwx/v31"`, 1},
		{followArrows, "session/a.go", `package session; import "` + module + `/middleware/bearer"`, 1},
		{followArrows, "session/a.go", `package session; import "github.com/go-chi/chi/v5"`, 1},
		{followArrows, "ws/a.go", `package ws; import "` + module + `/ws/wstest"`, 1},
		{followArrows, "ws/wstest/a.go", `package wstest; import "` + module + `/middleware"`, 1},
		{followArrows, "pkg/a.go", `package pkg`, 1},
		{followArrows, "securews.go", `package securews`, 1},
		{followArrows, "ws/wstest/a.go", `package wstest; import "testing"`, 0},
		{followArrows, "ws/a.go", `package ws; import "testing/synctest"`, 1},
		{acceptOnce, "ws/a.go", accepting("ws", "websocket.Accept(nil, nil, nil)"), 0},
		{acceptOnce, "ws/a.go", accepting("ws", "websocket.Accept(nil, nil, nil); f := websocket.Accept; _ = f"), 1},
		{acceptOnce, "ws/a.go", `package ws`, 1},
		{acceptOnce, "session/a.go", accepting("session", "websocket.Accept(nil, nil, nil)"), 2},
		{refuseOnly, "ws/a.go", writing("http.Error(w, err.Error(), 500)"), 1},
		{refuseOnly, "ws/a.go", writing("http.NotFound(w, r)"), 1},
		{refuseOnly, "ws/a.go", writing("w.WriteHeader(404)"), 1},
		{refuseOnly, "ws/a.go", writing("w.WriteHeader(http.StatusForbidden)"), 1},
		{refuseOnly, "ws/a.go", writing("w.WriteHeader(status)"), 1},
		{refuseOnly, "ws/a.go", writing("w.WriteHeader(http.StatusNoContent)"), 0},
		{refuseOnly, "ws/a.go", writing("w.WriteHeader(101)"), 0},
		{refuseOnly, "ws/a.go", `package ws; func (w x) WriteHeader(n int) { w.y.WriteHeader(n) }`, 0},
		{refuseOnly, refusalFile, writing("w.WriteHeader(f.Status)"), 0},
		{noWithoutCancel, "ws/a.go", `package ws; import c "context"; var f = c.WithoutCancel`, 1},
		{noWithoutCancel, "ws/a.go", `package ws; import "context"; var f = context.Background`, 0},
		{configsIncomparable, "ws/a.go", `package ws; type Config struct { _ [0]func(); A int }`, 0},
		{configsIncomparable, "ws/a.go", `package ws; type Config struct { A int }`, 1},
		{configsIncomparable, "ws/a.go", `package ws; type CORSConfig struct { _ [1]func() }`, 1},
		{configsIncomparable, "ws/a.go", `package ws; type PeerConfig struct {}`, 1},
		{packagesDocumented, "ws/doc.go", "// Package ws is the upgrade.\npackage ws", 0},
		{packagesDocumented, "ws/doc.go", "// The upgrade.\npackage ws", 1},
		{packagesDocumented, "ws/ws.go", "// Package ws is the upgrade.\npackage ws", 1},
		{packagesDocumented, "internal/opening/opening.go", "// Package opening is the handshake.\npackage opening", 0},
		{noDroppedNames, "ws/a.go", `package ws; type T struct { Detach bool }; func (T) OnRefuse() {}; func IsHandshake() {}`, 3},
		{noDroppedNames, "ws/a.go", `package ws; func f() { Detach() }; type detach int`, 0},
		{noDroppedNames, "internal/opening/a.go", `package opening; func IsHandshake() {}`, 0},
		{followArrows, "middleware/live/a.go", `package live; import ("` + module + `/internal/bounded"; "` + module + `/middleware")`, 0},
		{followArrows, "middleware/live/a.go", `package live; import "` + module + `/ws"`, 1},
		{followArrows, "internal/opening/a.go", `package opening; import "` + module + `/middleware"`, 1},
		{followArrows, "ws/wstest/a.go", `package wstest; import "` + module + `/internal/opening"`, 1},
		{noDrawers, "ws/types.go", `package ws`, 1},
		{noDrawers, "ws/util/a.go", `package util`, 1},
		{structsSmall, "ws/a.go", structOf("T", 20), 0},
		{structsSmall, "ws/a.go", structOf("T", 21), 1},
		{structsSmall, "ws/a.go", structOf("t[K any]", 21), 1},
		{structsSmall, "ws/a.go", structOf("Config", 21), 0},
		{structsSmall, "ws/a.go", structOf("UpgradeLimits", 21), 0},
		{structsSmall, "ws/a.go", structOf("Limiter", 21), 1},
		{filesShort, "ws/a.go", long, 1},
		{filesShort, "ws/a.go", long[:len(long)-1], 0},
	}
	for _, tt := range tests {
		f, err := parse(tt.path, []byte(tt.src))
		if err != nil {
			t.Fatal(err)
		}
		if got := tt.rule(tree{files: []file{f}}); len(got) != tt.want {
			t.Errorf("%s: %.200q\n\tfound %q, want %d", tt.path, tt.src, got, tt.want)
		}
	}
	if got := rootTidy(tree{entries: []string{"README.md", "ws", "cmd", "main.go"}}); len(got) != 2 {
		t.Errorf("top-level entries: found %q, want cmd and main.go", got)
	}
	list := "require (\n\t" + strings.Join(requirements, " v1.2.3\n\t") + " v1.2.3\n)\n"
	for more, want := range map[string]int{
		"": 0,
		"require golang.org/x/text v0.1.0 // indirect\n":                0,
		"require golang.org/x/text v0.1.0\n":                            1,
		"require (\n\tgithub.com/go-chi/chi/v5 v5.5.0\n)\n":             1,
		"require github.com/gorilla/websocket v1.5.3 // indirect\n":     1,
		"require (\n\tgithub.com/gorilla/websocket v1.5.3\n\tx/y v1\n)": 2,
	} {
		if got := requireFew(tree{mod: "module m\n\ngo 1.26\n\n" + list + more}); len(got) != want {
			t.Errorf("%q: found %q, want %d", more, got, want)
		}
	}
	if got := requireFew(tree{mod: strings.Replace(list, "\tgolang.org/x/time v1.2.3\n", "", 1)}); len(got) != 1 {
		t.Errorf("a requirement that has left: found %q, want x/time", got)
	}
}

// structOf declares a struct with so many fields, one of them embedded.
func structOf(name string, fields int) string {
	return "package ws; type " + name + " struct { embedded; " + strings.Repeat("a, b int; ", (fields-1)/2) +
		strings.Repeat("c int", (fields-1)%2) + " }"
}

func accepting(pkg, body string) string {
	return "package " + pkg + `; import "github.com/coder/websocket"; func f() { ` + body + ` }`
}

func writing(body string) string {
	return `package ws; import "net/http"; func f(w http.ResponseWriter, r *http.Request) { ` + body + ` }`
}
