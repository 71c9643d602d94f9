package live

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// A response of another kind than events is complete, or is aborted: it never only looks
// complete.
func TestAbortedResponseDoesNotLookComplete(t *testing.T) {
	write := func(rw http.ResponseWriter, text string) error {
		_, err := io.WriteString(rw, text)
		return err
	}
	for _, test := range []struct {
		name    string
		cause   *Cause
		handler func(rw http.ResponseWriter, r *http.Request)
		status  int // 0: aborted
	}{
		{
			"it gives up after a part", Revoked,
			func(rw http.ResponseWriter, r *http.Request) { _ = write(rw, "half"); <-r.Context().Done() },
			0,
		},
		{
			"it gives up after a flushed header", Revoked,
			func(rw http.ResponseWriter, r *http.Request) { rw.(http.Flusher).Flush(); <-r.Context().Done() }, 0,
		},
		{"it has written its Content-Length", Revoked, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Length", "4")
			_ = write(rw, "full")
			<-r.Context().Done()
		}, 200},
		{"it reaches its Content-Length within the grace", Revoked, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Length", "8")
			_ = write(rw, "half")
			<-r.Context().Done()
			_ = write(rw, "half")
		}, 200},
		{"it writes on within the grace, to an unknown length", Revoked, func(rw http.ResponseWriter, r *http.Request) {
			_ = write(rw, "half")
			<-r.Context().Done()
			_ = write(rw, "more")
		}, 0},
		{"it goes on after the grace", Revoked, func(rw http.ResponseWriter, r *http.Request) {
			_ = write(rw, "half")
			<-r.Context().Done()
			time.Sleep(1100 * time.Millisecond)
			if err := write(rw, "half"); !errors.Is(err, Revoked) {
				t.Errorf("a write after the grace: %v", err)
			}
		}, 0},
		{"revoked, it is deaf and answers late", Revoked, func(rw http.ResponseWriter, r *http.Request) {
			r.Context().Done()
			time.Sleep(5 * time.Second)
			_ = write(rw, "late")
		}, 401},
		{
			"revoked, it answers at once", Revoked,
			func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done(); _ = write(rw, "secret") }, 401,
		},
		{
			"restart, it answers within the grace", Restart,
			func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done(); _ = write(rw, "last") }, 200,
		},
		{
			"it aborts an answer that it has not begun", Revoked,
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); panic(http.ErrAbortHandler) }, 401,
		},
		{"it aborts after a part", Revoked, func(rw http.ResponseWriter, r *http.Request) {
			_ = write(rw, "half")
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}, 0},
		{"it aborts after its Content-Length", Revoked, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Length", "4")
			_ = write(rw, "full")
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}, 200},
		{"restart, it aborts an answer that it began within the grace", Restart, func(rw http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			_ = write(rw, "half")
			panic(http.ErrAbortHandler)
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				time.AfterFunc(time.Second, func() { w.endAll(test.cause) })
				if rec := answer(w.front(http.HandlerFunc(test.handler)), request("session", http.MethodGet)); rec.Code != test.status {
					t.Errorf("%d %s, want %d", rec.Code, rec.Body, test.status)
				}
			})
		})
	}
}

// A handler that notices the end only after one more part of its body has not completed it.
func TestBodyThatTheHandlerLeavesDoesNotLookComplete(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		w := newWorld(t, Config{})
		s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.(http.Flusher).Flush()
			_, _ = rw.Write([]byte("1,"))
			w.signOut("session")
			<-r.Context().Done()
			_, _ = rw.Write([]byte("2,")) // it was on its way
		})), "plain")
		res, body := get(t, s, "session", method)
		if res == nil {
			t.Fatal(body())
		}
		if got, err := body(); err == nil {
			t.Errorf("%s: %q looks complete", method, got)
		}
		w.settled()
	}
}

// A POST that has perhaps had its effect is aborted, also if the revocation is found only
// when it enters.
func TestPostThatMayHaveTakenEffectIsAborted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	s := serve(t, w.front(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		w.join(with(ann, func(p *middleware.Principal) { p.SessionHandle = "other" })).Leave(nil) // the Auth is followed
		w.signOut("session")
		<-r.Context().Done()
	})), "plain")
	if res, _ := get(t, s, "session", http.MethodPost); res != nil {
		t.Errorf("%d, want no answer", res.StatusCode)
	}
	w.settled()
}

// A handler that waits for the body of an upload is cut after two graces; its read fails.
func TestUploadIsCut(t *testing.T) {
	t.Parallel()
	bothHTTP(t, shortGrace, func(t *testing.T, w *world, kind string) {
		errs := make(chan error, 1)
		s := serve(t, w.front(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			r.Context().Done()
			time.AfterFunc(20*time.Millisecond, func() { w.signOut("session") })
			_, err := io.Copy(io.Discard, r.Body)
			errs <- err
		})), kind)
		body, end := io.Pipe()
		defer end.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodPut, s.URL, body)
		r.Header.Set("Session", "session")
		go func() {
			_, _ = end.Write([]byte("begun"))
			if err := received(t, "the handler's read", errs); err == nil {
				t.Error("the handler has read all")
			}
			_ = end.CloseWithError(io.ErrUnexpectedEOF) // net/http's client waits for its own writer
		}()
		if res, err := s.Client().Do(r); err == nil {
			t.Errorf("answered %d", res.StatusCode)
		}
		w.settled()
	})
}
