// Command chat is the library's main job, end to end: accounts, sessions, access
// tokens, a page, and rooms over WebSockets that end with the session that opened them.
//
//	go run ./examples/chat
//
// It needs nothing but Go: certificate, accounts and passwords are made at start, and
// gone when it stops.
package main
