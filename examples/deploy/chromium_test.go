package main

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/securews/securews/examples/internal/pages"
)

// startChromium starts a headless Chromium with a profile of its own, for which app.example is
// this machine.
func startChromium(t *testing.T) opener {
	t.Helper()
	ctx := pages.Chromium(t, chromedp.Flag("host-resolver-rules", "MAP app.example 127.0.0.1"))
	return func(url string) (func(string) (string, error), error) {
		tab, cancel := chromedp.NewContext(ctx)
		t.Cleanup(cancel)
		if err := chromedp.Do(tab); err != nil { // the tab lives as long as this context
			return nil, err
		}
		step, cancel := context.WithTimeout(tab, patience)
		defer cancel()
		return func(expression string) (string, error) {
			step, cancel := context.WithTimeout(tab, patience)
			defer cancel()
			return chromedp.Run(step, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
		}, chromedp.Do(step, chromedp.Navigate(url))
	}
}
