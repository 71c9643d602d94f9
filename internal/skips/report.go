package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of go test -json (see go doc test2json).
type event struct {
	Action, Package, Test, Output string
}

// counter knows the tests of a run so far.
type counter struct {
	out      io.Writer
	output   map[string][]event // by package, until that ends
	said     map[[2]string]string
	passed   map[[2]string]bool // tests that need not be printed
	missing  int                // tests that were skipped for something that is missing
	other    int                // and for other reasons
	commands map[string]bool    // each installs something that is missing
}

// install is how package internal/needed introduces a command.
const install = "; install it with: "

func report(in io.Reader, out io.Writer) error {
	c := counter{
		out: out, output: map[string][]event{}, said: map[[2]string]string{},
		passed: map[[2]string]bool{}, commands: map[string]bool{},
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			c.add(line)
		}
		switch {
		case errors.Is(err, io.EOF):
			_, err = fmt.Fprintln(out, c.summary())
			return err
		case err != nil:
			return err
		}
	}
}

func (c *counter) add(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		_, _ = c.out.Write(line) // of go, before it runs a test
		return
	}
	switch {
	case e.Action == "build-output":
		_, _ = io.WriteString(c.out, e.Output)
	case e.Action == "output":
		c.output[e.Package] = append(c.output[e.Package], e)
		c.said[[2]string{e.Package, e.Test}] += e.Output
	case e.Test != "" && e.Action == "pass":
		c.passed[[2]string{e.Package, e.Test}] = true
	case e.Test != "" && e.Action == "skip":
		c.passed[[2]string{e.Package, e.Test}] = true
		c.skipped(c.said[[2]string{e.Package, e.Test}])
	case e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
		c.ended(e)
	}
}

func (c *counter) skipped(said string) {
	_, command, found := strings.Cut(said, install)
	if !found {
		c.other++
		return
	}
	c.missing++
	command, _, _ = strings.Cut(command, "\n")
	c.commands[command] = true
}

// ended prints the output of the tests that have failed in a package, and the last line of another.
func (c *counter) ended(e event) {
	for _, o := range c.output[e.Package] {
		last := o.Test == "" && (strings.HasPrefix(o.Output, "ok ") || strings.HasPrefix(o.Output, "? "))
		verbose := strings.HasPrefix(o.Output, "=== ") || c.passed[[2]string{o.Package, o.Test}] // -json is -v, too
		if last || e.Action == "fail" && !verbose {
			_, _ = io.WriteString(c.out, o.Output)
		}
	}
	delete(c.output, e.Package)
}

func (c *counter) summary() string {
	line := fmt.Sprintf("%d tests were skipped", c.missing+c.other)
	if c.missing == 0 {
		return line + ", none of them for something that is missing here"
	}
	commands := slices.Sorted(maps.Keys(c.commands))
	return fmt.Sprintf("%s, %d of them for something that is missing here; to have them: %s",
		line, c.missing, strings.Join(commands, " && "))
}
