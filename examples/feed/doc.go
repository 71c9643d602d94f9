// Command feed pushes the ticks of one ticker to many clients, over http.ServeMux and
// without anybody signing in: the smallest whole program. A client that does not read
// is cut without delaying the others.
//
//	go run ./examples/feed
package main
