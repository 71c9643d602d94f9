// Package outqueue has the parts of a queue of messages that wait to be sent: an order, [Fifo], and a
// bound on the number and bytes, [Load]. The connections of redial and seal use both. Those of ws
// use Load, since their messages wait as finished frames, and its goroutines that write take the
// connections from a Fifo.
package outqueue
