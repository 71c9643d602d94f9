package session

import "github.com/alexedwards/scs/v2"

// NewMemory returns the store that Config.Store is by default.
func NewMemory() scs.Store { return newMemory() }

// Entries returns how many entries the store of [NewMemory] holds, those that have expired
// included.
func Entries(s scs.Store) int { return len(s.(*memory).items) }
