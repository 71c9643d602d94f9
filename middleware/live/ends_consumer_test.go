package live_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/securews/securews/middleware/live"
)

// consumer is a kind of request or of response.
type consumer struct {
	name, path        string
	socket            bool                           // a ticket opens it
	polls             bool                           // it waits for one answer
	delivers, accepts bool                           // numbers go on in this direction
	http2             bool                           // and not 1.1
	grace             func(cause *live.Cause) bool   // it goes on for live.Timeouts.Grace after this cause
	open              func(c *cell) error            // starts the client
	again             func(c *cell) (string, error)  // the status of a new request, by statusIn
	ends              func(cause *live.Cause) string // how its client sees the end
}

// consumers are all but the sockets over both versions of HTTP.
var consumers = func() (list []consumer) {
	for _, x := range []consumer{
		{name: "REST", path: "/rest", accepts: true, open: openREST, ends: statusOf},
		{name: "event stream", path: "/events", delivers: true, open: openEvents, ends: lastEventOf, grace: unlessFinal},
		{name: "long poll", path: "/poll", polls: true, open: openPoll, ends: statusOf, grace: unlessFinal},
		{name: "download", path: "/download", delivers: true, open: openDownload, ends: aborted, grace: always},
	} {
		x.again = again
		one, two := x, x
		one.name, two.name, two.http2 = x.name+" over HTTP 1.1", x.name+" over HTTP 2", true
		list = append(list, one, two)
	}
	for _, x := range []consumer{{name: "socket of ws", path: "/ws"}, {name: "socket of another library", path: "/wire"}} {
		list = append(list, consumer{
			name: x.name, path: x.path, socket: true, delivers: true, accepts: true,
			open: openSocket, again: dialAgain, ends: closeFrameOf,
		})
	}
	return list
}()

func always(*live.Cause) bool { return true }

func unlessFinal(cause *live.Cause) bool {
	return !errors.Is(cause, live.Revoked) && !errors.Is(cause, live.Forbidden)
}

func aborted(*live.Cause) string { return "aborted" }

func closeFrameOf(cause *live.Cause) string {
	return fmt.Sprintf("close %d %s", cause.Code, cause.Reason)
}

func lastEventOf(cause *live.Cause) string {
	return fmt.Sprintf(`end {"code":%d,"reason":"%s"}`, cause.Code, cause.Reason)
}

func statusOf(cause *live.Cause) string {
	if cause.Code == 3003 {
		return "403"
	}
	return "401"
}

// ticketPath is the path of the cell's tickets.
func (c *cell) ticketPath() string {
	if c.consumer.socket {
		return c.consumer.path
	}
	return "/ws"
}

// credential returns the header and the rest of the query that present the credential.
func (c *cell) credential() (http.Header, string, error) {
	u := c.user
	if !u.credential.ticket {
		return u.header.Clone(), "", nil
	}
	t, err := u.ticket(c.ticketPath())
	return http.Header{"Origin": u.header["Origin"]}, "&ticket=" + t, err
}

// do sends a request of the cell.
func (c *cell) do(method, query string) (*http.Response, error) {
	header, secret, err := c.credential()
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(c.user.ctx, method, c.user.site.URL+c.consumer.path+"?cell="+c.query()+query+secret, nil)
	if err != nil {
		return nil, err
	}
	r.Header = header
	if c.consumer.path == "/events" {
		r.Header.Set("Accept", "text/event-stream")
	}
	client := c.user.http1
	if c.consumer.http2 {
		client = c.user.http2
	}
	send := func() (*http.Response, error) { return client.Do(r) }
	var res *http.Response
	if method == "POST" { // a number is sent once
		res, err = send()
	} else {
		res, err = inTime(send)
	}
	if err == nil && c.consumer.http2 != (res.ProtoMajor == 2) {
		err = fmt.Errorf("served over %s", res.Proto)
	}
	return res, err
}

func again(c *cell) (string, error) {
	res, err := c.do("GET", "&again=1")
	if err != nil {
		return "", err
	}
	return statusIn(res), res.Body.Close()
}

// comeBack is the status of a refusal that tells the client to ask again (RFC 9110 §10.2.3).
const comeBack = "503 with Retry-After"

func statusIn(res *http.Response) string {
	if res.StatusCode == 503 && res.Header.Get("Retry-After") != "" {
		return comeBack
	}
	return strconv.Itoa(res.StatusCode)
}

// openREST posts number after number until one is refused.
func openREST(c *cell) error {
	go func() {
		for {
			asked := time.Now()
			res, err := c.do("POST", "&n="+strconv.Itoa(c.sent.next()))
			if err != nil {
				c.ended("%v", err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode != 200 && !unknown(res, asked) {
				c.ended("%s", statusIn(res))
				return
			}
			select {
			case <-c.user.ctx.Done():
				return
			case <-c.user.quiet:
				c.ended("quiet")
				return
			case <-time.After(c.user.site.interval):
			}
		}
	}()
	return nil
}

var errStatus = errors.New("refused")

// get opens a response, and has read return how it ended.
func (c *cell) get(read func(*bufio.Scanner) string) error {
	res, err := c.do("GET", "")
	if err != nil {
		return err
	}
	if res.StatusCode != 200 {
		_ = res.Body.Close()
		return fmt.Errorf("%w: %s", errStatus, res.Status)
	}
	go func() {
		defer func() { _ = res.Body.Close() }()
		lines := bufio.NewScanner(res.Body)
		end := read(lines)
		if end == "" && lines.Err() != nil {
			end = "aborted"
		}
		c.ended("%s", end)
	}()
	return nil
}

func openEvents(c *cell) error {
	return c.get(func(lines *bufio.Scanner) (end string) {
		last := false
		for lines.Scan() {
			data, isData := strings.CutPrefix(lines.Text(), "data: ")
			n, err := strconv.Atoi(data)
			switch {
			case lines.Text() == "event: end":
				last = true
			case isData && last:
				end += "end " + data
			case isData && err == nil:
				c.delivered.note(n)
			}
		}
		return end
	})
}

func openDownload(c *cell) error {
	return c.get(func(lines *bufio.Scanner) string {
		for lines.Scan() {
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				c.delivered.note(n)
			}
		}
		return ""
	})
}

func openPoll(c *cell) error {
	go func() {
		res, err := c.do("GET", "")
		if err != nil {
			c.ended("%v", err)
			return
		}
		defer func() { _ = res.Body.Close() }()
		var n int
		if res.StatusCode == 200 && json.NewDecoder(res.Body).Decode(&n) == nil {
			c.delivered.note(n)
		}
		c.ended("%d", res.StatusCode)
	}()
	return nil
}

func (c *cell) dial(ctx context.Context) (conn *live.Wire, res *http.Response, err error) {
	header, secret, err := c.credential()
	if err != nil {
		return nil, nil, err
	}
	u := c.user
	send := func() (res *http.Response, err error) {
		conn, res, err = live.DialWire(ctx, u.tls, u.site.URL+u.credential.prefix()+c.consumer.path+"?cell="+c.query()+secret, header)
		return res, err
	}
	if u.credential.ticket { // which is good for one attempt
		res, err = send()
	} else {
		res, err = inTime(send)
	}
	return conn, res, err
}

func dialAgain(c *cell) (string, error) {
	conn, res, err := c.dial(c.user.ctx)
	switch {
	case err != nil:
		return "", err
	case conn != nil:
		return statusIn(res), conn.Close()
	}
	return statusIn(res), nil
}

// openSocket sends and reads number after number. When it has read a close frame, it sends five
// more before it answers, as a hostile client would.
func openSocket(c *cell) error {
	conn, res, err := c.dial(c.user.ctx)
	if err != nil {
		return err
	}
	if conn == nil {
		return fmt.Errorf("%w: %s", errStatus, res.Status)
	}
	stop := context.AfterFunc(c.user.ctx, func() { _ = conn.Close() })
	over, done := make(chan struct{}), make(chan struct{})
	send := func() bool {
		return conn.Send(live.WireText, []byte(strconv.Itoa(c.sent.next()))) == nil
	}
	go func() {
		defer close(done)
		for send() {
			select {
			case <-over:
				return
			case <-time.After(c.user.site.interval):
			}
		}
	}()
	go func() {
		defer stop()
		end := ""
		for {
			_, p, err := conn.Receive()
			if err != nil {
				end = err.Error()
				break
			}
			if n, err := strconv.Atoi(string(p)); err == nil {
				c.delivered.note(n)
			}
		}
		close(over)
		<-done
		for n := 0; n < 5 && send(); n++ {
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_ = conn.SendClose(1000, "")
		_ = conn.Close()
		c.ended("%s", end)
	}()
	return nil
}
