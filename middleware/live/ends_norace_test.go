//go:build !race

package live_test

const racing = false
