package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/securews/securews/internal/needed"
)

// The rows of the page: eight libraries, the event stream and the backend.
const rowCount = 10

// rows returns one text of each row, in lines.
func (p *page) rows(expression string) string {
	p.t.Helper()
	return p.text(fmt.Sprintf(`[...document.querySelectorAll("tbody tr")].map((tr) => tr.dataset.path + " " + (%s)).join("\n")`,
		expression))
}

// waitEvery waits until an expression about tr is true of every row.
func (p *page) waitEvery(expression string) {
	p.t.Helper()
	p.waitFor(fmt.Sprintf(`((all) => all.length === %d && all.every((tr) => %s))([...document.querySelectorAll("tbody tr")])`,
		rowCount, expression))
}

// waitOpen waits until every row is open and has come back at least twice.
func (p *page) waitOpen() {
	p.t.Helper()
	p.waitEvery(`tr.dataset.state === "open" && parseInt(tr.querySelector(".echo").textContent.split(" ")[1]) >= 2`)
}

// wantEnds waits until every row has ended, and wants the same code and reason of each.
func (p *page) wantEnds(want string) {
	p.t.Helper()
	p.waitEvery(`tr.dataset.state === "ended"`)
	for line := range strings.Lines(p.rows(`tr.querySelector(".end").textContent`)) {
		path, got, _ := strings.Cut(strings.TrimSpace(line), " ")
		if got != want {
			p.t.Errorf("%s ended with %q, want %q", path, got, want)
		}
	}
}

// signedIn is the command with two tabs of the same session, all of whose rows are open.
func signedIn(t *testing.T, start func(*testing.T) browser) (p *program, one, two *page) {
	t.Helper()
	needed.Program(t, "node", "apt-get install -y nodejs")
	b := start(t)
	p = startProgram(t, "")
	one = openPage(t, b, p.origin)
	one.waitEvery(`tr.dataset.state === "idle"`)
	one.picture("before")
	one.click("#sign-in")
	one.waitOpen()
	if got := one.text(`document.querySelector("#second").href`); got != p.origin+"/" {
		t.Errorf("the link for a second tab is %q", got)
	}
	two = openPage(t, b, p.origin)
	two.waitOpen() // the same cookie: no signing in
	return p, one, two
}

// A sign-out in one tab ends every connection of the other, which shows code and reason.
// After SIGTERM, both show that the server stops.
func TestPageShowsEachEnd(t *testing.T) {
	t.Parallel()
	for _, b := range browsers {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			p, one, two := signedIn(t, b.start)
			one.picture("open")
			two.click("#sign-out")
			for _, page := range []*page{one, two} {
				page.wantEnds("3000 revoked")
				page.waitEvery(`/^\d+ ms$/.test(tr.querySelector(".after").textContent)`)
			}
			t.Logf("after the click:\n%s", one.rows(`tr.querySelector(".after").textContent`))
			one.picture("signed out")
			one.click("#sign-in") // both tabs begin again
			one.waitOpen()
			two.waitOpen()
			_ = p.cmd.Process.Signal(syscall.SIGTERM)
			for _, page := range []*page{one, two} {
				page.wantEnds("1012 restart")
				page.noFaults()
			}
			one.picture("stopped")
			p.wantExit()
			// The page closes each event stream at its end: two tabs, twice, and no other.
			if all := p.log.count("path=/events "); all != 4 {
				t.Errorf("the event stream was requested %d times, want 4", all)
			}
		})
	}
}

// Ctrl-C in a terminal reaches the backend too, whose sockets end in good order anyway.
func TestPageShowsRestartAfterInterrupt(t *testing.T) {
	t.Parallel()
	p, one, two := signedIn(t, startChromium)
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	one.wantEnds("1012 restart")
	two.wantEnds("1012 restart")
	p.wantExit()
}
