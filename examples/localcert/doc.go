// Package localcert creates the certificate with which the examples serve TLS on the local
// machine.
package localcert
