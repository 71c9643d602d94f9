package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/securews/securews/internal/needed"
)

// patience bounds one step of a page.
const patience = time.Minute

// browsers are the browsers in which the tests of pages run.
var browsers = []struct {
	name  string
	start func(*testing.T) browser
}{
	{"Chromium", startChromium},
	{"Firefox", startFirefox},
}

// browser is a real browser with its own profile.
type browser interface {
	open(url string) tab
}

// tab is a page of a browser.
type tab interface {
	// Evaluate returns the value of a JavaScript expression: a string, or a promise of one.
	Evaluate(expression string) (string, error)
	// Console returns the errors and warnings of the console.
	Console() []string
	// Screenshot returns a picture of the page in PNG.
	Screenshot() ([]byte, error)
}

// recorder runs before the scripts of a page and records violations of its policy.
const recorder = `
window.violations = [];
addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective + " " + e.blockedURI));
`

// page is a tab with the steps of a test.
type page struct {
	tab
	t *testing.T
}

func openPage(t *testing.T, b browser, url string) *page {
	t.Helper()
	return &page{b.open(url), t}
}

// text returns the value of an expression that is a string, or a promise of one.
func (p *page) text(expression string) string {
	p.t.Helper()
	v, err := p.Evaluate(expression)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// waitFor waits until an expression is true.
func (p *page) waitFor(expression string) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); p.text(`String(`+expression+`)`) != "true"; <-tick.C {
		if time.Now().After(end) {
			p.t.Fatalf("not within %v: %s\nthe page: %s\nits console: %q",
				patience, expression, p.text(`document.body.innerText`), p.Console())
		}
	}
}

// click clicks an element, which must be visible with nothing above it.
func (p *page) click(selector string) {
	p.t.Helper()
	p.waitFor(fmt.Sprintf(`((e) => {
		const box = e.getBoundingClientRect();
		return !e.disabled && e.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
	})(document.querySelector(%q))`, selector))
	p.text(fmt.Sprintf(`document.querySelector(%q).click(), ""`, selector))
}

// noFaults wants a silent console and no violation of the policy.
func (p *page) noFaults() {
	p.t.Helper()
	if lines, violations := p.Console(), p.text(`violations.join("; ")`); len(lines) > 0 || violations != "" {
		p.t.Errorf("the console of the page: %q, policy violations: %q", lines, violations)
	}
}

// picture saves a screenshot if SECUREWS_PICTURES names a directory.
func (p *page) picture(name string) {
	p.t.Helper()
	dir := os.Getenv("SECUREWS_PICTURES")
	if dir == "" {
		return
	}
	shot, err := p.Screenshot()
	if err == nil {
		name = strings.ReplaceAll(p.t.Name()+" "+name, "/", " ")
		err = os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o600)
	}
	if err != nil {
		p.t.Error(err)
	}
}

// chromium is a headless Chromium.
type chromium struct {
	t   *testing.T
	ctx context.Context
}

// startChromium starts the browser.
func startChromium(t *testing.T) browser {
	t.Helper()
	path := needed.Program(t, "chromium", "apt-get install -y chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1100, 800),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.IgnoreCertErrors,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(t.Logf))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return &chromium{t, ctx}
}

// chromiumTab is a page of the browser.
type chromiumTab struct {
	ctx    context.Context
	mu     sync.Mutex
	logged []string
}

func (c *chromium) open(url string) tab {
	c.t.Helper()
	b := &chromiumTab{}
	ctx, cancel := chromedp.NewContext(c.ctx, chromedp.WithListener(b.listen))
	c.t.Cleanup(cancel)
	b.ctx = ctx
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as this context
		c.t.Fatal(err)
	}
	step, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := chromedp.Do(step, preload, chromedp.Navigate(url)); err != nil {
		c.t.Fatal(err)
	}
	return b
}

func preload(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
	_, err := cdp.Call(ctx, t, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: recorder})
	return chromedp.Void{}, err
}

func (b *chromiumTab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.logged = append(b.logged, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			b.logged = append(b.logged, fmt.Sprintf("console.%s", e.Type))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.logged = append(b.logged, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

func (b *chromiumTab) Evaluate(expression string) (string, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
}

func (b *chromiumTab) Console() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.logged...)
}

func (b *chromiumTab) Screenshot() ([]byte, error) {
	return chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
}
