// Package console tests that the pages of the examples leave the consoles of real browsers
// silent: a warning on every page hides the one that matters.
package console
