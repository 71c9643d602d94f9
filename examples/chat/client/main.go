// Command client is a terminal for examples/chat: each line typed is sent as a message. It
// reconnects automatically when the connection is lost, and with -seal encrypts its
// messages for the server inside TLS.
//
//	go run ./examples/chat/client -fingerprint 12:34:… -user alice
//
// The server prints its fingerprint and its passwords when it starts. The password is the
// first line of the input.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/securews/securews/ws/redial"
)

// options are the command line.
type options struct {
	origin, fingerprint string
	user, room          string
	seal                bool
}

func main() {
	o, err := parseOptions(os.Args[1:], os.Stderr)
	if err == nil {
		err = run(o, os.Stdin, os.Stdout)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "client:", plain(err.Error()))
		os.Exit(1)
	}
}

func parseOptions(args []string, usage io.Writer) (o options, err error) {
	f := flag.NewFlagSet("client", flag.ContinueOnError)
	f.SetOutput(usage)
	f.StringVar(&o.origin, "origin", "https://localhost:8443", "the chat's `https://name`")
	f.StringVar(&o.fingerprint, "fingerprint", "",
		"trust the certificate with this `SHA-256`, and no other (default: what the system trusts)")
	f.StringVar(&o.user, "user", "alice", "`name` of the account")
	f.StringVar(&o.room, "room", "lobby", "`name` of the room to enter")
	f.BoolVar(&o.seal, "seal", false, "speak in the sealed room")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is not a flag: write flags only", f.Arg(0))
	}
	if !strings.HasPrefix(o.origin, "https://") {
		return o, fmt.Errorf("-origin %q: want https://name or https://name:port", o.origin)
	}
	return o, nil
}

// quitTime bounds a normal closure.
const quitTime = 3 * time.Second

func run(o options, in io.Reader, out io.Writer) error {
	quit, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	input := bufio.NewScanner(in)
	screen := log.New(out, "", 0)

	screen.Printf("Password for %s at %s:", o.user, o.origin)
	if !input.Scan() {
		return errors.New("no password")
	}
	acc, err := signIn(quit, o, input.Text())
	if err != nil {
		return err
	}
	t := &terminal{options: o, account: acc, screen: screen, quit: quit, lines: make(chan string)}
	go func() {
		for input.Scan() {
			t.lines <- input.Text() // blocks while disconnected
		}
		stop()
	}()
	return t.run()
}

// terminal is the state that outlives connections.
type terminal struct {
	options
	account *account
	sealer  *sealer // nil: not sealed
	screen  *log.Logger
	quit    context.Context
	lines   chan string
	last    post        // the last one shown: a room sends its history on every join
	online  atomic.Bool // serve runs, and ends when quit does
}

func (t *terminal) run() error {
	cfg, err := t.config()
	if err != nil {
		return err
	}
	client, err := redial.New(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	context.AfterFunc(t.quit, func() {
		if t.online.Load() {
			time.AfterFunc(quitTime, cancel) // serve closes the connection first
		} else {
			cancel()
		}
	})
	err = client.Run(ctx, t.serve)
	if t.quit.Err() != nil {
		t.screen.Print("* bye")
		return nil
	}
	return err
}

// tell is the OnState callback of redial.
func (t *terminal) tell(s redial.State) {
	t.online.Store(s.Phase == redial.Open)
	switch s.Phase {
	case redial.Connecting:
		t.screen.Print("* connecting")
	case redial.Waiting:
		t.screen.Printf("* not connected: %s; again in %.1f s", plain(s.Cause.Error()), s.Delay.Seconds())
	}
}
