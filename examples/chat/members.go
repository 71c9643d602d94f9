package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// The roles of an account. They are in its sessions, and so in the principals.
const (
	roleMember = "member" // may open sockets
	roleAdmin  = "admin"  // may give and take the other role: the first account
)

func (a *accounts) roles(ctx context.Context, name string) ([]string, error) {
	barred, err := a.bars.has(ctx, name)
	if err != nil {
		return nil, middleware.Unavailable(err)
	}
	var roles []string
	if !barred {
		roles = append(roles, roleMember)
	}
	if name == a.names[0] {
		roles = append(roles, roleAdmin)
	}
	return roles, nil
}

// mayChat is the sockets' Authorize. It asks the accounts and not the principal, because a
// token has the roles of the time when it was minted.
func (a *app) mayChat(r *http.Request, p middleware.Principal) (any, error) {
	roles, err := a.accounts.roles(r.Context(), p.Subject)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(roles, roleMember) {
		return nil, middleware.Forbidden(errors.New("chat: the account is not a member"))
	}
	return nil, nil
}

// adminsOnly is a layer behind an Auth.
func adminsOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, _ := middleware.FromContext(r.Context()); !slices.Contains(p.Roles, roleAdmin) {
			middleware.Refuse(w, r, middleware.Forbidden(errors.New("chat: the account is not an administrator")))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// account is one line of the administrator's list.
type account struct {
	Name   string `json:"name"`
	Member bool   `json:"member"`
}

// listMembers is GET /api/members.
func (a *app) listMembers(w http.ResponseWriter, r *http.Request) {
	list := make([]account, 0, len(a.accounts.names))
	for _, name := range a.accounts.names {
		barred, err := a.accounts.bars.has(r.Context(), name)
		if err != nil {
			middleware.Refuse(w, r, middleware.Unavailable(err))
			return
		}
		list = append(list, account{name, !barred})
	}
	writeJSON(w, http.StatusOK, list)
}

// setMember is PUT /api/members/{name} {"member": false}: the sockets of the account end
// with 3000 `reauth`, and when its pages come back, Authorize refuses them with 3003.
func (a *app) setMember(w http.ResponseWriter, r *http.Request) {
	var body struct{ Member bool }
	if err := readJSON(w, r, &body); err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	name := chi.URLParam(r, "name")
	if _, known := a.accounts.byName[name]; !known || name == a.accounts.names[0] {
		middleware.Refuse(w, r, errNotFound)
		return
	}
	if err := a.changeMember(r.Context(), name, body.Member); err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *app) changeMember(ctx context.Context, name string, member bool) error {
	if err := a.accounts.bars.set(ctx, name, !member); err != nil {
		return middleware.Unavailable(err)
	}
	roles, err := a.accounts.roles(ctx, name)
	if err != nil {
		return err
	}
	return a.sessions.SetRoles(ctx, name, roles) // which every node hears of: see endOutsiders
}

// endOutsiders ends the connections on this node of an account that is no longer a member: those
// of tokens too, which SetRoles does not reach.
func (a *app) endOutsiders(v middleware.Revocation) {
	if v.Subject == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if barred, err := a.accounts.bars.has(ctx, v.Subject); err == nil && !barred {
		return
	}
	for _, c := range a.registry.List(a.issuer.name, v.Subject) {
		a.registry.End(c.Issuer, v.Subject, c.ID, live.Reauth)
	}
}
