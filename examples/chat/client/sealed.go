package main

import (
	"context"
	"sync/atomic"

	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/seal"
)

// audience is the configured name of the sealed route.
const audience = "securews-chat"

// sealer seals connections to one server. It fetches the server's keys again before each
// connection, because they are rotated. The keys come over the same TLS as the messages;
// a client that must not trust the server's TLS pins the keys (seal.ParsePublicKey).
type sealer struct {
	account *account
	user    string
	client  atomic.Pointer[seal.Client]
}

func newSealer(ctx context.Context, a *account, user string) (*sealer, error) {
	s := &sealer{account: a, user: user}
	return s, s.look(ctx)
}

func (s *sealer) look(ctx context.Context) error {
	keys, err := seal.FetchKeys(ctx, s.account.http, s.account.origin+seal.DirectoryPath)
	if err != nil {
		return err
	}
	client, err := seal.NewClient(seal.ClientConfig{
		Keys: keys, Audience: audience, App: subprotocol,
		// The server binds the keys to the same values.
		Origin: s.account.origin, Principal: s.user,
	})
	if err != nil {
		return err
	}
	s.client.Store(client)
	return nil
}

func (s *sealer) subprotocols() []string { return s.client.Load().Subprotocols() }

// before fetches the keys before every ticket.
func (s *sealer) before(tickets redial.Source) redial.Source {
	return func(ctx context.Context, renew bool) (redial.Credential, error) {
		if err := s.look(ctx); err != nil {
			return redial.Credential{}, final(err)
		}
		return tickets(ctx, renew)
	}
}

func (s *sealer) connect(ctx context.Context, c *redial.Conn) (*seal.Conn, error) {
	return s.client.Load().Connect(ctx, c)
}
