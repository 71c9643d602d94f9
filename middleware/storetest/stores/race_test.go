//go:build race

package stores

const racing = true // the race detector makes the driver of SQLite slow
