package main

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// The picture of the README: two tabs of one session, of which one signs out. To draw it anew:
//
//	SECUREWS_PICTURES=$PWD/docs go test ./examples/chat -run TestPictureOfTheREADME
func TestPictureOfTheREADME(t *testing.T) {
	p := startChat(t)
	ctx := chromium(t)
	size := chromedp.EmulateViewport(620, 430, chromedp.EmulateScale(1.5))
	one := newTab(t, ctx)
	one.run(size, chromedp.Navigate(p.origin))
	one.signIn("alice", p.passwords["alice"])
	bob := newTab(t, ctx, chromedp.WithNewBrowserContext())
	bob.run(chromedp.Navigate(p.origin))
	bob.signIn("bob", p.passwords["bob"])
	two := newTab(t, ctx)
	two.run(size, chromedp.Navigate(p.origin))
	two.waitConnected()
	bob.say("The contract is in the drive.")
	one.waitMessage("bob", "The contract is in the drive.")
	one.say("Thanks. I sign out at this terminal now.")
	two.waitMessage("alice", "Thanks. I sign out at this terminal now.")
	one.value(`document.activeElement.blur(),
		document.querySelector("#text").value = "",
		document.querySelector("#sign-out").style.outline = "3px solid #d33"`)
	before := one.shot()
	one.run(chromedp.Click(chromedp.CSS("#sign-out")))
	code := two.onlyClose()
	two.waitFor(`document.querySelector("#notice").textContent.includes("3000 revoked")`)
	after := two.shot()
	if code != "3000 revoked" {
		t.Errorf("the socket ended with %q, want 3000 revoked", code)
	}

	dir := os.Getenv("SECUREWS_PICTURES")
	if dir == "" {
		return
	}
	layout, err := os.ReadFile("testdata/picture.js")
	if err != nil {
		t.Fatal(err)
	}
	arguments, _ := json.Marshal([]string{base64.StdEncoding.EncodeToString(before), base64.StdEncoding.EncodeToString(after), code})
	sheet := newTab(t, ctx)
	sheet.run(chromedp.EmulateViewport(1280, 536))
	sheet.value("(\n%s)(...%s)", layout, arguments)
	if err := os.WriteFile(filepath.Join(dir, "sign-out.png"), sheet.shot(), 0o600); err != nil {
		t.Error(err)
	}
}

func (b *tab) shot() []byte {
	b.t.Helper()
	p, err := chromedp.Run(b, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}
