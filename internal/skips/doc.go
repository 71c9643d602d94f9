// Package main reads what go test -json prints, prints what go test would print without it, and
// ends with one line that counts the tests that were skipped, and says how to have those for which
// something is missing:
//
//	go test -json work | go run ./internal/skips
//
// Its exit code says nothing about the tests: that of go test does.
package main
