package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
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
	bars   bars
}

type passwordHash struct{ salt, sum []byte }

// newAccounts creates one account for each name and returns their passwords in the same
// order. Only the hashes are kept; rounds is the number of PBKDF2 iterations. All nodes of a secret
// have the same accounts.
func newAccounts(names []string, rounds int, st state) (*accounts, []string, error) {
	a := &accounts{
		rounds: rounds,
		names:  slices.Clone(names),
		byName: make(map[string]passwordHash, len(names)),
		slots:  make(chan struct{}, runtime.GOMAXPROCS(0)),
		bars:   st.bars(),
	}
	passwords := make([]string, 0, len(names))
	for _, name := range names {
		if !accountName.MatchString(name) {
			return nil, nil, fmt.Errorf("account %q: a name is up to 32 of a-z, 0-9 and -, and starts with a letter", name)
		}
		if _, twice := a.byName[name]; twice {
			return nil, nil, fmt.Errorf("account %q is named twice", name)
		}
		password, err := st.secret.password(name)
		if err != nil {
			return nil, nil, err
		}
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
	unused, err := (*secret)(nil).password("")
	if err == nil {
		a.decoy, err = a.hash(unused)
	}
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
	salt, err := (*secret)(nil).bytes("salt", 16)
	if err != nil {
		return passwordHash{}, err
	}
	sum, err := pbkdf2.Key(sha256.New, password, salt, a.rounds, sha256.Size)
	return passwordHash{salt, sum}, err
}

// password returns 80 bits in four groups that can be typed.
func (s *secret) password(name string) (string, error) {
	b, err := s.bytes("password "+name, 10)
	if err != nil {
		return "", err
	}
	t := strings.ToLower(base32.StdEncoding.EncodeToString(b))
	return t[0:4] + "-" + t[4:8] + "-" + t[8:12] + "-" + t[12:16], nil
}
