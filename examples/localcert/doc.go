// Package localcert makes the certificate that the examples serve TLS with on one's own
// machine.
package localcert
