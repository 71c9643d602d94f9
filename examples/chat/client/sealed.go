package main

import (
	"context"
	"sync/atomic"

	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/seal"
)

// audience is what the sealed route calls itself.
const audience = "securews-chat"

// sealer seals connections to one server, whose keys it looks up again before each of
// them: they are rotated. They come over TLS to the certificate that is trusted, as the
// messages do. Who wants to be safe from that server's TLS, too, pins the keys themselves
// (seal.ParsePublicKey).
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
		// What the server knows of this connection, and binds it to.
		Origin: s.account.origin, Principal: s.user,
	})
	if err != nil {
		return err
	}
	s.client.Store(client)
	return nil
}

func (s *sealer) subprotocols() []string { return s.client.Load().Subprotocols() }

// before looks for keys before every ticket.
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
