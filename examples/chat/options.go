package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/securews/securews/examples/localcert"
)

// options are the command line.
type options struct {
	addr     string
	behind   []string // the proxies in front; none: the program serves TLS itself
	origins  []string // as given; see publicOrigins
	cert     string
	key      string
	accounts []string
	limits   bounds
	drain    time.Duration
	redis    string // host:port; empty: the memory of this process
	secret   string // file
	state    string // file
}

// bounds are per client address, and for logins per account too.
type bounds struct {
	handshakesPerMinute, loginsPerMinute int
	ticketLife                           time.Duration // 0: the library's default
}

func parseOptions(args []string, usage io.Writer) (options, error) {
	var o options
	var origins, accounts, behind string
	f := flag.NewFlagSet("chat", flag.ContinueOnError)
	f.SetOutput(usage)
	f.StringVar(&o.addr, "addr", "", "listen on `host:port` or, behind a proxy, on unix:/path "+
		"(default: "+directAddr+", behind a proxy "+behindAddr+")")
	f.StringVar(&behind, "behind", "", "serve HTTP/1.1 without TLS to a proxy that connects from these `addresses`, "+
		"as 127.0.0.1, or unix; needs -origin (see docs/deploy.md)")
	f.StringVar(&origins, "origin", "", "the `https://name` that browsers see, or several with commas; "+
		"pages at each of them may fetch tickets (default: https:// and -addr)")
	f.StringVar(&o.cert, "cert", "", "certificate `file` in PEM (default: one made for localhost)")
	f.StringVar(&o.key, "key", "", "private key `file` in PEM")
	f.StringVar(&accounts, "accounts", "alice,bob,carol", "`names` of the accounts to make")
	// One address may be an office behind a NAT, or a load test on this machine, so the
	// default is generous. It still bounds the work an address causes before it has
	// presented a credential.
	f.IntVar(&o.limits.handshakesPerMinute, "handshakes-per-minute", 10_000,
		"WebSocket handshakes, and requests for tickets, taken from one address, at most `n` of each at once or a minute")
	f.IntVar(&o.limits.loginsPerMinute, "logins-per-minute", 60,
		"attempts to sign in taken from one address, and for one account, at most `n` at once or a minute")
	f.DurationVar(&o.limits.ticketLife, "ticket-life", 30*time.Second, "how `long` a ticket opens a socket, from 1s to 2m")
	f.StringVar(&o.redis, "redis", "", "share sessions, tickets, limits and messages with other nodes in the Redis or Valkey "+
		"at `host:port`, over TLS unless it is loopback, with the password in "+passwordVariable+"; needs -secret and -origin")
	f.StringVar(&o.secret, "secret", "",
		"`file` from which passwords and keys are derived, the same on all nodes; made if it does not exist (default: random ones)")
	f.StringVar(&o.state, "state", "", "`file` that keeps sessions, roles, passwords and keys over a restart, for one process; "+
		"it is made with mode 0600, and whoever reads it can sign in (default: they end with the process)")
	f.DurationVar(&o.drain, "drain", 10*time.Second, "how `long` open sockets have to end when the server is told to")
	if err := f.Parse(args); err != nil {
		return options{}, err
	}
	o.origins, o.accounts, o.behind = list(origins), list(accounts), list(behind)
	switch {
	case o.addr != "":
	case len(o.behind) > 0:
		o.addr = behindAddr
	default:
		o.addr = directAddr
	}
	return o, o.check(f.Args())
}

// check reports everything that is wrong at once.
func (o options) check(rest []string) error {
	errs := o.checkBehind()
	if len(rest) > 0 {
		errs = append(errs, fmt.Errorf("%q is not a flag: write flags only", rest[0]))
	}
	if (o.cert == "") != (o.key == "") {
		errs = append(errs, errors.New("-cert and -key go together"))
	}
	if o.limits.handshakesPerMinute < 1 || o.limits.loginsPerMinute < 1 {
		errs = append(errs, fmt.Errorf("-handshakes-per-minute %d, -logins-per-minute %d: write at least 1 for each: there is no unlimited",
			o.limits.handshakesPerMinute, o.limits.loginsPerMinute))
	}
	if o.redis != "" && (o.secret == "" || len(o.origins) == 0) {
		errs = append(errs, errors.New("-redis needs -secret and -origin, the same on all nodes: they have "+
			"the same accounts, keys and address"))
	}
	if o.state != "" && (o.redis != "" || o.secret != "") {
		errs = append(errs, errors.New("-state is for one process, and has a secret of its own: "+
			"leave out -redis and -secret, or -state"))
	}
	if host, port, err := net.SplitHostPort(o.redis); o.redis != "" && (err != nil || host == "" || strings.ContainsFunc(port, notDigit)) {
		errs = append(errs, errors.New("-redis: want host:port, as 127.0.0.1:6379")) // a URL could have a password
	}
	if o.drain < 0 {
		errs = append(errs, fmt.Errorf("-drain %v is negative: write a time, or 0 to end at once", o.drain))
	}
	return errors.Join(errs...)
}

func notDigit(r rune) bool { return r < '0' || r > '9' }

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// publicOrigins returns the origins of the page: those of -origin or, without the flag,
// the one of the listener's address.
func (o options) publicOrigins(listening net.Addr) ([]string, error) {
	if len(o.origins) > 0 {
		return o.origins, nil
	}
	origin, err := localcert.Origin(o.addr, listening)
	return []string{origin}, err
}

// hosts returns the Host values of the origins.
func hosts(origins []string) ([]string, error) {
	out := make([]string, 0, len(origins))
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("-origin %q: want https://name or https://name:port", origin)
		}
		out = append(out, u.Host)
	}
	return out, nil
}
