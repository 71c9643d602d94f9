package seal

import (
	"bytes"
	"encoding/binary"
)

const (
	helloServer  = 0x01
	helloClient  = 0x02
	helloVersion = 0x01

	serverHelloHead = 37 // including the number of suites
	offerSize       = 14
	clientHelloHead = 20 // up to enc
)

type kid [8]byte

// offer is one suite with one key, as encoded in both hellos.
type offer struct {
	kid            kid
	kem, kdf, aead uint16
}

// serverHello is the first message of a server: a random value, and the keys it offers, the
// preferred one first.
type serverHello struct {
	random [32]byte
	offers []offer // 1 to 255
}

// clientHello repeats one of the offers, byte for byte, and contains the encapsulated key.
type clientHello struct {
	offer
	enc []byte
}

func (o offer) append(b []byte) []byte {
	b = append(b, o.kid[:]...)
	b = binary.BigEndian.AppendUint16(b, o.kem)
	b = binary.BigEndian.AppendUint16(b, o.kdf)
	return binary.BigEndian.AppendUint16(b, o.aead)
}

func parseOffer(b []byte) offer {
	return offer{
		kid(b), binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b[10:]), binary.BigEndian.Uint16(b[12:]),
	}
}

func (h serverHello) bytes() []byte {
	b := make([]byte, 0, serverHelloHead+offerSize*len(h.offers))
	b = append(b, helloServer, helloVersion, 0, 0)
	b = append(b, h.random[:]...)
	b = append(b, byte(len(h.offers)))
	for _, o := range h.offers {
		b = o.append(b)
	}
	return b
}

// parseServerHello accepts exactly the encodings that bytes produces. Offers of unknown
// suites are kept, for other clients.
func parseServerHello(b []byte) (h serverHello, ok bool) {
	if len(b) < serverHelloHead || !bytes.Equal(b[:4], []byte{helloServer, helloVersion, 0, 0}) {
		return h, false
	}
	n := int(b[serverHelloHead-1])
	if n == 0 || len(b) != serverHelloHead+n*offerSize {
		return h, false
	}
	h.random = [32]byte(b[4:])
	h.offers = make([]offer, n)
	for i := range h.offers {
		h.offers[i] = parseOffer(b[serverHelloHead+i*offerSize:])
	}
	return h, true
}

func (h clientHello) bytes() []byte {
	b := make([]byte, 0, clientHelloHead+len(h.enc))
	b = append(b, helloClient, helloVersion, 0, 0)
	b = h.append(b)
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.enc)))
	return append(b, h.enc...)
}

// parseClientHello accepts exactly the encodings that bytes produces. enc is part of b; its
// length is that of the suite.
func parseClientHello(b []byte) (h clientHello, ok bool) {
	if len(b) < clientHelloHead || !bytes.Equal(b[:4], []byte{helloClient, helloVersion, 0, 0}) {
		return h, false
	}
	h.offer = parseOffer(b[4:])
	h.enc = b[clientHelloHead:]
	alg, known := Suite(h.kem).algorithms()
	ok = known && len(h.enc) == alg.encSize && int(binary.BigEndian.Uint16(b[18:])) == alg.encSize
	return h, ok
}
