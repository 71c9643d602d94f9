// Package outqueue has the parts of a queue of messages that wait to be sent: their order, and a
// bound on their number and bytes. The connections of ws, redial and seal each have such a queue.
package outqueue
