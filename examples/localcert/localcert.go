package localcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"regexp"
	"strings"
	"time"
)

// New returns a self-signed certificate for localhost, 127.0.0.1 and ::1. Its key is never
// written to disk, so a browser's exception for it is harmless once the process has ended.
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
		BasicConstraintsValid: true, // not a CA: it cannot sign certificates for other names
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

// Fingerprint returns the certificate's SHA-256 in the form that browsers show.
func Fingerprint(cert tls.Certificate) string { return fingerprint(cert.Certificate[0]) }

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

var (
	fingerprintForm = regexp.MustCompile(`^[0-9A-F]{2}(:[0-9A-F]{2}){31}$`)

	// ErrOther reports a certificate other than the pinned one.
	ErrOther = errors.New("the server presented another certificate")
)

// Pin returns a configuration that trusts only the certificate with this Fingerprint. It
// replaces the verification of names and authorities: the holder of the certificate's key
// is the server.
func Pin(want string) (*tls.Config, error) {
	want = strings.ToUpper(want)
	if !fingerprintForm.MatchString(want) {
		return nil, fmt.Errorf("fingerprint %q: want 32 bytes in hexadecimal with colons between them", want)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // VerifyConnection decides, for resumed connections too
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return ErrOther
			}
			if got := fingerprint(s.PeerCertificates[0].Raw); got != want {
				return fmt.Errorf("%w: %s", ErrOther, got)
			}
			return nil
		},
	}, nil
}

// Origin returns the https origin of the page at a listener's address, with the requested
// host name: "localhost:0" listening on port 4711 is https://localhost:4711. It must not be
// taken from the Host header of a request, which the client chooses.
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
		host = "localhost" // the listener accepts every address; this one is certain to reach it
	}
	if port == "443" {
		return "https://" + strings.TrimSuffix(net.JoinHostPort(host, ""), ":"), nil
	}
	return "https://" + net.JoinHostPort(host, port), nil
}
