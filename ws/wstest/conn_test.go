package wstest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/securews/securews/ws/wstest"
)

func TestPipeIsANetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		c, s := wstest.Pipe(0)
		return c, s, func() { _, _ = c.Close(), s.Close() }, nil
	})
}

// inBubble runs f in fake time with a pipe of 4 bytes in each direction.
func inBubble(t *testing.T, f func(t *testing.T, c, s *wstest.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, s := wstest.Pipe(4)
		t.Cleanup(func() { _, _ = c.Close(), s.Close() })
		f(t, c, s)
	})
}

func TestWriteIsBuffered(t *testing.T) {
	inBubble(t, func(t *testing.T, c, s *wstest.Conn) {
		write(t, c, "ping") // before the peer reads
		write(t, s, "pong")
		read(t, s, "ping")
		read(t, c, "pong")
	})
}

func TestFullBufferBlocksTheWriterUntilRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, c, s *wstest.Conn) {
		start := time.Now()
		go func() {
			time.Sleep(time.Minute)
			read(t, s, "abcdefghij")
		}()
		write(t, c, "abcdefghij")
		if took := time.Since(start); took != time.Minute {
			t.Errorf("the write took %v, want 1m", took)
		}
		synctest.Wait()
	})
}

func TestConcurrentWritesDoNotMix(t *testing.T) {
	inBubble(t, func(t *testing.T, c, s *wstest.Conn) {
		for _, b := range []byte("ab") {
			go func() { write(t, c, string(bytes.Repeat([]byte{b}, 10))) }()
		}
		synctest.Wait() // one of the two has half of its bytes in, the other waits
		got := make([]byte, 20)
		if _, err := io.ReadFull(s, got); err != nil {
			t.Fatal(err)
		}
		if string(got) != "aaaaaaaaaabbbbbbbbbb" && string(got) != "bbbbbbbbbbaaaaaaaaaa" {
			t.Errorf("read %q", got)
		}
	})
}

func TestDeadlinesInFakeTime(t *testing.T) {
	full := func(t *testing.T, c *wstest.Conn) { write(t, c, "full") }
	tests := map[string]struct {
		prepare func(t *testing.T, c *wstest.Conn)
		do      func(c *wstest.Conn) (int, error)
		set     func(c *wstest.Conn, at time.Time) error
	}{
		"a read without bytes ends":           {nil, readOne, (*wstest.Conn).SetReadDeadline},
		"a read ends by the common one":       {nil, readOne, (*wstest.Conn).SetDeadline},
		"a write into a full buffer ends":     {full, writeOne, (*wstest.Conn).SetWriteDeadline},
		"a write ends by the common one":      {full, writeOne, (*wstest.Conn).SetDeadline},
		"one without a monotonic clock holds": {nil, readOne, setWall},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c, _ *wstest.Conn) {
				if tt.prepare != nil {
					tt.prepare(t, c)
				}
				start := time.Now()
				must(t, tt.set(c, start.Add(time.Hour)))
				go func() { // a later one replaces it during the call
					time.Sleep(time.Minute)
					must(t, tt.set(c, start.Add(2*time.Hour)))
				}()
				n, err := tt.do(c)
				if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("got %d, %v; want 0 and os.ErrDeadlineExceeded", n, err)
				}
				if took := time.Since(start); took != 2*time.Hour {
					t.Errorf("after %v, want 2h", took)
				}
				if n, err := tt.do(c); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("again: got %d, %v; want os.ErrDeadlineExceeded at once", n, err)
				}
			})
		})
	}
}

func TestDeadlineTakenBackHoldsNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, c, s *wstest.Conn) {
		must(t, c.SetDeadline(time.Now().Add(-time.Second)))
		if _, err := readOne(c); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("past deadline: %v", err)
		}
		must(t, c.SetDeadline(time.Time{}))
		go func() {
			time.Sleep(24 * time.Hour)
			write(t, s, "x")
		}()
		read(t, c, "x")
	})
}

func TestCloseGivesThePeerItsBytesThenEOF(t *testing.T) {
	inBubble(t, func(t *testing.T, c, s *wstest.Conn) {
		write(t, c, "bye")
		must(t, c.Close())
		got, err := io.ReadAll(s)
		if string(got) != "bye" || err != nil {
			t.Errorf("the peer read %q, %v; want %q, EOF", got, err, "bye")
		}
		if _, err := writeOne(s); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("a write to the closed peer: %v, want EPIPE", err)
		}
		for what, err := range map[string]error{
			"read": second(readOne(c)), "write": second(writeOne(c)), "close": c.Close(),
			"deadline": c.SetDeadline(time.Now()), "half-close": c.CloseWrite(),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after close: %v, want net.ErrClosed", what, err)
			}
		}
	})
}

func TestCloseFreesThoseWhoWait(t *testing.T) {
	tests := map[string]struct {
		do    func(c *wstest.Conn) (int, error)
		close func(c, s *wstest.Conn) error
		want  error
	}{
		"own close ends a read":    {readOne, func(c, _ *wstest.Conn) error { return c.Close() }, net.ErrClosed},
		"own close ends a write":   {writeOne, func(c, _ *wstest.Conn) error { return c.Close() }, net.ErrClosed},
		"peer's close ends a read": {readOne, func(_, s *wstest.Conn) error { return s.Close() }, io.EOF},
		"peer's half-close too":    {readOne, func(_, s *wstest.Conn) error { return s.CloseWrite() }, io.EOF},
		"peer's close ends a write": {
			writeOne,
			func(_, s *wstest.Conn) error { return s.Close() }, syscall.EPIPE,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c, s *wstest.Conn) {
				write(t, c, "full")
				go func() {
					time.Sleep(time.Hour)
					must(t, tt.close(c, s))
				}()
				if _, err := tt.do(c); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestHalfCloseLeavesTheOtherDirection(t *testing.T) {
	inBubble(t, func(t *testing.T, c, s *wstest.Conn) {
		write(t, c, "end")
		must(t, c.CloseWrite())
		if got, err := io.ReadAll(s); string(got) != "end" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		write(t, s, "ok")
		read(t, c, "ok")
		if _, err := writeOne(c); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write after the half-close: %v, want net.ErrClosed", err)
		}
	})
}

func TestBlackholeDeliversNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, c, s *wstest.Conn) {
		write(t, s, "up")
		c.Blackhole()
		write(t, c, "ping") // succeeds, because this end cannot know
		must(t, c.SetDeadline(time.Now().Add(time.Hour)))
		if _, err := writeOne(c); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("without acknowledgements: write into the full buffer: %v, want a timeout", err)
		}
		must(t, s.SetReadDeadline(time.Now().Add(time.Hour)))
		if n, err := readOne(s); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the peer read %d, %v; want nothing", n, err)
		}
		must(t, s.Close())
		must(t, c.SetReadDeadline(time.Now().Add(time.Hour)))
		if n, err := readOne(c); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %d, %v; want neither bytes nor EOF", n, err)
		}
		must(t, c.SetWriteDeadline(time.Now().Add(time.Hour)))
		if _, err := writeOne(c); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a write to a host that is not there: %v, want a timeout", err)
		}
	})
}

func readOne(c *wstest.Conn) (int, error)  { return c.Read(make([]byte, 1)) }
func writeOne(c *wstest.Conn) (int, error) { return c.Write([]byte{'.'}) }

func setWall(c *wstest.Conn, at time.Time) error { return c.SetReadDeadline(at.Round(0)) }

func second(_ int, err error) error { return err }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, c io.Writer, text string) {
	t.Helper()
	if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
		t.Errorf("write %q: %d, %v", text, n, err)
	}
}

func read(t *testing.T, c io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("read %q, %v; want %q", got, err, want)
	}
}
