package live

import (
	"encoding/json"
	"fmt"
	"net/http"
)

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
	if w.body.said || o.cause == nil || !w.body.lines.betweenEvents() {
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
