// Package axe has a test that applies the accessibility rules of axe-core to every page of the
// examples. axe-core is a package of npm, installed in this directory for the test alone.
package axe
