// Upgraders binds the sockets of eight WebSocket libraries, an event stream and a backend in
// another language to the session that opened them. A page connects to each of them; signing
// out in another tab ends all, and the page shows code and reason of each end.
//
//	go run ./examples/upgraders
package main
