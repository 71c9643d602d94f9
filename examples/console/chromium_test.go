package console_test

import (
	"context"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/securews/securews/internal/needed"
)

// startChromium starts a headless Chromium with a profile of its own, and with the features
// of a Chromium that people use.
func startChromium(t *testing.T) browser {
	t.Helper()
	path := needed.Program(t, "chromium", "apt-get install -y chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.IgnoreCertErrors, chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(t.Logf))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return func(url string) ([]string, error) {
		c := &consoleLog{}
		tab, cancel := chromedp.NewContext(ctx, chromedp.WithListener(c.listen))
		defer cancel()
		if err := chromedp.Do(tab); err != nil {
			return nil, err
		}
		step, cancel := context.WithTimeout(tab, patience)
		defer cancel()
		err := chromedp.Do(step, chromedp.Navigate(url))
		if err == nil { // its answer comes after the events of the page
			_, err = chromedp.Run(step, chromedp.CaptureScreenshot())
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.lines, err
	}
}

// consoleLog collects the warnings and errors of a tab.
type consoleLog struct {
	mu    sync.Mutex
	lines []string
}

func (c *consoleLog) listen(event any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		c.lines = append(c.lines, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			c.lines = append(c.lines, "console."+string(e.Type))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			c.lines = append(c.lines, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}
