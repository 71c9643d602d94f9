package session

import "github.com/alexedwards/scs/v2"

// NewMemory returns the store that Config.Store is by default.
func NewMemory() scs.Store { return newMemory() }
