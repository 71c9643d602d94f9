package live

import (
	"errors"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// enter makes the response a member, unless it is one. Its error is why the response has
// ended.
func (w *response) enter() error {
	w.entry.Do(func() { w.join(false) })
	if o := w.ended.Load(); o != nil {
		return o.err
	}
	return nil
}

// count is enter for a response that no limit refuses.
func (w *response) count() { w.entry.Do(func() { w.join(true) }) }

func (w *response) join(counted bool) {
	b := new(Binding)
	w.binding.Store(b)
	if err := w.bind(b, counted || w.wroteHeader.Load()); err != nil {
		b.Leave(nil)
		w.entryRefused(err)
		return
	}
	w.layer.logNoDeadlines(w.ResponseWriter, w.request)
	b.Open()
}

func (w *response) bind(b *Binding, counted bool) error {
	g := w.layer.registry
	v, _ := middleware.VoucherFrom(w.outer)
	if !counted {
		if err := g.Reserve(b, w.request); err != nil {
			return err
		}
		return b.Bind(w.outer, v, (*responseMember)(w))
	}
	if _, err := g.reserve(b, w.request, unlimited); err != nil {
		return err
	}
	return b.bind(w.outer, v, (*responseMember)(w), unlimited)
}

// entryRefused ends a response that has not become a member.
func (w *response) entryRefused(err error) {
	g := w.layer.registry
	cause, _ := causeOf(err)
	if w.wroteHeader.Load() || cause != nil && w.called && !w.kind.isSafe() { // perhaps it has had its effect
		if cause == nil {
			cause = Later.Wrap(err)
		}
		w.end(cause)
		return
	}
	if f, ok := errors.AsType[*middleware.Refusal](err); ok && f != nil {
		g.Refused(f.Reason)
	}
	w.ended.CompareAndSwap(nil, &responseEnd{err: err, at: g.Now()})
	w.cancel(err)
}

// Yield lets a ws.Handler take the connection over, if it relies on the same Auth.
func (w *response) Yield(key contextkey.Ours, auth any) {
	v, _ := middleware.VoucherFrom(w.outer)
	b := w.binding.Load()
	if !key.Valid() || auth != any(v.Auth()) || b == nil {
		return
	}
	w.mu.Lock()
	w.yielded = true
	w.mu.Unlock()
	b.Leave(completed)
}
