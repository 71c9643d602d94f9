// Package nilvalue finds a nil pointer, function, map, slice or channel in an interface, which
// itself is then not nil.
package nilvalue

import "reflect"

// In reports whether x is not nil and holds a nil value.
func In(x any) bool {
	switch v := reflect.ValueOf(x); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return v.IsNil()
	}
	return false
}
