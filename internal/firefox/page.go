package firefox

import (
	"encoding/base64"
	"fmt"
	"slices"
)

// Page is a tab of the browser.
type Page struct {
	browser *Browser
	context string // its browsing context
}

// Preload has every page run the script before its own.
func (b *Browser) Preload(script string) {
	b.t.Helper()
	b.must("script.addPreloadScript", map[string]any{"functionDeclaration": "() => {" + script + "}"}, nil)
}

// Open opens a URL in a new tab, and returns when it has loaded.
func (b *Browser) Open(url string) (*Page, error) {
	var tab struct{ Context string }
	if err := b.call("browsingContext.create", map[string]any{"type": "tab"}, &tab); err != nil {
		return nil, err
	}
	p := &Page{b, tab.Context}
	return p, b.call("browsingContext.navigate", map[string]any{"context": p.context, "url": url, "wait": "complete"}, nil)
}

// Evaluate returns the string that the expression is, or that its promise is fulfilled with.
func (p *Page) Evaluate(expression string) (string, error) {
	var out struct {
		Type             string
		Result           struct{ Value string }
		ExceptionDetails struct{ Text string }
	}
	err := p.browser.call("script.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true, "target": map[string]any{"context": p.context},
	}, &out)
	if err == nil && out.Type != "success" {
		err = fmt.Errorf("%s: %s", expression, out.ExceptionDetails.Text)
	}
	return out.Result.Value, err
}

// Console returns the warnings and errors of the page.
func (p *Page) Console() []string {
	p.browser.mu.Lock()
	defer p.browser.mu.Unlock()
	return slices.Clone(p.browser.logged[p.context])
}

// Screenshot returns a PNG of the page.
func (p *Page) Screenshot() ([]byte, error) {
	var shot struct{ Data string }
	if err := p.browser.call("browsingContext.captureScreenshot", map[string]any{"context": p.context}, &shot); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(shot.Data)
}
