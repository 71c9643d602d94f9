//go:build !unix

package needed

import "errors"

// lock fails: the modules of Node are then installed by hand.
func lock(string) (unlock func(), err error) {
	return nil, errors.New("needed: no lock of files on this system")
}
