// Command chat is a complete application of the library: accounts, sessions, access
// tokens, a page, and rooms over WebSockets that end with the session that opened them.
//
//	go run ./examples/chat
//
// It requires only Go: certificate, accounts and passwords are created at start and exist
// until the process ends. The name in the corner of the page opens the list of the user's
// devices, each of which can be signed out. There the first account also gives and takes the role
// of a member.
//
// Behind a proxy of docs/deploy.md it serves HTTP/1.1 without TLS:
//
//	go run ./examples/chat -behind 127.0.0.1 -origin https://app.example
package main
