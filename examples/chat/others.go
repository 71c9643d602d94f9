package main

import "context"

// followOthers has this node act on the ends and messages of all nodes, until stop is called.
func (a *app) followOthers() (stop func()) {
	unfollow := a.sessions.Follow(a.endOutsiders)
	if a.state.redis == nil {
		return unfollow
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &fanout{a.state.redis.Client(), a.log}
	a.hub.publish = f.publish // not of the vault: Redis would see its messages unsealed
	go f.follow(ctx, a.hub.deliver)
	return func() {
		cancel()
		unfollow()
	}
}
