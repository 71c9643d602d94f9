package middleware

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// exactNames returns an error if a member of the JSON text differs from a field that it would be
// decoded into in letter case alone. RFC 8259 §8.3 compares names character by character, and
// encoding/json does not: who may name a member of a claim could otherwise set another.
func exactNames(text []byte, t reflect.Type) error {
	switch t.Kind() {
	case reflect.Pointer:
		return exactNames(text, t.Elem())
	case reflect.Slice, reflect.Array:
		if of := t.Elem().Kind(); of <= reflect.Complex128 || of == reflect.String {
			return nil
		}
		var elements []json.RawMessage
		_ = json.Unmarshal(text, &elements) // the caller decodes the text, and reports its errors
		for _, element := range elements {
			if err := exactNames(element, t.Elem()); err != nil {
				return err
			}
		}
	case reflect.Map, reflect.Struct:
		if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return nil
		}
		var members map[string]json.RawMessage
		_ = json.Unmarshal(text, &members)
		for name, value := range members {
			of, err := memberType(t, name)
			if err == nil && of != nil {
				err = exactNames(value, of)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// memberType returns the type that a member of a map or struct is decoded into; nil: it is not.
func memberType(t reflect.Type, name string) (reflect.Type, error) {
	if t.Kind() == reflect.Map {
		return t.Elem(), nil
	}
	var folded string
	for _, f := range reflect.VisibleFields(t) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported(), tag == "-", f.Anonymous && tag == "": // VisibleFields has the fields of an embedded struct
			continue
		case tag == "":
			tag = f.Name
		}
		if tag == name {
			return f.Type, nil
		}
		if strings.EqualFold(tag, name) {
			folded = tag
		}
	}
	if folded != "" {
		return nil, fmt.Errorf("member %q is not %q: write the name as the issuer does, in a json tag", name, folded)
	}
	return nil, nil
}
