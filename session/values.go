package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	maxValueName = 128      // bytes
	maxValue     = 16 << 10 // bytes of JSON
	maxValues    = 32 << 10 // bytes of all, with their names
)

// Values are the application's values of one session, as a [Key] reads and writes
// them: those of a request ([Manager.Values]) or of one [Manager.Update]. They are
// safe for concurrent use. A request without a session layer has
// a nil *Values: every Key method fails on it.
type Values struct {
	mu      sync.Mutex
	stored  []value           // as loaded
	changed map[string]change // on top of stored
	frozen  error             // why nothing may change any more
}

type change struct {
	json    string
	deleted bool
}

// Key names a value of type T, which is kept as its JSON:
//
//	const cart = session.Key[Cart]("cart")
//
// Names are 1 to 128 bytes of UTF-8, values at most 16 KiB of JSON, a session at most
// 32 KiB and 256 values. Two keys of one name and different types are a mistake that
// Get reports when the JSON of one does not fit the other.
type Key[T any] string

var (
	errNoSession = errors.New("no session in the context: put Manager.Handler in front")
	errFull      = fmt.Errorf("the session is full: at most %d values in %d bytes", maxCount, maxValues)
)

// Get returns the value; false if there is none.
func (k Key[T]) Get(v *Values) (value T, ok bool, err error) {
	if v == nil {
		return value, false, fmt.Errorf("session: get %q: %w", string(k), errNoSession)
	}
	text, ok := v.get(string(k))
	if !ok {
		return value, false, nil
	}
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		var zero T
		return zero, false, fmt.Errorf("session: get %q: %w", string(k), err)
	}
	return value, true, nil
}

// Put sets the value. It is kept when the request's response begins, or Update
// returns; a failure to keep it replaces the response. Put fails in a handshake
// ([ErrHandshake]) and once the response has begun ([ErrBegun]).
func (k Key[T]) Put(v *Values, value T) error {
	text, err := json.Marshal(value)
	if err == nil {
		err = v.change(string(k), change{json: string(text)})
	}
	if err != nil {
		return fmt.Errorf("session: put %q: %w", string(k), err)
	}
	return nil
}

// Delete removes the value, if there is one. It fails as Put does.
func (k Key[T]) Delete(v *Values) error {
	if err := v.change(string(k), change{deleted: true}); err != nil {
		return fmt.Errorf("session: delete %q: %w", string(k), err)
	}
	return nil
}

func (v *Values) get(name string) (string, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c, ok := v.changed[name]; ok {
		return c.json, !c.deleted
	}
	i, ok := find(v.stored, name)
	if !ok {
		return "", false
	}
	return v.stored[i].json, true
}

func find(list []value, name string) (int, bool) {
	return slices.BinarySearchFunc(list, name, func(e value, name string) int { return strings.Compare(e.name, name) })
}

func (v *Values) change(name string, c change) error {
	switch {
	case v == nil:
		return errNoSession
	case name == "" || len(name) > maxValueName || !utf8.ValidString(name):
		return fmt.Errorf("the name is not 1 to %d bytes of UTF-8", maxValueName)
	case len(c.json) > maxValue:
		return fmt.Errorf("%d bytes of JSON are more than %d", len(c.json), maxValue)
	case !utf8.ValidString(c.json):
		return errors.New("the JSON is not UTF-8")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.frozen != nil {
		return v.frozen
	}
	if v.changed == nil {
		v.changed = map[string]change{}
	}
	old, had := v.changed[name]
	v.changed[name] = c
	if err := fits(merge(v.stored, v.changed)); err != nil {
		if delete(v.changed, name); had {
			v.changed[name] = old
		}
		return err
	}
	return nil
}

// fits keeps room in the record for the identity.
func fits(list []value) error {
	size := 0
	for _, e := range list {
		size += len(e.name) + len(e.json) + 6
	}
	if len(list) > maxCount || size > maxValues {
		return errFull
	}
	return nil
}

// merge returns the stored values with the changes on top, sorted.
func merge(stored []value, changed map[string]change) []value {
	list := make([]value, 0, len(stored)+len(changed))
	for _, e := range stored {
		if _, ok := changed[e.name]; !ok {
			list = append(list, e)
		}
	}
	for name, c := range changed {
		if !c.deleted {
			list = append(list, value{name, c.json})
		}
	}
	slices.SortFunc(list, func(a, b value) int { return strings.Compare(a.name, b.name) })
	return list
}

// pending returns a copy of the changes.
func (v *Values) pending() map[string]change {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.changed)
}

// freeze forbids changes for a reason; nil allows them again.
func (v *Values) freeze(why error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.frozen = why
}

// reset replaces the values after a Login or Logout.
func (v *Values) reset(stored []value) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stored, v.changed = stored, nil
}
