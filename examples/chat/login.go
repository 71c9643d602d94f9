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

// reasonWrongPassword is the application's own: one word for an unknown account and for
// a wrong password, so that the answer does not tell which names exist.
const reasonWrongPassword middleware.Reason = "wrong_password"

// identity is what the page needs to know about its user.
type identity struct {
	User   string `json:"user"`
	Method string `json:"method"`
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
	if err == nil {
		// Login gives the session a new secret (session fixation, ASVS 7.2.4).
		err = a.sessions.Login(r.Context(), session.Identity{Subject: body.User})
	}
	if err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, identity{body.User, "session"})
}

// logout is POST /logout. The session is revoked before anything else, which closes its
// sockets in every tab with 3000 `revoked`.
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
	writeJSON(w, http.StatusOK, identity{p.Subject, p.Method})
}

// visitor is who the page is rendered for.
func (a *app) visitor(r *http.Request) string {
	p, err := a.gate.cookie.Authenticate(r)
	if err != nil {
		return "" // whatever it is, the sign-in card is the answer
	}
	return p.Subject
}

const maxBody = 4 << 10

// readJSON reads a small JSON object. That it asks for the type keeps forms of other
// sites out, which cannot send it without a preflight.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return &middleware.Refusal{Status: http.StatusUnsupportedMediaType, Reason: "json_expected"}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something behind the object")
		}
	}
	if err != nil {
		return &middleware.Refusal{Status: http.StatusBadRequest, Reason: "bad_json", Err: fmt.Errorf("chat: body: %w", err)}
	}
	return nil
}

// writeJSON answers for one person: nothing of it is to be kept by a cache.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
