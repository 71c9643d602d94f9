//go:build race

package middleware_test

const racing = true // the race detector allocates
