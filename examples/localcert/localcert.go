// Package localcert makes the certificate that the examples serve TLS with on one's own
// machine.
package localcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// New returns a self-signed certificate for localhost, 127.0.0.1 and ::1. Its key never
// touches the disk, so the exception that a browser is asked to make for it is worth
// nothing when the process has ended.
func New() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "securews example on this machine"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(0, 0, 30),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, // and no CA: nobody can sign for other names with it
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// Fingerprint is the certificate's SHA-256 as browsers show it, to compare.
func Fingerprint(cert tls.Certificate) string {
	sum := sha256.Sum256(cert.Certificate[0])
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

// Origin is the https origin of the page at a listener's address, named by the host
// that was asked for: "localhost:0" listening on port 4711 is https://localhost:4711.
// The Host header of a request is no source for it: whoever sends the request chooses
// that.
func Origin(asked string, listening net.Addr) (string, error) {
	host, _, err := net.SplitHostPort(asked)
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return "", err
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost" // every address is listened on, this is the one known to be right
	}
	if port == "443" {
		return "https://" + strings.TrimSuffix(net.JoinHostPort(host, ""), ":"), nil
	}
	return "https://" + net.JoinHostPort(host, port), nil
}
