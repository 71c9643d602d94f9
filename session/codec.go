package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/securews/securews/internal/entry"
)

// The record. All lengths are one to three bytes of minimal uvarint.
//
//	"ws" 's' version     0x05
//	login, start         int64 each, big endian, Unix ns, 0 < login <= start
//	seen, end            int64 each, start <= seen, start < end
//	marks                3 × { length 0 or 16, bytes }: everywhere, others, roles, at the sign-in
//	issuer, subject      length, UTF-8
//	provider             issuer, subject, handle: length, UTF-8 each; mark: length 0 or 16, bytes
//	scopes, roles        count, { length, UTF-8 } each
//	attributes           count, { name, value }   names ascending, each once
//	values               count, { name, JSON }    names ascending, each once
//
// Nothing may follow. There is one encoding of a record: equal bytes mean an equal record (see
// [Swapper]). Records of versions 1 to 4 lack marks or a provider and are not read: those sessions end.
const (
	magic     = entry.MagicOfRecords + "\x05"
	maxRecord = 64_000 // bytes; a BLOB of MySQL holds 65,535
	maxCount  = 256    // of scopes, roles, attributes and values each
)

var errRecord = errors.New("session: record: not a record of this version")

// encode fails if decode would refuse the result.
func (rec *record) encode() ([]byte, error) {
	b := append(make([]byte, 0, 256), magic...)
	for _, t := range [...]int64{rec.login, rec.start, rec.seen, rec.end} {
		b = binary.BigEndian.AppendUint64(b, uint64(t))
	}
	for _, mark := range [...]string{rec.marks.everywhere, rec.marks.others, rec.marks.roles} {
		b = appendString(b, mark)
	}
	b = appendString(appendString(b, rec.issuer), rec.subject)
	for _, s := range [...]string{rec.provider.issuer, rec.provider.subject, rec.provider.session, rec.provider.mark} {
		b = appendString(b, s)
	}
	b = appendList(appendList(b, rec.scopes), rec.roles)
	b = binary.AppendUvarint(b, uint64(len(rec.attributes)))
	for _, name := range slices.Sorted(maps.Keys(rec.attributes)) {
		b = appendString(appendString(b, name), rec.attributes[name])
	}
	b = binary.AppendUvarint(b, uint64(len(rec.values)))
	for _, e := range rec.values {
		b = appendString(appendString(b, e.name), e.json)
	}
	if len(b) > maxRecord {
		return nil, fmt.Errorf("session: record: %d bytes are more than the limit of %d", len(b), maxRecord)
	}
	if _, err := decode(b); err != nil {
		return nil, errors.New("session: record: more than 256 scopes, roles, attributes or values, or text that is not UTF-8")
	}
	return b, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendList(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

// decode does not keep b.
func decode(b []byte) (*record, error) {
	if len(b) > maxRecord || len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return nil, errRecord
	}
	d := decoder{rest: string(b[len(magic):])}
	rec := &record{
		login: d.time(), start: d.time(), seen: d.time(), end: d.time(),
		marks:  marks{d.mark(), d.mark(), d.mark()},
		issuer: d.text(), subject: d.text(),
		provider: provider{d.text(), d.text(), d.text(), d.mark()},
		scopes:   d.list(), roles: d.list(),
		attributes: d.attributes(), values: d.values(),
	}
	if d.bad || d.rest != "" || !rec.timesAgree() {
		return nil, errRecord
	}
	return rec, nil
}

func (rec *record) timesAgree() bool {
	return rec.login > 0 && rec.login <= rec.start && rec.start <= rec.seen &&
		rec.start < rec.end && rec.end-rec.start <= int64(maxAbsolute)
}

// decoder reads a record from the front; bad is set by the first error.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) time() int64 {
	if len(d.rest) < 8 {
		d.bad = true
		return 0
	}
	var b [8]byte
	copy(b[:], d.rest)
	d.rest = d.rest[8:]
	return int64(binary.BigEndian.Uint64(b[:]))
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

func (d *decoder) bytes() string {
	n := d.number()
	if d.bad || n > len(d.rest) {
		d.bad = true
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) text() string {
	s := d.bytes()
	d.bad = d.bad || !utf8.ValidString(s)
	return s
}

func (d *decoder) mark() string {
	s := d.bytes()
	d.bad = d.bad || s != "" && len(s) != markSize
	return s
}

// count refuses more elements than remaining bytes, before anything is allocated.
func (d *decoder) count() int {
	n := d.number()
	if d.bad || n > maxCount || n > len(d.rest) {
		d.bad = true
		return 0
	}
	return n
}

func (d *decoder) list() (list []string) {
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

func (d *decoder) values() (list []value) {
	last := ""
	for i, n := 0, d.count(); i < n && !d.bad; i++ {
		if list == nil {
			list = make([]value, 0, n)
		}
		name := d.ascending(&last, i)
		list = append(list, value{name, d.text()})
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
