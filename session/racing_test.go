//go:build race

package session_test

const racing = true // the race detector makes a round ten times as long
