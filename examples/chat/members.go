package main

import (
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

func (a *accounts) roles(name string) []string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var roles []string
	if !a.barred[name] {
		roles = append(roles, roleMember)
	}
	if name == a.names[0] {
		roles = append(roles, roleAdmin)
	}
	return roles
}

func (a *accounts) setMember(name string, member bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.barred[name] = !member
}

// mayChat is the sockets' Authorize. It asks the accounts and not the principal, because a
// token has the roles of the time when it was minted.
func (a *app) mayChat(_ *http.Request, p middleware.Principal) (any, error) {
	if !slices.Contains(a.accounts.roles(p.Subject), roleMember) {
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
func (a *app) listMembers(w http.ResponseWriter, _ *http.Request) {
	list := make([]account, 0, len(a.accounts.names))
	for _, name := range a.accounts.names {
		list = append(list, account{name, slices.Contains(a.accounts.roles(name), roleMember)})
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
	a.accounts.setMember(name, body.Member)
	changed := time.Now()
	if err := a.sessions.SetRoles(r.Context(), name, a.accounts.roles(name)); err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	for _, c := range a.registry.List(a.issuer.name, name) { // those of tokens, which SetRoles does not reach
		if c.Opened.Before(changed) {
			a.registry.End(c.Issuer, name, c.ID, live.Reauth)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}
