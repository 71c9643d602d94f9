package live

import "bytes"

// eventLines is how far the text of an event stream has come (HTML §9.2.5). Lines end with
// CR, LF or both; an empty line ends an event, and a line that begins with a colon is a
// comment, which belongs to none. The zero value is the start of a stream.
type eventLines struct {
	within bool // a line
	event  bool // there was a field since the last empty line
	cr     bool // the last byte was CR: LF belongs to it
}

// pass takes the next bytes of the stream.
func (l *eventLines) pass(p []byte) {
	for len(p) > 0 {
		if !l.within {
			p = l.begin(p)
			continue
		}
		end := endOfLine(p)
		if end < 0 {
			return
		}
		l.within, l.cr = false, p[end] == '\r'
		p = p[end+1:]
	}
}

// begin takes the first byte of a line, or the LF behind the CR of the line before.
func (l *eventLines) begin(p []byte) []byte {
	c, cr := p[0], l.cr
	l.cr = false
	switch {
	case c == '\n' && cr:
	case c == '\n', c == '\r':
		l.event, l.cr = false, c == '\r'
	case c == ':':
		l.within = true
	default:
		l.within, l.event = true, true
	}
	return p[1:]
}

// endOfLine returns the index of the first CR or LF, or -1.
func endOfLine(p []byte) int {
	end := bytes.IndexByte(p, '\n')
	if end >= 0 {
		p = p[:end]
	}
	if cr := bytes.IndexByte(p, '\r'); cr >= 0 {
		return cr
	}
	return end
}

// betweenEvents reports whether the stream stands between two events, or at its start.
func (l *eventLines) betweenEvents() bool { return !l.within && !l.event }
