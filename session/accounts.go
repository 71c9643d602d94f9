package session

import (
	"context"
	"slices"
	"time"
)

// A kindAccount entry names the subjects here that signed in by one subject or session of a provider: a user
// may have an account with each of several tenants. Its content is the subject if there is one, otherwise a
// byte that begins no UTF-8, and the list.
const (
	severalAccounts = 0xff
	maxAccounts     = 32 // of the last sign-ins; at the end of an earlier one, connections wait for their recheck
)

func parseAccounts(b []byte) ([]string, error) {
	p, err := payloadOf(b, kindAccount)
	switch {
	case err != nil || len(p) == 0:
		return nil, err
	case p[0] != severalAccounts:
		return []string{string(p)}, nil
	}
	d := decoder{rest: string(p[1:])}
	if list := d.list(); !d.bad && d.rest == "" {
		return list, nil
	}
	return nil, errEntry
}

func accountsValue(subjects []string) []byte {
	if len(subjects) == 1 {
		return entryValue(kindAccount, subjects[0])
	}
	return entryValue(kindAccount, string(appendList([]byte{severalAccounts}, subjects)))
}

// addAccount has the entry name the subject, beside others. Of two at once, on two nodes whose store does not
// compare, it may lack one.
func (m *Manager) addAccount(ctx context.Context, key, subject string, until time.Time) error {
	return m.ends.inTurn(ctx, key, func() error {
		for range attempts {
			b, err := m.store.findRaw(ctx, key)
			if err != nil {
				return err
			}
			subjects, _ := parseAccounts(b) // an entry that cannot be read names none, and is replaced
			subjects = append(slices.DeleteFunc(subjects, func(s string) bool { return s == subject }), subject)
			subjects = subjects[max(0, len(subjects)-maxAccounts):]
			if done, err := m.store.writeRaw(ctx, key, b, accountsValue(subjects), until); done || err != nil {
				return err
			}
		}
		return errContended
	})
}
