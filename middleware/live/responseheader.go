package live

import "net/http"

// Header implements http.ResponseWriter. The first call keeps the header of the layers in
// front, before the handler can change it.
func (w *response) Header() http.Header {
	h := w.ResponseWriter.Header()
	if w.outerHeader.Load() == nil && !w.wroteHeader.Load() {
		w.keepHeader(h)
	}
	return h
}

func (w *response) keepHeader(h http.Header) {
	b := w.layer.outerHeaders.copyOf(h)
	if !w.outerHeader.CompareAndSwap(nil, b) {
		w.layer.outerHeaders.free(b)
	}
}

// restoreHeader undoes the changes of the handler.
func (w *response) restoreHeader() {
	if b := w.outerHeader.Load(); b != nil { // nil: it did not ask for the header
		b.fields.Restore(w.ResponseWriter.Header())
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	informational := status < 200 && status != http.StatusSwitchingProtocols // RFC 9110 §15.2
	if !informational {
		w.beforeWrite(status)
	}
	defer w.afterWrite(0)
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.beginHeader(status, informational) == nil {
		w.ResponseWriter.WriteHeader(status)
	}
}

// beginHeader is begin for a header. A second one is passed on, and net/http reports it.
func (w *response) beginHeader(status int, informational bool) error {
	if informational || w.wroteHeader.Load() {
		return w.writeErr()
	}
	return w.begin(status)
}
