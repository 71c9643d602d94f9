package live

import (
	"time"

	"github.com/securews/securews/middleware"
)

// New compiles a configuration, or reports everything that is wrong with it. The registry
// runs goroutines only while something is open.
func New(cfg Config) (*Registry, error) {
	cfg, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	g := &Registry{cfg: cfg, start: time.Now()}
	g.index.init()
	g.addresses.open = map[addressKey]*share{}
	g.wheel = &wheel{now: g.Now, wake: (*Binding).wake, slept: (*Binding).slept, lag: lag{behind: g.behind}}
	g.follows = follows{of: map[*middleware.Auth]*follow{}, wait: reportTimeout, ask: (*follow).ask, revoked: (*follow).revoked}
	g.events = events{cfg: &g.cfg, now: g.Now}
	return g, nil
}
