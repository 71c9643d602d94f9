package live

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// acceptsEventStream reports whether text/event-stream is named in Accept (RFC 9110 §12.5.1).
func acceptsEventStream(h http.Header) bool {
	return slices.ContainsFunc(h["Accept"], func(line string) bool {
		for element := range strings.SplitSeq(line, ",") {
			if namesEventStream(element) {
				return true
			}
		}
		return false
	})
}

// isEventStream reports whether the header is that of an event stream.
func isEventStream(h http.Header) bool {
	lines := h["Content-Type"]
	return len(lines) > 0 && namesEventStream(lines[0])
}

func namesEventStream(mediaType string) bool {
	name, _, _ := strings.Cut(mediaType, ";")
	return strings.EqualFold(strings.Trim(name, " \t"), "text/event-stream")
}

// endEventStream writes the last event of an event stream, if it is time. If the response is
// being written, that writer calls it afterwards.
func (w *response) endEventStream() {
	if !w.eventStream.Load() || !w.writing.TryLock() {
		return
	}
	defer w.writing.Unlock()
	if o := w.ended.Load(); o != nil && o.cause != nil && (w.refusing.Load() || final(o.cause)) && !w.returned.Load() {
		w.writeLastEvent(o)
	}
}

// writeLastEvent writes the last event. writing is held.
func (w *response) writeLastEvent(o *responseEnd) {
	if w.body.lastEvent || o.cause == nil || !w.body.lines.betweenEvents() {
		return
	}
	w.body.lastEvent = true
	data, _ := json.Marshal(struct {
		Code   uint16 `json:"code"`
		Reason string `json:"reason"`
	}{o.cause.Code, o.cause.Reason})
	_, err := fmt.Fprintf(w.ResponseWriter, "event: end\ndata: %s\n\n", data)
	if err == nil {
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		w.binding.Load().Closed(o.cause)
	}
}
