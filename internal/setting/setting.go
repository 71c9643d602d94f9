// Package setting reads the numbers of configurations: 0 is the default, a negative value
// an error, and "unlimited" does not exist.
package setting

import (
	"fmt"
	"time"
)

// MaxTime is the longest time that is accepted, so that sums of times do not overflow.
const MaxTime = 10 * 365 * 24 * time.Hour

// Fill replaces 0 by the default; a default of 0 stands for none. Its error begins with the
// package and the Go name of the field.
func Fill[T int | time.Duration](pkg, name string, v *T, def T) error {
	d, isTime := any(*v).(time.Duration)
	switch {
	case *v < 0 && def == 0:
		return fmt.Errorf("%s: %s: %v is negative; 0 is the default, none", pkg, name, *v)
	case *v < 0:
		return fmt.Errorf("%s: %s: %v is negative; 0 is the default, %v, and there is no unlimited", pkg, name, *v, def)
	case isTime && d > MaxTime:
		return fmt.Errorf("%s: %s: %v is longer than ten years; there is no unlimited", pkg, name, d)
	case *v == 0:
		*v = def
	}
	return nil
}
