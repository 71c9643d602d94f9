//go:build !race

package bearer_test

const racing = false
