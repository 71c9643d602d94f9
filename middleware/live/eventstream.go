package live

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// betweenEvents reports whether an event stream stands between two events, or at its start.
// Lines end with CR, LF or both (HTML §9.2.5).
func (b *written) betweenEvents() bool {
	if b.bytes == 0 {
		return true
	}
	last := string(b.last[:])
	end := last[2:]
	return end == "\n\n" || end == "\r\r" || last == "\r\n\r\n" || last[1:] == "\n\r\n"
}

func (b *written) remember(p []byte) {
	if len(p) > len(b.last) {
		p = p[len(p)-len(b.last):]
	}
	copy(b.last[:], b.last[len(p):])
	copy(b.last[len(b.last)-len(p):], p)
}

// endEvents writes the last event of an event stream, if it is time. If the response is
// being written, that writer calls it afterwards.
func (w *response) endEvents() {
	if !w.events.Load() || !w.writing.TryLock() {
		return
	}
	defer w.writing.Unlock()
	if o := w.ended.Load(); o != nil && o.cause != nil && (w.refusing.Load() || final(o.cause)) && !w.body.returned {
		w.sayLast(o)
	}
}

// sayLast writes the last event. writing is held.
func (w *response) sayLast(o *outcome) {
	if w.body.said || o.cause == nil || !w.body.betweenEvents() {
		return
	}
	w.body.said = true
	data, _ := json.Marshal(struct {
		Code   uint16 `json:"code"`
		Reason string `json:"reason"`
	}{o.cause.Code, o.cause.Reason})
	_, err := fmt.Fprintf(w.ResponseWriter, "event: end\ndata: %s\n\n", data)
	if err == nil {
		_ = http.NewResponseController(w.ResponseWriter).Flush()
	}
}
