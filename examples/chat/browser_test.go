package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/securews/securews/examples/internal/pages"
)

// patience bounds one step of a page. A client that has lost its server may reconnect as
// late as half a minute later.
const patience = time.Minute

// chromium starts a headless Chromium with its own profile.
func chromium(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(pages.Chromium(t, chromedp.WindowSize(1100, 720)), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// tab is a page of the browser, with the errors it reported.
type tab struct {
	context.Context
	t       *testing.T
	mu      sync.Mutex
	faults  []string
	sockets map[network.RequestID]string // their addresses
	frames  []frame
}

// frame is a message of a socket of the page, as the browser sent or got it.
type frame struct {
	url     string
	opcode  float64
	payload []byte
}

// recorder runs before the page's own scripts. It records the sockets that were opened, how
// they ended, and violations of the content security policy.
const recorder = `
window.sockets = []; window.dials = []; window.closes = []; window.violations = [];
addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective + " " + e.blockedURI));
window.WebSocket = class extends WebSocket {
	constructor(...args) {
		super(...args);
		sockets.push(this);
		dials.push(args.flat().join(" ").replace(/\?securews=\d+/, "")); // the number is another one each time
		this.addEventListener("close", (e) => closes.push(e.code + " " + e.reason));
	}
};`

func newTab(t *testing.T, parent context.Context, opts ...chromedp.ContextOption) *tab {
	t.Helper()
	b := &tab{t: t, sockets: map[network.RequestID]string{}}
	ctx, cancel := chromedp.NewContext(parent, append(opts, chromedp.WithListener(b.listen))...)
	t.Cleanup(cancel)
	b.Context = ctx
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as this context
		t.Fatal(err)
	}
	b.run(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, cdppage.AddScriptToEvaluateOnNewDocument,
			cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: recorder})
		if err == nil {
			_, err = cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		}
		return chromedp.Void{}, err
	})
	return b
}

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			b.faults = append(b.faults, fmt.Sprintf("console.%s", e.Type))
		}
	case *network.EventWebSocketCreated:
		b.sockets[e.RequestID], _, _ = strings.Cut(e.URL, "?securews=")
	case *network.EventWebSocketFrameSent:
		b.frames = append(b.frames, frame{b.sockets[e.RequestID], e.Response.Opcode, e.Response.PayloadData})
	case *network.EventWebSocketFrameReceived:
		b.frames = append(b.frames, frame{b.sockets[e.RequestID], e.Response.Opcode, e.Response.PayloadData})
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.faults = append(b.faults, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		where, _ := chromedp.Run(b, chromedp.Evaluate[string](`location.href + " | " + document.body.innerText`))
		b.t.Fatalf("%v; the page: %q; its faults: %q", err, where, b.faults)
	}
}

// strings evaluates an expression that is an array of strings.
func (b *tab) strings(expression string) []string {
	b.t.Helper()
	list, err := chromedp.Run(b, chromedp.Evaluate[[]string](expression))
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// onlyClose waits until a socket of the page has ended, and returns code and reason.
func (b *tab) onlyClose() string {
	b.t.Helper()
	b.waitFor(`closes.length > 0`)
	closes := b.strings(`closes`)
	if len(closes) != 1 {
		b.t.Errorf("sockets ended: %q, want one", closes)
	}
	return closes[0]
}

// waitFor waits until a JavaScript expression is true.
func (b *tab) waitFor(format string, args ...any) {
	b.t.Helper()
	b.run(chromedp.Poll[chromedp.Void](fmt.Sprintf(format, args...), chromedp.WithPollingInterval(20*time.Millisecond)))
}

// signedIn returns a page of a browser of its own, in which alice has signed in.
func signedIn(t *testing.T, origin, password string) *tab {
	t.Helper()
	page := newTab(t, chromium(t))
	page.run(chromedp.Navigate(origin))
	page.signIn("alice", password)
	return page
}

func (b *tab) signIn(user, password string) {
	b.t.Helper()
	b.run(
		chromedp.WaitVisible(chromedp.CSS("#user")),
		chromedp.SendKeys(chromedp.CSS("#user"), user),
		chromedp.SendKeys(chromedp.CSS("#password"), password+"\r"),
	)
	b.waitConnected()
}

func (b *tab) waitConnected() {
	b.t.Helper()
	b.waitIn("lobby")
}

func (b *tab) waitIn(room string) {
	b.t.Helper()
	b.waitFor(`document.querySelector("#state").dataset.state === "connected" && document.querySelector("#room-name").textContent === %q`,
		room)
}

// waitBanner waits until the banner contains all of these texts.
func (b *tab) waitBanner(words ...string) {
	b.t.Helper()
	want, _ := json.Marshal(words)
	b.waitFor(`%s.every((w) => document.querySelector("#banner").innerText.includes(w))`, want)
}

// value waits for a promise of a string.
func (b *tab) value(format string, args ...any) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf(format, args...), chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// picture saves a screenshot if SECUREWS_PICTURES names a directory.
func (b *tab) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("SECUREWS_PICTURES")
	if dir == "" {
		return
	}
	b.value(`document.querySelector("#text").value = ""`) // the driver's Enter, which no keyboard types twice
	p, err := chromedp.Run(b, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), p, 0o600)
	}
	if err != nil {
		b.t.Error(err)
	}
}

func (b *tab) say(text string) {
	b.t.Helper()
	b.run(chromedp.SendKeys(chromedp.CSS("#text"), text+"\r"))
}

// waitMessage waits for a message of a user, as text.
func (b *tab) waitMessage(from, text string) {
	b.t.Helper()
	want, _ := json.Marshal([]string{from, text})
	b.waitFor(`((from, text) => [...document.querySelectorAll(".message")].some((m) =>
		m.querySelector(".name").textContent === from && m.querySelector(".body").textContent === text))(...%s)`, want)
}

// noFaults wants a silent console and no violation of the policy.
func (b *tab) noFaults() {
	b.t.Helper()
	violations := b.strings(`violations`)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) > 0 || len(violations) > 0 {
		b.t.Errorf("faults on the page: %q, policy violations: %q", b.faults, violations)
	}
}
