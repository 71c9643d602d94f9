// Package pages is for tests that look at the pages of the examples in a real browser.
package pages
