package main

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// secret is what passwords and keys are derived from, so that the nodes of one chat have the same.
// From a nil secret they are random.
type secret struct{ seed []byte }

const seedBytes = 32

// bytes returns n bytes for one purpose.
func (s *secret) bytes(purpose string, n int) ([]byte, error) {
	if s == nil {
		b := make([]byte, n)
		_, _ = rand.Read(b) // never fails (crypto/rand)
		return b, nil
	}
	return hkdf.Key(sha256.New, s.seed, nil, "securews chat "+purpose, n)
}

func newSeed() []byte {
	seed := make([]byte, seedBytes)
	_, _ = rand.Read(seed) // never fails (crypto/rand)
	return seed
}

// loadSecret reads the secret, and makes the file if it does not exist.
func loadSecret(path string) (*secret, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeSecret(path); err != nil {
			return nil, err
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("-secret %s: other users may read it (mode %#o): chmod 600", path, info.Mode().Perm())
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != seedBytes {
		return nil, fmt.Errorf("-secret %s: not %d bytes in base64: remove it, and another one is made", path, seedBytes)
	}
	return &secret{seed}, nil
}

// makeSecret has the file appear complete. If another node was faster, that one's stays.
func makeSecret(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".secret") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(newSeed()) + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
