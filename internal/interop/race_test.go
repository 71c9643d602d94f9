//go:build race

package interop

const racing = true
