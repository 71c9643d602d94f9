package bearer

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may nest.
const maxDepth = 32

var (
	errJSON      = errors.New("not strict JSON")
	errDuplicate = errors.New("JSON with a duplicate name")
	errDepth     = errors.New("JSON nested too deep")
)

// member is one member of an object: the name unescaped, the value unchanged.
type member struct{ name, value []byte }

// object reads a document that is one JSON object, as strictly as RFC 8259 and the
// I-JSON profile (RFC 7493 §2) describe: UTF-8, no unpaired surrogates, no name twice in
// any object however it is escaped (RFC 7515 §4, RFC 7519 §4), nothing behind the object.
// encoding/json lets all of these pass and matches names in any letter case.
func object(doc []byte) ([]member, error) {
	var buf [24][]byte // on the stack, for most documents
	s := scanner{in: doc, names: buf[:0]}
	members := make([]member, 0, 24)
	if err := s.document(func() error { return s.object(1, &members) }); err != nil {
		return nil, err
	}
	return members, nil
}

// looseObject is [object] without the checks of names inside of the members and of
// surrogates, for documents whose parts are to stand or fall one by one.
func looseObject(doc []byte) ([]member, error) {
	members, err := membersOf(doc)
	names := make([][]byte, len(members))
	for i, m := range members {
		names[i] = m.name
	}
	if err == nil && !distinct(names) {
		err = errDuplicate
	}
	return members, err
}

// membersOf returns the members of a value that [object] has been through, each of another name.
func membersOf(value []byte) ([]member, error) {
	s := scanner{in: value, loose: true}
	members := make([]member, 0, 4)
	err := s.document(func() error { return s.object(1, &members) })
	return members, err
}

// array returns the elements of a value that [object] or [looseObject] has been through;
// of more than limit, one more than limit.
func array(value []byte, limit int) ([][]byte, bool) {
	s := scanner{in: value, loose: true}
	elements := make([][]byte, 0, 4)
	collect := func(element []byte) {
		if len(elements) <= limit {
			elements = append(elements, element)
		}
	}
	err := s.document(func() error { return s.array(1, collect) })
	return elements, err == nil
}

// text returns the string that a value of [object] is.
func text(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	return unescape(value[1 : len(value)-1]), true
}

// isText reports whether a value of [object] is one of the strings. It allocates only if the
// value has escapes.
func isText(value []byte, want []string) bool {
	if bytes.IndexByte(value, '\\') >= 0 {
		s, ok := text(value)
		return ok && slices.Contains(want, s)
	}
	return len(value) >= 2 && value[0] == '"' &&
		slices.ContainsFunc(want, func(s string) bool { return s == string(value[1:len(value)-1]) })
}

// unescape resolves the escapes of a string that the scanner has been through.
func unescape(inner []byte) string {
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var out string
	quoted := slices.Concat([]byte{'"'}, inner, []byte{'"'})
	if json.Unmarshal(quoted, &out) != nil {
		return ""
	}
	return out
}

// scanner walks a JSON text. names is a stack of the names of all open objects.
type scanner struct {
	in    []byte
	at    int
	names [][]byte
	loose bool // names may repeat, surrogates be unpaired
}

func (s *scanner) document(top func() error) error {
	if !utf8.Valid(s.in) {
		return errJSON
	}
	s.space()
	if err := top(); err != nil {
		return err
	}
	s.space()
	if s.at != len(s.in) {
		return errJSON
	}
	return nil
}

func (s *scanner) value(depth int) error {
	switch c := s.peek(); c {
	case '{':
		return s.object(depth+1, nil)
	case '[':
		return s.array(depth+1, nil)
	case '"':
		_, err := s.text()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) object(depth int, into *[]member) error {
	if depth > maxDepth {
		return errDepth
	}
	if !s.take('{') {
		return errJSON
	}
	mark := len(s.names)
	s.space()
	for more := s.peek() != '}'; more; {
		name, err := s.name()
		if err != nil {
			return err
		}
		start := s.at
		if err := s.value(depth); err != nil {
			return err
		}
		if into != nil {
			*into = append(*into, member{name, s.in[start:s.at]})
		}
		more = s.another()
	}
	if !s.take('}') {
		return errJSON
	}
	if !s.loose && !distinct(s.names[mark:]) {
		return errDuplicate
	}
	s.names = s.names[:mark]
	return nil
}

// name passes a name and its colon, and returns it unescaped.
func (s *scanner) name() ([]byte, error) {
	name, err := s.text()
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(name, '\\') >= 0 {
		name = []byte(unescape(name))
	}
	if !s.loose {
		s.names = append(s.names, name)
	}
	s.space()
	if !s.take(':') {
		return nil, errJSON
	}
	s.space()
	return name, nil
}

func (s *scanner) array(depth int, collect func([]byte)) error {
	if depth > maxDepth {
		return errDepth
	}
	if !s.take('[') {
		return errJSON
	}
	s.space()
	for more := s.peek() != ']'; more; {
		start := s.at
		if err := s.value(depth); err != nil {
			return err
		}
		if collect != nil {
			collect(s.in[start:s.at])
		}
		more = s.another()
	}
	if !s.take(']') {
		return errJSON
	}
	return nil
}

// another passes a comma and the space around it.
func (s *scanner) another() bool {
	s.space()
	if !s.take(',') {
		return false
	}
	s.space()
	return true
}

// distinct may reorder names.
func distinct(names [][]byte) bool {
	if len(names) > 16 {
		slices.SortFunc(names, bytes.Compare)
		for i := 1; i < len(names); i++ {
			if bytes.Equal(names[i-1], names[i]) {
				return false
			}
		}
		return true
	}
	for i := range names {
		for j := range i {
			if bytes.Equal(names[i], names[j]) {
				return false
			}
		}
	}
	return true
}
