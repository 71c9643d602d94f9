//go:build !race

package redial_test

const raceDetector = false
