// Command nodes shows two server processes that share their state in Redis: it has users sign in
// and out, takes Redis and the network away, and prints how long each effect took.
//
//	go run ./examples/nodes
//
// It starts a redis-server, two nodes and a reverse proxy, all on loopback, and ends them. The
// exit code is 0 if everything held, and 1 if not. -redis host:port takes a server that runs
// already: the example leaves no keys there, and does not kill it. docs/nodes.md explains the parts.
package main
