//go:build !race

package stores

const racing = false
