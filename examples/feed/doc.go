// Command feed pushes the ticks of one ticker to many anonymous clients, with http.ServeMux.
// A client that does not read is cut without delaying the others.
//
//	go run ./examples/feed
package main
