package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/middleware"
)

// modelHandle is one of several handles of a model.
type modelHandle struct {
	*model
	n int
}

// brokenHandles returns the open of a store whose handles differ.
func brokenHandles(m *model) func(testing.TB) scs.Store {
	n := 0
	return func(testing.TB) scs.Store {
		n++
		return modelHandle{m, n}
	}
}

func (h modelHandle) Announce(ctx context.Context, v middleware.Revocation) error {
	return h.announce(ctx, v, h.n)
}

func (h modelHandle) Follow(fn func(middleware.Revocation)) (stop func()) { return h.follow(fn, h.n) }

func (m *model) Announce(ctx context.Context, v middleware.Revocation) error {
	return m.announce(ctx, v, 0)
}

func (m *model) Follow(fn func(middleware.Revocation)) (stop func()) { return m.follow(fn, 0) }

// modelFollower follows announcements by one handle.
type modelFollower struct {
	handle int
	call   func(middleware.Revocation)
}

func (m *model) follow(fn func(middleware.Revocation), handle int) (stop func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := &modelFollower{handle, fn}
	m.followers = append(m.followers, f)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.is("does not stop") {
			return
		}
		m.followers = slices.DeleteFunc(m.followers, func(x *modelFollower) bool { return x == f || m.is("stops all") })
	}
}

func (m *model) announce(ctx context.Context, v middleware.Revocation, handle int) error {
	if over, err := m.over(ctx); over {
		if m.is("announces nothing if the context has ended") {
			err = nil
		}
		return err
	}
	m.mu.Lock()
	followers := slices.Clone(m.followers)
	m.announcing++
	busy := m.announcing > 1
	m.mu.Unlock()
	defer func() { m.mu.Lock(); m.announcing--; m.mu.Unlock() }()
	if m.is("drops announcements that come too fast") {
		if busy {
			return nil
		}
		<-time.After(time.Millisecond)
	}
	if m.is("announces under its lock") {
		m.announceLock <- struct{}{}
		defer func() { <-m.announceLock }()
	}
	v = m.announced(v)
	for _, f := range followers {
		switch {
		case m.is("announces nothing"), m.is("announces to the handle alone") && f.handle != handle,
			m.is("announces to other handles alone") && f.handle == handle:
		case m.is("announces in one goroutine"), m.is("announces under its lock"):
			called(f, v)
		case m.is("announces until a function panics"):
			if !called(f, v) {
				return nil
			}
		default:
			go called(f, v)
		}
	}
	return nil
}

// called calls f, and reports whether that did not panic.
func called(f *modelFollower, v middleware.Revocation) (ok bool) {
	defer func() { ok = recover() == nil }()
	f.call(v)
	return true
}

// announced is v as the followers get it.
func (m *model) announced(v middleware.Revocation) middleware.Revocation {
	switch m.fault {
	case "announces text that is UTF-8":
		v.Issuer, v.Subject = strings.ToValidUTF8(v.Issuer, "?"), strings.ToValidUTF8(v.Subject, "?")
	case "announces 1,023 bytes":
		v.Subject = v.Subject[:min(1023, len(v.Subject))]
	case "announces without the issuer":
		v.Issuer = ""
	case "announces one handle":
		if v.SessionHandle != "" {
			v.TokenHandle = ""
		}
	case "announces whole seconds":
		v.Before = v.Before.Truncate(time.Second)
	case "announces local time as UTC":
		y, mon, d := v.Before.Date()
		v.Before = time.Date(y, mon, d, v.Before.Hour(), v.Before.Minute(), v.Before.Second(), v.Before.Nanosecond(), time.UTC)
	case "announces zero times as they are in Unix time":
		if v.Before.IsZero() {
			v.Before = time.Unix(0, 0)
		}
	case "announces times that overflow":
		if !v.Expires.IsZero() {
			v.Expires = time.Unix(0, v.Expires.UnixNano())
		}
	case "announces without Resync":
		v.Resync = false
	}
	return v
}
