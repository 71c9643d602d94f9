package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"time"
)

// Overhead is how many bytes a record has more than its payload: type, epoch and the
// tag. [github.com/securews/securews/ws.Limits].Message counts records.
const Overhead = 2 + 16

type recordType byte

const (
	recordText    recordType = 0x10
	recordBinary  recordType = 0x11
	recordControl recordType = 0x12
	recordUpdate  recordType = 0x13 // empty: the next record is of the next epoch
	recordClose   recordType = 0x14 // empty: nothing follows
)

const (
	epochRecords = 1 << 20   // a key seals this many records, and the key update after them
	epochAge     = time.Hour // ... for no longer than this
)

var errExhausted = errors.New("seal: the key has sealed all it may")

// direction is one direction of a connection: its key, and the number of the next
// record. That number is never told nor taken: both ends count. A direction belongs
// to one goroutine at a time.
type direction struct {
	secret  []byte // of this epoch; the next one's comes from it
	keySize int
	aead    cipher.AEAD
	iv      [12]byte
	nonce   [12]byte // scratch: on the stack it would escape
	seq     uint64   // of the next record in this epoch
	epoch   byte     // modulo 256: it sorts nothing, the key does
	began   time.Time
}

func newDirection(secret []byte, keySize int) *direction {
	d := &direction{secret: secret, keySize: keySize}
	d.derive()
	return d
}

// derive takes key and IV from the secret.
func (d *direction) derive() {
	key := expand(d.secret, labelKey, d.keySize)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the size is a suite's
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

// update goes to the next epoch and erases this one's secret.
func (d *direction) update() {
	next := expand(d.secret, labelUpd, len(d.secret))
	d.erase()
	d.secret = next
	d.epoch++
	d.derive()
}

// erase forgets what can be forgotten: the AES key schedule is the runtime's and goes
// with the garbage.
func (d *direction) erase() {
	clear(d.secret)
	clear(d.iv[:])
	clear(d.nonce[:])
	d.aead = nil
}

// next is the nonce of the record at hand: the IV with the number in its last 8 bytes.
func (d *direction) next() []byte {
	d.nonce = d.iv
	binary.BigEndian.PutUint64(d.nonce[4:], binary.BigEndian.Uint64(d.iv[4:])^d.seq)
	return d.nonce[:]
}

// spent reports whether a record of the type is beyond what the key may do. The key
// update after the last record is not.
func (d *direction) spent(typ recordType) bool {
	return d.aead == nil || d.seq > epochRecords || d.seq == epochRecords && typ != recordUpdate
}

// due reports whether the key must be changed before the next record.
func (d *direction) due() bool {
	return d.seq >= epochRecords || time.Since(d.began) >= epochAge
}

// seal appends the record to dst.
func (d *direction) seal(dst []byte, typ recordType, p []byte) ([]byte, error) {
	if d.spent(typ) {
		return dst, errExhausted
	}
	dst = append(dst, byte(typ), d.epoch)
	dst = d.aead.Seal(dst, d.next(), p, dst[len(dst)-2:])
	d.seq++
	return dst, nil
}

// open decrypts a record where it is. If it is not the very next one of its peer, the
// direction is at its end and nothing of it is left in record.
func (d *direction) open(record []byte) (typ recordType, p []byte, ok bool) {
	if len(record) < Overhead || record[1] != d.epoch || d.spent(recordType(record[0])) {
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
