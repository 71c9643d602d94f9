package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
)

// binding holds the parameters that both ends must agree on, beside the hellos.
type binding struct {
	audience, origin, subprotocol, principal string
}

var errTooLong = errors.New("seal: audience, origin, subprotocol or principal is longer than 65,535 bytes")

// info returns the info parameter of HPKE, which ties the keys to the ServerHello and to
// the binding.
func (v binding) info(serverHello []byte) ([]byte, error) {
	sum := sha256.Sum256(serverHello)
	b := append([]byte("wss-hpke/1\x00"), sum[:]...)
	for _, s := range [...]string{v.audience, v.origin, v.subprotocol, v.principal} {
		if len(s) > math.MaxUint16 {
			return nil, errTooLong
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	return b, nil
}

// transcript returns the SHA-256 of both hellos.
func transcript(serverHello, clientHello []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(serverHello)
	h.Write(clientHello)
	return [sha256.Size]byte(h.Sum(nil))
}

// exporter is an HPKE context of either side.
type exporter interface {
	Export(exporterContext string, length int) ([]byte, error)
}

const (
	labelC2S = "wss-hpke/1 c2s"
	labelS2C = "wss-hpke/1 s2c"
	labelKey = "wss-hpke/1 key"
	labelIV  = "wss-hpke/1 iv"
	labelUpd = "wss-hpke/1 upd"
)

// secret returns the first secret of a direction. A pre-shared key is the salt of an
// HKDF-Extract over the secret that HPKE exports (RFC 5869 §2.2): both are required to
// compute the result.
func secret(x exporter, label string, th [sha256.Size]byte, psk []byte) ([]byte, error) {
	exported, err := x.Export(label+string(th[:]), 32)
	if err != nil || len(psk) == 0 {
		return exported, err
	}
	mixed, err := hkdf.Extract(sha256.New, exported, psk)
	clear(exported)
	return mixed, err
}

// expand derives a value from the secret of a direction. It cannot fail: the lengths are
// constants far below the bound of HKDF.
func expand(secret []byte, label string, n int) []byte {
	b, err := hkdf.Expand(sha256.New, secret, label, n)
	if err != nil {
		panic(err)
	}
	return b
}

// directions returns both directions of a connection; in and out are their labels.
func directions(x exporter, in, out string, th [sha256.Size]byte, psk PSK, keySize int) (from, to *direction, err error) {
	a, err := secret(x, in, th, psk)
	if err != nil {
		return nil, nil, err
	}
	b, err := secret(x, out, th, psk)
	if err != nil {
		return nil, nil, err
	}
	return newDirection(a, keySize), newDirection(b, keySize), nil
}
