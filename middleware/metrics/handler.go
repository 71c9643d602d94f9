package metrics

import (
	"bufio"
	"io"
	"mime"
	"net"
	"net/http"
	"time"
)

// Handler is a layer that measures requests: until next returns or, if that is earlier, until
// the response becomes a connection or an event stream, with its Hijack behind a 101, answer
// to CONNECT, or header of text/event-stream. An hour of a socket thus does not count as an hour
// of latency. Mount it outside every layer whose time is to count.
func (c *Collector) Handler(next http.Handler) http.Handler {
	if !c.made() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := &measured{ResponseWriter: w, c: c, method: r.Method, start: time.Now()}
		returned := false
		defer func() {
			switch {
			case m.status != 0:
			case returned:
				m.status = http.StatusOK
			default: // a panic, which net/http answers by closing
				m.status = http.StatusInternalServerError
			}
			m.observe()
		}()
		next.ServeHTTP(m, r)
		returned = true
	})
}

// measured is the writer of a response that is being measured. It hides nothing: Unwrap
// serves http.ResponseController; Hijack, Flush and ReadFrom serve callers that assert a type.
type measured struct {
	http.ResponseWriter
	c      *Collector
	method string
	start  time.Time
	status int
	done   bool
}

func (m *measured) observe() {
	if !m.done {
		m.done = true
		m.c.requestDuration.WithLabelValues(statusLabel(m.status), methodLabel(m.method)).Observe(time.Since(m.start).Seconds())
	}
}

// began takes the status of the response, whose header is out now.
func (m *measured) began(status int) {
	if m.status != 0 || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	m.status = status
	if m.method == http.MethodConnect && status < 300 || m.isEventStream() {
		m.observe()
	}
}

func (m *measured) isEventStream() bool {
	typ, _, _ := mime.ParseMediaType(m.Header().Get("Content-Type"))
	return typ == "text/event-stream"
}

func (m *measured) WriteHeader(status int) {
	m.ResponseWriter.WriteHeader(status)
	m.began(status)
}

func (m *measured) Write(p []byte) (int, error) {
	m.began(http.StatusOK)
	return m.ResponseWriter.Write(p)
}

// ReadFrom lets the server send a file without copying it.
func (m *measured) ReadFrom(src io.Reader) (int64, error) {
	m.began(http.StatusOK)
	return io.Copy(m.ResponseWriter, src)
}

func (m *measured) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func (m *measured) Flush() { _ = m.FlushError() }

// FlushError is the method that http.ResponseController prefers to Flush.
func (m *measured) FlushError() error {
	err := http.NewResponseController(m.ResponseWriter).Flush()
	if err == nil {
		m.began(http.StatusOK)
	}
	return err
}

func (m *measured) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(m.ResponseWriter).Hijack()
	if err == nil {
		m.began(http.StatusSwitchingProtocols)
		m.observe()
	}
	return conn, rw, err
}
