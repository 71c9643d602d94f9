//go:build !race

package needed

const racing = false
