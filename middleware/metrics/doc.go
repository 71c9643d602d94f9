// Package metrics is a Prometheus collector for the registry of package live, and a layer
// that measures HTTP requests without the lives of the sockets and streams they open.
//
// Every value of a label is in a table of this package: a code, reason or method that is not
// there is "other". So no peer, subject or application adds a series. The page
// docs/observability.md lists the metrics.
package metrics
