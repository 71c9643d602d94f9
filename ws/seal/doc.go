// Package seal encrypts the payload of WebSocket messages from end to end.
package seal
