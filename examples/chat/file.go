package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/alexedwards/scs/v2"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/securews/securews/session"
)

// stateFile is the file of -state: the state of one process that outlasts a restart. It has the
// secret, so its mode is 0600.
type stateFile struct {
	db    *bolt.DB
	swept time.Time // of expired sessions; for the transaction that writes
}

var (
	secretBucket  = []byte("secret")
	sessionBucket = []byte("sessions")
	barredBucket  = []byte("barred")

	seedKey = []byte("seed")
)

// sweepEvery is how often sessions that have expired are removed, when one is stored.
const sweepEvery = time.Hour

// fileWait is how long another process may take to release the file.
const fileWait = 2 * time.Second

// openFile opens the file, or makes it.
func openFile(path string) (*stateFile, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("-state %s: other users may read it (mode %#o): chmod 600", path, info.Mode().Perm())
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: fileWait})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("-state %s: another process uses it: stop that one, or name another file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("-state %s: %w", path, err)
	}
	f := &stateFile{db: db}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{secretBucket, sessionBucket, barredBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return f.sweep(tx.Bucket(sessionBucket), time.Now())
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("-state %s: %w", path, err), db.Close())
	}
	return f, nil
}

// sweep removes the entries that have expired, if it is time to.
func (f *stateFile) sweep(b *bolt.Bucket, now time.Time) error {
	if now.Sub(f.swept) < sweepEvery {
		return nil
	}
	f.swept = now
	var gone [][]byte
	err := b.ForEach(func(key, entry []byte) error {
		if valueOf(entry, now) == nil {
			gone = append(gone, key)
		}
		return nil
	})
	for _, key := range gone {
		err = errors.Join(err, b.Delete(key))
	}
	return err
}

// secret returns the secret of the file, made at the first start. Another one would change every password.
func (f *stateFile) secret() (*secret, error) {
	var seed []byte
	err := f.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(secretBucket)
		stored := b.Get(seedKey)
		if stored == nil {
			seed = newSeed()
			return b.Put(seedKey, seed)
		}
		if len(stored) != seedBytes {
			return fmt.Errorf("-state %s: %s/%s has %d bytes, want %d: restore the file from a backup, or remove it, "+
				"and passwords and sessions are made anew", f.db.Path(), secretBucket, seedKey, len(stored), seedBytes)
		}
		seed = append(seed, stored...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &secret{seed}, nil
}

// fileSessions is a store of sessions. An entry is its expiry in Unix nanoseconds, 8 bytes, and
// the value.
type fileSessions struct{ *stateFile }

var (
	_ scs.IterableStore = fileSessions{}
	_ session.Swapper   = fileSessions{}
)

// valueOf returns a copy of the value of an entry; nil if there is none, or if it has expired.
func valueOf(entry []byte, now time.Time) []byte {
	if len(entry) < 8 || int64(binary.BigEndian.Uint64(entry)) <= now.UnixNano() {
		return nil
	}
	return append([]byte{}, entry[8:]...)
}

func entryOf(value []byte, expiry time.Time) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(expiry.UnixNano())), value...)
}

func (s fileSessions) Find(key string) (value []byte, found bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		value = valueOf(tx.Bucket(sessionBucket).Get([]byte(key)), time.Now())
		return nil
	})
	return value, value != nil, err
}

func (s fileSessions) Commit(key string, value []byte, expiry time.Time) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(sessionBucket)
		return errors.Join(s.sweep(b, time.Now()), b.Put([]byte(key), entryOf(value, expiry)))
	})
}

func (s fileSessions) Delete(key string) error {
	return s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(sessionBucket).Delete([]byte(key)) })
}

// All returns the sessions for the list of devices.
func (s fileSessions) All() (map[string][]byte, error) {
	all := map[string][]byte{}
	err := s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(sessionBucket).ForEach(func(key, entry []byte) error {
			if value := valueOf(entry, time.Now()); value != nil {
				all[string(key)] = value
			}
			return nil
		})
	})
	return all, err
}

// Swap compares before it writes, so that no concurrent change is lost.
func (s fileSessions) Swap(_ context.Context, key string, old, value []byte, expiry time.Time) (swapped bool, err error) {
	err = s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(sessionBucket)
		found := valueOf(b.Get([]byte(key)), time.Now())
		if swapped = (old == nil) == (found == nil) && string(old) == string(found); !swapped {
			return nil
		}
		return b.Put([]byte(key), entryOf(value, expiry))
	})
	return swapped && err == nil, err
}

// fileBars are the accounts without the role of a member.
type fileBars struct{ db *bolt.DB }

func (b fileBars) has(_ context.Context, name string) (barred bool, err error) {
	err = b.db.View(func(tx *bolt.Tx) error {
		barred = tx.Bucket(barredBucket).Get([]byte(name)) != nil
		return nil
	})
	return barred, err
}

func (b fileBars) set(_ context.Context, name string, barred bool) error {
	return b.db.Update(func(tx *bolt.Tx) error {
		if barred {
			return tx.Bucket(barredBucket).Put([]byte(name), []byte{1})
		}
		return tx.Bucket(barredBucket).Delete([]byte(name))
	})
}
