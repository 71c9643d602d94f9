package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// reasonWrongPassword is defined by the application. It is the same for an unknown account
// and for a wrong password, so that the answer does not reveal which names exist.
const reasonWrongPassword middleware.Reason = "wrong_password"

// identity describes the user to the page.
type identity struct {
	User   string   `json:"user"`
	Method string   `json:"method"`
	Roles  []string `json:"roles"`
}

// login is POST /login {"user","password"}.
func (a *app) login(w http.ResponseWriter, r *http.Request) {
	var body struct{ User, Password string }
	if err := readJSON(w, r, &body); err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	if err := a.gate.perAccount.Allow(withAccount(r, body.User)); err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	ok, err := a.accounts.verify(r.Context(), body.User, body.Password)
	if err == nil && !ok {
		err = &middleware.Refusal{
			Status: http.StatusUnauthorized, Reason: reasonWrongPassword,
			Header: http.Header{"Www-Authenticate": {a.sessions.Challenge()}}, // RFC 9110 §15.5.2
		}
	}
	var id session.Identity
	if err == nil {
		id, err = a.identify(r, body.User)
	}
	if err == nil {
		// Login gives the session a new secret (session fixation, ASVS 7.2.4).
		err = a.sessions.Login(r.Context(), id)
	}
	if err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, identity{body.User, "session", id.Roles})
}

// identify returns the identity of a user who has given the password, with the attributes
// for the list of devices.
func (a *app) identify(r *http.Request, user string) (session.Identity, error) {
	roles, err := a.accounts.roles(r.Context(), user)
	return session.Identity{Subject: user, Roles: roles, Attributes: map[string]string{
		"device":  deviceOf(r.UserAgent()),
		"address": middleware.ClientIP(r).String(),
	}}, err
}

// logout is POST /logout. The session is revoked first, which closes its sockets in every
// tab, and those of its tokens and tickets, with 3000 `revoked`.
func (a *app) logout(w http.ResponseWriter, r *http.Request) {
	if err := a.sessions.Logout(r.Context()); err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// me is GET /api/me.
func (a *app) me(w http.ResponseWriter, r *http.Request) {
	p, _ := middleware.FromContext(r.Context())
	roles, err := a.accounts.roles(r.Context(), p.Subject)
	if err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, identity{p.Subject, p.Method, roles})
}

// visitor returns the user that the page is rendered for, or "".
func (a *app) visitor(r *http.Request) string {
	p, err := a.gate.cookie.Authenticate(r)
	if err != nil {
		return "" // for every error the page shows the sign-in card
	}
	return p.Subject
}

const maxBody = 4 << 10

// readJSON reads a small JSON object. It requires the content type, which forms of other
// sites cannot send without a preflight.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return &middleware.Refusal{Status: http.StatusUnsupportedMediaType, Reason: "json_expected"}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("trailing data after the object")
		}
	}
	if err != nil {
		return &middleware.Refusal{Status: http.StatusBadRequest, Reason: "bad_json", Err: fmt.Errorf("chat: body: %w", err)}
	}
	return nil
}

// writeJSON writes an answer for one user, which no cache may store.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
