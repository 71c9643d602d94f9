package console_test

import (
	"context"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/securews/securews/examples/internal/pages"
)

// startChromium starts a headless Chromium with a profile of its own, and with the features
// of a Chromium that people use.
func startChromium(t *testing.T) browser {
	t.Helper()
	ctx := pages.Chromium(t)
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
