package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// The record, version 1. All lengths are one to three bytes of minimal uvarint.
//
//	"ws" 's' 0x01
//	start, seen, end     int64 each, big endian, Unix ns, 0 < start <= seen, start < end
//	issuer, subject      length, UTF-8
//	scopes               count, { length, UTF-8 }
//	attributes           count, { name, value }   names ascending, each once
//	values               count, { name, JSON }    names ascending, each once
//
// Nothing may follow. There is one encoding of a record, so that equal bytes mean
// an equal record (see [Swapper]).
const (
	magic      = "wss\x01"
	maxRecord  = 64 << 10 // bytes
	maxEntries = 256      // of scopes, attributes and values each
)

var errRecord = errors.New("session: record: not a record of this version")

// encode fails for what decode would not read.
func (rec *record) encode() ([]byte, error) {
	b := make([]byte, 0, 256)
	b = append(b, magic...)
	for _, t := range [...]int64{rec.start, rec.seen, rec.end} {
		b = binary.BigEndian.AppendUint64(b, uint64(t))
	}
	b = appendString(b, rec.issuer)
	b = appendString(b, rec.subject)
	b = binary.AppendUvarint(b, uint64(len(rec.scopes)))
	for _, s := range rec.scopes {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(rec.attributes)))
	for _, name := range slices.Sorted(maps.Keys(rec.attributes)) {
		b = appendString(appendString(b, name), rec.attributes[name])
	}
	b = binary.AppendUvarint(b, uint64(len(rec.values)))
	for _, e := range rec.values {
		b = appendString(appendString(b, e.name), e.json)
	}
	if len(b) > maxRecord {
		return nil, fmt.Errorf("session: record: %d bytes are more than the %d a session may hold", len(b), maxRecord)
	}
	if _, err := decode(b); err != nil {
		return nil, errors.New("session: record: more than 256 scopes, attributes or values, or text that is not UTF-8")
	}
	return b, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decode copies what it keeps of b.
func decode(b []byte) (*record, error) {
	if len(b) < len(magic)+24 || len(b) > maxRecord || string(b[:len(magic)]) != magic {
		return nil, errRecord
	}
	times := b[len(magic):]
	rec := &record{
		start: int64(binary.BigEndian.Uint64(times)),
		seen:  int64(binary.BigEndian.Uint64(times[8:])),
		end:   int64(binary.BigEndian.Uint64(times[16:])),
	}
	d := decoder{rest: string(times[24:])}
	rec.issuer = d.text()
	rec.subject = d.text()
	rec.scopes = d.scopes()
	rec.attributes = d.attributes()
	rec.values = d.entries()
	if d.bad || d.rest != "" || rec.start <= 0 || rec.seen < rec.start || rec.end <= rec.start || rec.end-rec.start > int64(maxAbsolute) {
		return nil, errRecord
	}
	return rec, nil
}

// decoder cuts a record's variable part; bad once anything was wrong.
type decoder struct {
	rest string
	bad  bool
}

// number reads a minimal uvarint of at most three bytes.
func (d *decoder) number() int {
	n := 0
	for i := range min(3, len(d.rest)) {
		c := d.rest[i]
		n |= int(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.rest = d.rest[i+1:]
			d.bad = d.bad || c == 0 && i > 0
			return n
		}
	}
	d.bad = true
	return 0
}

func (d *decoder) text() string {
	n := d.number()
	if d.bad || n > len(d.rest) {
		d.bad = true
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	d.bad = d.bad || !utf8.ValidString(s)
	return s
}

// count refuses more elements than bytes are left, before anything is allocated.
func (d *decoder) count() int {
	n := d.number()
	if d.bad || n > maxEntries || n > len(d.rest) {
		d.bad = true
		return 0
	}
	return n
}

func (d *decoder) scopes() (list []string) {
	for i, n := 0, d.count(); i < n && !d.bad; i++ {
		if list == nil {
			list = make([]string, 0, n)
		}
		list = append(list, d.text())
	}
	return list
}

func (d *decoder) attributes() map[string]string {
	n, last := d.count(), ""
	if n == 0 {
		return nil
	}
	attributes := make(map[string]string, n)
	for i := 0; i < n && !d.bad; i++ {
		name := d.ascending(&last, i)
		attributes[name] = d.text()
	}
	return attributes
}

func (d *decoder) entries() (list []entry) {
	last := ""
	for i, n := 0, d.count(); i < n && !d.bad; i++ {
		if list == nil {
			list = make([]entry, 0, n)
		}
		name := d.ascending(&last, i)
		list = append(list, entry{name, d.text()})
	}
	return list
}

// ascending reads a name that must sort after the last one.
func (d *decoder) ascending(last *string, i int) string {
	name := d.text()
	d.bad = d.bad || i > 0 && strings.Compare(*last, name) >= 0
	*last = name
	return name
}
