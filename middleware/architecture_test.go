package middleware_test

import (
	"strings"
	"testing"
)

// This test holds rules that the types of the module cannot express. A rule reads the
// module's non-test files and returns the violations; architecture_bite_test.go shows that
// each rule finds some.

const module = "github.com/securews/securews"

// imports lists the imports that a package may have beyond the standard library: packages of
// this module, and modules or packages of others with all below them. Of the standard
// library, testing is for the test kits alone. Add a package here, with an argument for it.
var imports = map[string][]string{
	"internal/bounded":     {},
	"internal/buffer":      {},
	"internal/contextkey":  {},
	"internal/defaults":    {},
	"internal/docs":        {},
	"internal/entry":       {},
	"internal/handle":      {},
	"internal/loopback":    {},
	"internal/followers":   {},
	"internal/firefox":     {module + "/internal/needed", "github.com/coder/websocket", "testing"},
	"internal/method":      {},
	"internal/needed":      {"testing"},
	"internal/nilvalue":    {},
	"internal/opening":     {},
	"internal/outqueue":    {},
	"internal/recent":      {},
	"internal/recheckby":   {module + "/internal/unixnano"},
	"internal/poll":        {},
	"internal/redisserver": {module + "/internal/poll"},
	"internal/savedheader": {},
	"internal/skips":       {},
	"internal/testissuer":  {"testing"},
	"internal/testprocess": {"testing"},
	"internal/unixnano":    {},
	"internal/unwrap":      {},
	"internal/certificate": {},
	"internal/setting":     {},
	"middleware": {
		module + "/internal/...",
		"golang.org/x/time/rate", "github.com/rs/cors",
		"golang.org/x/net/publicsuffix", "golang.org/x/net/idna", "golang.org/x/net/http/httpguts",
	},
	"middleware/live":   {module + "/middleware", module + "/internal/..."},
	"middleware/bearer": {module + "/middleware", module + "/internal/...", "github.com/lestrrat-go/jwx/v3"},
	"middleware/storetest": {
		module + "/middleware", module + "/middleware/ticket", module + "/session", "github.com/alexedwards/scs/v2", "testing",
	},
	"middleware/ticket": {module + "/middleware", module + "/internal/..."},
	"session":           {module + "/middleware", module + "/internal/...", "github.com/alexedwards/scs/v2"},
	"ws":                {module + "/middleware", module + "/middleware/live", module + "/internal/...", "github.com/coder/websocket"},
	"ws/redial":         {module + "/ws", module + "/internal/...", "github.com/coder/websocket"},
	// The names of coder/websocket stand in the signatures of ws.Conn.
	"ws/seal":    {module + "/ws", module + "/middleware", module + "/internal/...", "github.com/coder/websocket"},
	"ws/browser": {},
	"ws/wstest":  {"github.com/coder/websocket", "testing"},
}

// requirements are the modules that go.mod requires directly: those of the programs that use
// this module, and none that tests alone need. Tests with other modules are modules of their own,
// as internal/interop is.
var requirements = []string{
	"github.com/alexedwards/scs/v2", "github.com/coder/websocket", "github.com/lestrrat-go/jwx/v3", "github.com/rs/cors",
	"golang.org/x/net", "golang.org/x/time",
}

// topLevel has the names that the repository's root may hold.
var topLevel = strings.Fields(`internal middleware session ws examples docs go.mod go.sum go.work go.work.sum
	README.md LICENSE SECURITY.md CONTRIBUTING.md CHANGELOG.md AGENTS.md llms.txt .ci .git .github .gitignore`)

// dropped has exported names that were given up, each with what replaced it.
var dropped = map[string]string{
	"Detach": "contextkey.Detached", "OnRefuse": "contextkey.Explain",
	"SingleUse": "TicketSubprotocol", "SingleUseQuery": "TicketQuery",
	"CutSubprotocols": "opening.StripSubprotocols", "OffersSubprotocol": "opening.OffersSubprotocol", "IsHandshake": "opening.IsHandshake",
}

// successes are the statuses that a handler writes without Refuse.
var successes = strings.Fields(`Continue SwitchingProtocols EarlyHints OK Created Accepted NoContent
	MovedPermanently Found SeeOther NotModified TemporaryRedirect PermanentRedirect`)

// moreFields has the structs that may have more fields than fieldLimit, each with its number.
var moreFields = map[string]int{
	"middleware.CSP": 35, // a configuration: a field for each directive
}

const (
	lineLimit   = 300
	fieldLimit  = 20
	refusalFile = "middleware/refusal.go"
)

var rules = map[string]func(tree) []string{
	"imports follow the arrows (the table in this file)":                          followArrows,
	"there is one websocket.Accept, in package ws: one way past the gate":         acceptOnce,
	"middleware.Refuse alone writes error responses (middleware/doc.go)":          refuseOnly,
	"no context.WithoutCancel: a context ends with what it bounds":                noWithoutCancel,
	"a Config starts with _ [0]func(): it is not comparable, so that it grows":    configsIncomparable,
	"every package says in its doc.go what it is for; in internal also elsewhere": packagesDocumented,
	"no exported name that was dropped for another (the table in this file)":      noDroppedNames,
	"no drawer: util, common, helper, types, core, misc":                          noDrawers,
	"a file has one concern and at most 300 lines; 250 are better":                filesShort,
	"a struct has at most 20 fields, unless it is a configuration":                structsSmall,
	"the repository's root is a table of contents (the list in this file)":        rootTidy,
	"go.mod requires the modules of the list in this file, for tests too":         requireFew,
}

func TestArchitecture(t *testing.T) {
	tr := readModule(t)
	for name, rule := range rules {
		for _, found := range rule(tr) {
			t.Errorf("%s\n\t%s", found, name)
		}
	}
}
