package main

import "testing"

// A client learns once that something was said in another room, until it has been there.
func TestNewsOfOtherRooms(t *testing.T) {
	h, v := newHub(), newVault()
	h.beside, v.beside = v, h
	var alice, bob, sealed inbox
	a, b := h.enter("alice", &alice), h.enter("bob", &bob)
	v.join(v.enter("carol", &sealed), sealedRoom)
	h.join(a, "lobby")
	h.join(b, "random")
	for _, step := range []struct {
		does  string
		do    func()
		rooms []string // of which bob has news
		vault int      // how many carol has
	}{
		{does: "alice speaks in the lobby", do: func() { h.say(a, "one") }, rooms: []string{"lobby"}, vault: 1},
		{does: "alice speaks again", do: func() { h.say(a, "two") }},
		{does: "bob visits the lobby", do: func() { h.join(b, "lobby"); h.join(b, "random") }},
		{does: "alice speaks after his visit", do: func() { h.say(a, "three") }, rooms: []string{"lobby"}},
		{
			does: "carol speaks in the sealed room", do: func() { v.deliver(said{"said", sealedRoom, post{From: "carol"}}) },
			rooms: []string{sealedRoom}, vault: 1,
		},
	} {
		bob.events, sealed.events = nil, nil
		step.do()
		got := bob.take("news")
		if len(got) != len(step.rooms) || len(got) > 0 && got[0].Room != step.rooms[0] {
			t.Errorf("%s: bob is told %v, want %v", step.does, got, step.rooms)
		}
		if got := sealed.take("news"); len(got) != step.vault {
			t.Errorf("%s: the sealed room is told %v, want %d", step.does, got, step.vault)
		}
	}
	// A client that comes later, or comes back, is told the last message of each room.
	var late inbox
	h.enter("dave", &late)
	if got := late.take("welcome"); len(got) != 1 || len(got[0].Latest) != 1 || got[0].Latest["lobby"] != 3 {
		t.Errorf("the welcome of a later client: %v, want message 3 of the lobby", got)
	}
}
