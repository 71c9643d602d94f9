package main

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"
)

// startChromium starts a headless Chromium with a profile of its own, for which app.example is
// this machine.
func startChromium(t *testing.T) opener {
	t.Helper()
	path := installed(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.IgnoreCertErrors, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("host-resolver-rules", "MAP app.example 127.0.0.1"),
	)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(t.Logf))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
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
