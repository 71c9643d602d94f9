//go:build race

package bearer_test

const racing = true // the detector allocates, and sync.Pool forgets at random
