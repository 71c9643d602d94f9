package main

import (
	"testing"

	"github.com/securews/securews/internal/firefox"
)

// firefoxBrowser is a headless Firefox.
type firefoxBrowser struct {
	t *testing.T
	*firefox.Browser
}

func startFirefox(t *testing.T) browser {
	t.Helper()
	b := firefox.Start(t)
	b.Preload(recorder)
	return &firefoxBrowser{t, b}
}

func (b *firefoxBrowser) open(url string) tab {
	b.t.Helper()
	page, err := b.Open(url)
	if err != nil {
		b.t.Fatal(err)
	}
	return page
}
