// Observed is a chat room of signed-in visitors with Prometheus metrics, on a listener of their
// own, and OpenTelemetry spans, which it prints. docs/observability.md explains both.
//
//	go run ./examples/observed
package main
