// Command chat is a complete application of the library: accounts, sessions, access
// tokens, a page, and rooms over WebSockets that end with the session that opened them.
//
//	go run ./examples/chat
//
// It requires only Go: certificate, accounts and passwords are created at start and exist
// until the process ends.
package main
