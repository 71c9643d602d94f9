package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"time"

	"github.com/securews/securews/internal/defaults"
)

// Overhead is the length of a record minus that of its payload: 2 bytes of type and epoch, 16 of the tag.
const Overhead = defaults.SealedOverhead

type recordType byte

const (
	recordText    recordType = 0x10
	recordBinary  recordType = 0x11
	recordControl recordType = 0x12
	recordUpdate  recordType = 0x13 // empty: the next record is of the next epoch
	recordClose   recordType = 0x14 // empty: nothing follows
)

const (
	epochRecords = 1 << 20   // records that a key may seal, and one key update after them
	epochAge     = time.Hour // time for which a key is used
)

var errExhausted = errors.New("seal: the key has reached its limit of records")

// direction is one direction of a connection: its key, and the number of the next record.
// The number is not transmitted: both ends count. A direction belongs to one goroutine at a
// time.
type direction struct {
	secret  []byte // of this epoch; that of the next is derived from it
	keySize int
	aead    cipher.AEAD
	iv      [12]byte
	nonce   [12]byte // scratch space, to avoid an allocation
	seq     uint64   // of the next record in this epoch
	epoch   byte     // modulo 256; not relied on, since each epoch has its own key
	began   time.Time
}

func newDirection(secret []byte, keySize int) *direction {
	d := &direction{secret: secret, keySize: keySize}
	d.derive()
	return d
}

// derive derives key and IV from the secret.
func (d *direction) derive() {
	key := expand(d.secret, labelKey, d.keySize)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the size is that of a suite
	}
	clear(key)
	if d.aead, err = cipher.NewGCM(block); err != nil {
		panic(err) // the block is AES
	}
	iv := expand(d.secret, labelIV, len(d.iv))
	copy(d.iv[:], iv)
	clear(iv)
	d.seq, d.began = 0, time.Now()
}

// update begins the next epoch and erases the secret of this one.
func (d *direction) update() {
	next := expand(d.secret, labelUpd, len(d.secret))
	d.erase()
	d.secret = next
	d.epoch++
	d.derive()
}

// erase overwrites the secrets, except for the AES key schedule, which is left to the
// garbage collector.
func (d *direction) erase() {
	clear(d.secret)
	clear(d.iv[:])
	clear(d.nonce[:])
	d.aead = nil
}

// next returns the nonce of the next record: the IV with its last 8 bytes XORed with the
// record number.
func (d *direction) next() []byte {
	d.nonce = d.iv
	binary.BigEndian.PutUint64(d.nonce[4:], binary.BigEndian.Uint64(d.iv[4:])^d.seq)
	return d.nonce[:]
}

// exhausted reports whether the key may not be used for another record of the type. After
// the last record, one key update is still permitted.
func (d *direction) exhausted(typ recordType) bool {
	return d.aead == nil || d.seq > epochRecords || d.seq == epochRecords && typ != recordUpdate
}

// due reports whether the key must be changed before the next record.
func (d *direction) due() bool {
	return d.seq >= epochRecords || time.Since(d.began) >= epochAge
}

// seal appends the record to dst.
func (d *direction) seal(dst []byte, typ recordType, p []byte) ([]byte, error) {
	if d.exhausted(typ) {
		return dst, errExhausted
	}
	dst = append(dst, byte(typ), d.epoch)
	dst = d.aead.Seal(dst, d.next(), p, dst[len(dst)-2:])
	d.seq++
	return dst, nil
}

// open decrypts a record in place. If it is not exactly the next record of the peer, the
// direction cannot be used any more, and record contains no plain text.
func (d *direction) open(record []byte) (typ recordType, p []byte, ok bool) {
	if len(record) < Overhead || record[1] != d.epoch || d.exhausted(recordType(record[0])) {
		d.erase()
		return 0, nil, false
	}
	p, err := d.aead.Open(record[2:2], d.next(), record[2:], record[:2])
	if err != nil {
		d.erase()
		return 0, nil, false
	}
	d.seq++
	return recordType(record[0]), p, true
}
