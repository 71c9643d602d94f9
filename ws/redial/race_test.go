//go:build race

package redial_test

// raceDetector: everything is slower, and goroutines are limited to 8,128 a process.
const raceDetector = true
