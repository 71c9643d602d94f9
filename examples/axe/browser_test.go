package axe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/securews/securews/examples/internal/pages"
	"github.com/securews/securews/internal/needed"
)

// patience bounds one step of a page.
const patience = time.Minute

// looks are the ways in which each page is looked at.
var looks = []look{
	{name: "light", scheme: "light", width: 1280, height: 800},
	{name: "dark", scheme: "dark", width: 1280, height: 800},
	{name: "phone", scheme: "light", width: 390, height: 844},
	{name: "dark phone", scheme: "dark", width: 390, height: 844},
}

type look struct {
	name, scheme  string
	width, height int64
}

// loadRules returns the script of axe-core.
func loadRules(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(needed.NodeModule(t, ".", "examples/axe", "axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// browser is a tab of a headless Chromium with a profile of its own.
type browser struct {
	context.Context
	t *testing.T
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	return &browser{pages.Chromium(t), t}
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		text, _ := chromedp.Run(b, chromedp.Evaluate[string](`document.body.innerText`))
		b.t.Fatalf("%v; the page: %q", err, text)
	}
}

func (b *browser) open(url string, l look) {
	b.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}
	b.run(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, media)
		return chromedp.Void{}, err
	}, chromedp.EmulateViewport(l.width, l.height), chromedp.Navigate(url))
}

// reach brings the page to a view.
func (b *browser) reach(v view, password string) {
	b.t.Helper()
	if v.do != "" {
		b.run(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
			_, err := chromedp.Run(ctx, chromedp.Evaluate[any](strings.ReplaceAll(v.do, "{password}", password)+"; 0"))
			return chromedp.Void{}, err
		})
	}
	b.run(chromedp.Poll[chromedp.Void](v.until, chromedp.WithPollingInterval(50*time.Millisecond)))
}

// violations returns the rules that the page breaks, with the elements.
func (b *browser) violations(rules string) []string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[any](rules+"; 0")); err != nil {
		b.t.Fatal(err)
	}
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
		JSON.stringify(violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map((n) => n.html.slice(0, 120)) }))))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	var list []struct {
		ID, Help string
		Nodes    []string
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		b.t.Fatal(err)
	}
	var found []string
	for _, v := range list {
		found = append(found, fmt.Sprintf("%s (%s):\n\t%s", v.ID, v.Help, strings.Join(v.Nodes, "\n\t")))
	}
	return found
}
