package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"
)

// update rewrites testdata/vectors.json; without it the test compares the file with the
// code. The file contains no random values, so that every run writes the same one.
var update = flag.Bool("update", false, "write testdata/vectors.json")

const vectorsFile = "testdata/vectors.json"

type vectors struct {
	Note      []string         `json:"note"`
	Sessions  []sessionVector  `json:"sessions"`
	Directory *directoryVector `json:"directory"`
}

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

type sessionVector struct {
	Name        string `json:"name"`
	KEM         uint16 `json:"kem"`
	KDF         uint16 `json:"kdf"`
	AEAD        uint16 `json:"aead"`
	Audience    string `json:"audience"`
	Origin      string `json:"origin"`
	Subprotocol string `json:"subprotocol"`
	Principal   string `json:"principal"`

	PSK              hexBytes `json:"psk"`
	ServerPrivate    hexBytes `json:"server_private"`
	ServerPublic     hexBytes `json:"server_public"`
	KID              hexBytes `json:"kid"`
	EphemeralSeed    hexBytes `json:"ephemeral_seed"`
	EphemeralPrivate hexBytes `json:"ephemeral_private"`

	ServerRandom hexBytes `json:"server_random"`
	ServerHello  hexBytes `json:"server_hello"`
	Enc          hexBytes `json:"enc"`
	ClientHello  hexBytes `json:"client_hello"`
	Info         hexBytes `json:"info"`
	TH           hexBytes `json:"th"`
	ExportedC2S  hexBytes `json:"exported_c2s"`
	ExportedS2C  hexBytes `json:"exported_s2c"`

	Epochs  []epochVector  `json:"epochs"`
	Records []recordVector `json:"records"`
}

type epochVector struct {
	Direction string   `json:"direction"`
	Epoch     byte     `json:"epoch"`
	Secret    hexBytes `json:"secret"`
	Key       hexBytes `json:"key"`
	IV        hexBytes `json:"iv"`
}

type recordVector struct {
	Direction string   `json:"direction"`
	Epoch     byte     `json:"epoch"`
	Seq       uint64   `json:"seq"`
	Type      byte     `json:"type"`
	Nonce     hexBytes `json:"nonce"`
	Payload   hexBytes `json:"payload"`
	Record    hexBytes `json:"record"`
}

type directoryVector struct {
	Body string `json:"body"`
	Keys []struct {
		KID      hexBytes `json:"kid"`
		KEM      uint16   `json:"kem"`
		PK       hexBytes `json:"pk"`
		NotAfter int64    `json:"not_after"`
	} `json:"keys"`
}

func vectorNotes() []string {
	return []string{
		"Made by: go test ./ws/seal -run TestVectors -update. Deterministic; binary values are hex, text is text.",
		"Each session is one connection, computable by the recipient from server_private, client_hello and the fields above it.",
		"server_private is RFC 9180 SerializePrivateKey, of X-Wing the seed of 32 bytes. psk is empty where there is none.",
		"The sender is reproducible, too. DHKEM: ephemeral_private is DeriveKeyPair(ephemeral_seed). X-Wing: ephemeral_seed is the 64 " +
			"bytes of EncapsulateDerand (32 for ML-KEM, then the X25519 private key), ephemeral_private is empty.",
		"exported_* is Export(label || th, 32). Without a psk it is the secret of epoch 0; with one that is HKDF-Extract(salt = psk, " +
			"ikm = exported), HMAC-SHA256 with the psk as key. A psk has exactly 32 bytes.",
		"records are in the order in which they go over the wire in their direction. seq counts from 0 in each epoch, the key update " +
			"included: it is the last record of its epoch, and has no payload. Neither has close notify.",
		"An epoch has at most 2^20 records and then the key update (seq <= 2^20); a receiver refuses anything else at seq 2^20.",
		"The first record of s2c is the ready control record; cid is a string of 1 to 128 bytes. No other control record " +
			"is defined; any other is refused.",
		"directory.body is what /.well-known/wss-keys answers: kid and pk in base64url without padding, kem a number, not_after in " +
			"seconds since 1970. Entries of an unknown kem are skipped.",
		"The client takes the first offer of server_hello that it knows the key of and whose suite it accepts; " +
			"offers of unknown suites are skipped.",
	}
}

// seed returns 32 bytes that depend on the words only.
func seed(words string) []byte {
	sum := sha256.Sum256([]byte("securews test vector: " + words))
	return sum[:]
}

func vectorKey(t *testing.T, s Suite, words string) Key {
	t.Helper()
	alg, _ := s.algorithms()
	private, err := alg.kem.DeriveKeyPair(seed(words))
	if err != nil {
		t.Fatal(err)
	}
	k, err := newKey(s, private, time.Unix(4102444800, 0))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// encapsulate is the sender's part with a fixed ephemeral key.
func encapsulate(t *testing.T, k Key) (enc, ephemeralSeed, private []byte) {
	t.Helper()
	if k.suite != XWing {
		ephemeralSeed = seed("ephemeral " + k.suite.String())
		alg, _ := k.suite.algorithms()
		eph, err := alg.kem.DeriveKeyPair(ephemeralSeed)
		if err != nil {
			t.Fatal(err)
		}
		private, _ = eph.Bytes()
		return eph.PublicKey().Bytes(), ephemeralSeed, private
	}
	ephemeralSeed = append(seed("ML-KEM"), seed("X25519")...)
	ek, err := mlkem.NewEncapsulationKey768(k.Public().Bytes()[:mlkem.EncapsulationKeySize768])
	if err != nil {
		t.Fatal(err)
	}
	_, ct, err := mlkemtest.Encapsulate768(ek, ephemeralSeed[:32])
	if err != nil {
		t.Fatal(err)
	}
	eph, err := ecdh.X25519().NewPrivateKey(ephemeralSeed[32:])
	if err != nil {
		t.Fatal(err)
	}
	return append(ct, eph.PublicKey().Bytes()...), ephemeralSeed, nil
}

func makeSession(t *testing.T, name string, k Key, all []Key, v binding, psk []byte) sessionVector {
	t.Helper()
	alg, _ := k.suite.algorithms()
	hello := serverHello{random: [32]byte(seed("server random " + name))}
	for _, other := range all {
		hello.offers = append(hello.offers, other.Public().offer())
	}
	enc, ephemeralSeed, ephemeral := encapsulate(t, k)
	first, second := hello.bytes(), clientHello{k.Public().offer(), enc}.bytes()
	info, err := v.info(first)
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := hpke.NewRecipient(enc, k.private(), hpke.HKDFSHA256(), alg.aead, info)
	if err != nil {
		t.Fatal(err)
	}
	th := transcript(first, second)
	private, _ := k.Bytes()
	s := sessionVector{
		Name: name, KEM: uint16(k.suite), KDF: 1, AEAD: alg.aead.ID(),
		Audience: v.audience, Origin: v.origin, Subprotocol: v.subprotocol, Principal: v.principal,
		PSK: psk, ServerPrivate: private, ServerPublic: k.Public().Bytes(), KID: k.id[:],
		EphemeralSeed: ephemeralSeed, EphemeralPrivate: ephemeral,
		ServerRandom: hello.random[:], ServerHello: first, Enc: enc, ClientHello: second, Info: info, TH: th[:],
	}
	s.ExportedC2S, _ = recipient.Export(labelC2S+string(th[:]), 32)
	s.ExportedS2C, _ = recipient.Export(labelS2C+string(th[:]), 32)
	for _, way := range []struct {
		name, label string
		messages    []plain
	}{
		{"s2c", labelS2C, []plain{
			{recordControl, `{"t":"ready","cid":"CONNECTIONOFTHEVECTORS2345"}`},
			{recordText, "hello, wörld"},
			{recordBinary, "\x00\x01\xfe\xff"},
			{recordUpdate, ""},
			{recordText, "after the first update"},
			{recordText, ""},
			{recordUpdate, ""},
			{recordBinary, string(bytes.Repeat([]byte{0xa5}, 1000))},
			{recordClose, ""},
		}},
		{"c2s", labelC2S, []plain{
			{recordText, `{"say":"hello"}`},
			{recordBinary, ""},
			{recordText, string(bytes.Repeat([]byte("x"), 125))},
			{recordUpdate, ""},
			{recordBinary, "\xff"},
			{recordClose, ""},
		}},
	} {
		start, err := secret(recipient, way.label, th, psk)
		if err != nil {
			t.Fatal(err)
		}
		s.sealAll(t, way.name, newDirection(start, alg.keySize), way.messages)
	}
	return s
}

type plain struct {
	typ     recordType
	payload string
}

func (s *sessionVector) sealAll(t *testing.T, way string, d *direction, messages []plain) {
	t.Helper()
	s.describe(way, d)
	for _, m := range messages {
		r := recordVector{
			Direction: way, Epoch: d.epoch, Seq: d.seq,
			Type: byte(m.typ), Nonce: bytes.Clone(d.next()), Payload: []byte(m.payload),
		}
		sealed, err := d.seal(nil, m.typ, []byte(m.payload))
		if err != nil {
			t.Fatal(err)
		}
		r.Record = sealed
		s.Records = append(s.Records, r)
		if m.typ == recordUpdate {
			d.update()
			s.describe(way, d)
		}
	}
}

func (s *sessionVector) describe(way string, d *direction) {
	s.Epochs = append(s.Epochs, epochVector{
		way, d.epoch, bytes.Clone(d.secret), expand(d.secret, labelKey, d.keySize), bytes.Clone(d.iv[:]),
	})
}

func makeVectors(t *testing.T) vectors {
	t.Helper()
	var keys []Key
	for _, s := range defaultSuites() {
		keys = append(keys, vectorKey(t, s, "server "+s.String()))
	}
	usual := binding{"chat.example", "https://app.example", "hpke1.chat", "alice"}
	bare := binding{"chat.example", "", "hpke1.chat", ""}
	psk := seed("pre-shared key")
	v := vectors{Note: vectorNotes()}
	for _, k := range keys {
		v.Sessions = append(v.Sessions, makeSession(t, k.suite.String(), k, keys, usual, nil))
	}
	v.Sessions = append(v.Sessions,
		makeSession(t, keys[0].suite.String()+" with a pre-shared key", keys[0], keys, usual, psk),
		makeSession(t, keys[1].suite.String()+" from a native client: no origin, no principal, one offer", keys[1], keys[1:2], bare, nil))
	v.Directory = &directoryVector{Body: string(appendDirectory(nil, keys))}
	for _, k := range keys {
		v.Directory.Keys = append(v.Directory.Keys, struct {
			KID      hexBytes `json:"kid"`
			KEM      uint16   `json:"kem"`
			PK       hexBytes `json:"pk"`
			NotAfter int64    `json:"not_after"`
		}{k.id[:], uint16(k.suite), k.Public().Bytes(), k.notAfter.Unix()})
	}
	return v
}

// The file is exactly the output of this code, so that the format for other implementations
// does not change unnoticed.
func TestVectors(t *testing.T) {
	want, err := json.MarshalIndent(makeVectors(t), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(vectorsFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code writes; protocol changed? -update", vectorsFile)
	}
}
