//go:build race

package live_test

// racing says that everything takes several times as long.
const racing = true
