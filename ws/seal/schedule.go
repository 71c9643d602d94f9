package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
)

// binding is what both ends must have in common, beside the hellos.
type binding struct {
	audience, origin, subprotocol, principal string
}

var errTooLong = errors.New("seal: audience, origin, subprotocol or principal takes more than 65,535 bytes")

// info is HPKE's: it ties the keys to the ServerHello and to the binding.
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

// transcript is SHA-256 over both hellos.
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

// secret is a direction's first. A pre-shared key goes in as the salt of HKDF-Extract
// over what HPKE exported (RFC 5869 §2.2): who lacks either has nothing.
func secret(x exporter, label string, th [sha256.Size]byte, psk []byte) ([]byte, error) {
	exported, err := x.Export(label+string(th[:]), 32)
	if err != nil || len(psk) == 0 {
		return exported, err
	}
	mixed, err := hkdf.Extract(sha256.New, exported, psk)
	clear(exported)
	return mixed, err
}

// expand derives what hangs on a direction's secret. It cannot fail: the lengths are
// constants far below HKDF's bound.
func expand(secret []byte, label string, n int) []byte {
	b, err := hkdf.Expand(sha256.New, secret, label, n)
	if err != nil {
		panic(err)
	}
	return b
}

// directions are both ways of a connection: the label of what comes in is the peer's.
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
