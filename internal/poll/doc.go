// Package poll waits for something that can only be asked about.
package poll
