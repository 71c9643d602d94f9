package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
)

const (
	// hashRounds is the OWASP recommendation for PBKDF2 with HMAC-SHA-256 (Password
	// Storage Cheat Sheet). Random passwords, as made here, need fewer rounds; passwords
	// chosen by people need them all.
	hashRounds = 600_000

	maxPassword = 128 // bytes; a longer one is refused before it is hashed
)

var accountName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// accounts are the users that may sign in. They are created at start; only the role of a
// member changes.
type accounts struct {
	rounds int
	names  []string // the first is the administrator
	byName map[string]passwordHash
	decoy  passwordHash  // hashed for a name that does not exist
	slots  chan struct{} // bounds how many hashes are computed at once

	mu     sync.RWMutex
	barred map[string]bool // those without the role of a member
}

type passwordHash struct{ salt, sum []byte }

// newAccounts creates one account for each name and returns their passwords in the same
// order. Only the hashes are kept; rounds is the number of PBKDF2 iterations.
func newAccounts(names []string, rounds int) (*accounts, []string, error) {
	a := &accounts{
		rounds: rounds,
		names:  slices.Clone(names),
		byName: make(map[string]passwordHash, len(names)),
		barred: map[string]bool{},
		slots:  make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	passwords := make([]string, 0, len(names))
	for _, name := range names {
		if !accountName.MatchString(name) {
			return nil, nil, fmt.Errorf("account %q: a name is up to 32 of a-z, 0-9 and -, and starts with a letter", name)
		}
		if _, twice := a.byName[name]; twice {
			return nil, nil, fmt.Errorf("account %q is named twice", name)
		}
		password := newPassword()
		hash, err := a.hash(password)
		if err != nil {
			return nil, nil, err
		}
		a.byName[name] = hash
		passwords = append(passwords, password)
	}
	if len(names) == 0 {
		return nil, nil, errors.New("accounts: no names: at least one account is required")
	}
	var err error
	a.decoy, err = a.hash(newPassword())
	return a, passwords, err
}

// verify reports whether the password is the account's. An unknown name costs the same
// work as a known one, so that the response time does not reveal which names exist.
func (a *accounts) verify(ctx context.Context, name, password string) (bool, error) {
	if len(password) > maxPassword {
		return false, nil
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	want, known := a.byName[name]
	if !known {
		want = a.decoy
	}
	got, err := pbkdf2.Key(sha256.New, password, want.salt, a.rounds, sha256.Size)
	if err != nil {
		return false, err
	}
	match := subtle.ConstantTimeCompare(got, want.sum) == 1
	return match && known, nil
}

func (a *accounts) hash(password string) (passwordHash, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	sum, err := pbkdf2.Key(sha256.New, password, salt, a.rounds, sha256.Size)
	return passwordHash{salt, sum}, err
}

// newPassword returns 80 random bits in four groups that can be typed.
func newPassword() string {
	s := strings.ToLower(rand.Text())
	return s[0:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:16]
}
