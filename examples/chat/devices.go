package main

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// device is a session of the user, with its open connections.
type device struct {
	ID          string       `json:"id"`
	Device      string       `json:"device"`
	Address     string       `json:"address"`
	Since       time.Time    `json:"since"`
	Seen        time.Time    `json:"seen"`
	Here        bool         `json:"here"` // the session that asks
	Connections []connection `json:"connections"`
}

type connection struct {
	ID      string    `json:"id"`
	Method  string    `json:"method"`
	Address string    `json:"address"`
	Since   time.Time `json:"since"`
}

// listDevices is GET /api/devices (ASVS 7.5.2).
func (a *app) listDevices(w http.ResponseWriter, r *http.Request) {
	p, _ := middleware.FromContext(r.Context())
	sessions, err := a.sessions.Sessions(r.Context(), p.Subject)
	if err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	list := make([]device, 0, len(sessions))
	for _, s := range sessions {
		d := device{
			ID: s.Handle, Device: s.Attributes["device"], Address: s.Attributes["address"],
			Since: s.LoggedIn, Seen: s.LastSeen, Here: s.Handle == p.SessionHandle, Connections: []connection{},
		}
		for _, c := range a.registry.ListSession(s.Handle) {
			d.Connections = append(d.Connections, connection{c.ID, c.Method, c.Address, c.Opened})
		}
		list = append(list, d)
	}
	writeJSON(w, http.StatusOK, list)
}

var errNotFound = &middleware.Refusal{Status: http.StatusNotFound, Reason: "not_found"}

// endDevice is DELETE /api/devices/{id}: the session, and all that was opened in it, ends.
func (a *app) endDevice(w http.ResponseWriter, r *http.Request) {
	p, _ := middleware.FromContext(r.Context())
	err := a.sessions.End(r.Context(), p.Subject, chi.URLParam(r, "id"))
	var f *middleware.Refusal
	if errors.As(err, &f) && f.Status == http.StatusUnauthorized { // about that session, not about the one that asks
		err = errNotFound
	}
	if err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// endOthers is DELETE /api/devices. This session gets a new cookie, so its own sockets end,
// too, and the page opens others.
func (a *app) endOthers(w http.ResponseWriter, r *http.Request) {
	if err := a.sessions.LogoutOthers(r.Context()); err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// endedElsewhere is the cause of a connection that its user has ended. It is a code of the
// application (RFC 6455 §7.4.2), after which the page does not come back by itself.
var endedElsewhere = &live.Cause{Code: 4001, Reason: "ended"}

// endConnection is DELETE /api/connections/{id}.
func (a *app) endConnection(w http.ResponseWriter, r *http.Request) {
	p, _ := middleware.FromContext(r.Context())
	if !a.registry.End(p.Issuer, p.Subject, chi.URLParam(r, "id"), endedElsewhere) {
		middleware.Refuse(w, r, errNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// deviceOf names the browser and the system of a User-Agent, for a list that its user is
// shown. It proves nothing: a client can send any.
func deviceOf(userAgent string) string {
	first := func(names ...string) string { // of pairs: the word in the header, and its name
		for i := 0; i < len(names); i += 2 {
			if strings.Contains(userAgent, names[i]) {
				return names[i+1]
			}
		}
		return ""
	}
	browser := first("Edg", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "FxiOS/", "Firefox", "Chrom", "Chrome", "CriOS/", "Chrome",
		"Safari/", "Safari", "Go-http-client", "The terminal client")
	system := first("Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows",
		"Mac OS X", "macOS", "CrOS", "ChromeOS", "Linux", "Linux")
	switch {
	case browser == "":
		return "Unknown device"
	case system == "":
		return browser
	}
	return browser + " on " + system
}
