package main

import (
	"net/http"
	"slices"
	"time"

	"github.com/securews/securews/middleware"
)

// openConnection is one open connection, of the user who asks or, for the administrator, of all.
type openConnection struct {
	User    string    `json:"user"`
	Method  string    `json:"method"`
	Address string    `json:"address"`
	Since   time.Time `json:"since"`
}

// listConnections is GET /api/connections.
func (a *app) listConnections(w http.ResponseWriter, r *http.Request) {
	p, _ := middleware.FromContext(r.Context())
	users := []string{p.Subject}
	if slices.Contains(p.Roles, roleAdmin) {
		users = a.accounts.names
	}
	list := []openConnection{}
	for _, user := range users {
		for _, c := range a.registry.List(p.Issuer, user) {
			list = append(list, openConnection{user, c.Method, c.Address, c.Opened})
		}
	}
	writeJSON(w, http.StatusOK, list)
}
