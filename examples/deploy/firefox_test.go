package main

import (
	"testing"

	"github.com/securews/securews/internal/firefox"
	"github.com/securews/securews/internal/needed"
)

// startFirefox starts a Firefox for which app.example is this machine.
func startFirefox(t *testing.T) opener {
	t.Helper()
	needed.SameForServer(t, "Chromium")
	browser := firefox.Start(t, `user_pref("network.dns.localDomains", "app.example");`)
	return func(url string) (func(string) (string, error), error) {
		page, err := browser.Open(url)
		return page.Evaluate, err
	}
}
