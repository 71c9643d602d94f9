// Command deploy is a service without TLS of its own, for the proxies of docs/deploy.md: a
// socket, an event stream and a limited request behind the layers that the page asks for.
//
//	go run ./examples/deploy -origin https://app.example
package main
