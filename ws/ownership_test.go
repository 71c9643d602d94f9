package ws

import (
	"reflect"
	"strings"
	"testing"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware/live"
)

// Design §3: a Handler is a route. Connections, their number, their limits, their index,
// their wheel, their rechecks and their shutdown belong to the registry, one for all routes.
func TestHandlerOwnsNoConnections(t *testing.T) {
	typ := reflect.TypeFor[Handler]()
	known := map[string]reflect.Type{
		"cfg": reflect.TypeFor[Config](), "front": nil, "authorizing": reflect.TypeFor[bounded.Caller](),
		// Of its connections.
		"rules": reflect.TypeFor[*rules](), "sealed": reflect.TypeFor[*rules](), "workers": reflect.TypeFor[*workers](),
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		want, ok := known[f.Name]
		if !ok || want != nil && f.Type != want {
			t.Errorf("Handler.%s %v: is it the registry's?", f.Name, f.Type)
		}
		switch kind := f.Type.Kind(); {
		case strings.HasPrefix(f.Type.PkgPath(), "sync"), kind == reflect.Map, kind == reflect.Chan, kind == reflect.Func:
			t.Errorf("Handler.%s is state: %v", f.Name, f.Type)
		}
	}
	for _, name := range []string{"Drain", "Shutdown", "Close", "Follow"} {
		if _, ok := reflect.TypeFor[*Handler]().MethodByName(name); ok {
			t.Errorf("Handler has a method %s", name)
		}
	}
	if f, ok := reflect.TypeFor[Config]().FieldByName("Live"); !ok || f.Type != reflect.TypeFor[*live.Registry]() {
		t.Error("Config.Live is not the registry")
	}
	for _, name := range []string{"Revocations", "Revalidate"} {
		if _, ok := reflect.TypeFor[Config]().FieldByName(name); ok {
			t.Errorf("Config.%s can be forgotten", name)
		}
	}
}
