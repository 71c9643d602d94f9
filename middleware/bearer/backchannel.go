package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/handle"
	"github.com/securews/securews/internal/nilvalue"
	"github.com/securews/securews/middleware"
)

// BackChannelLogoutConfig is the argument of [NewBackChannelLogout]. Tokens and Clients are
// required, and Revocations unless Tokens has some.
type BackChannelLogoutConfig struct {
	_ [0]func()

	// Tokens has the issuer whose logout tokens are accepted, and its keys.
	Tokens *Authenticator

	// Clients are the client ids that this application has at the issuer. A logout token is
	// for one of them: its aud is a client, and not an API.
	Clients []string

	// Revocations are told of the sessions and subjects that ended. For sessions that began with
	// a sign-in at the issuer, they are session.Manager.Revocations. The Config.Revocations of
	// Tokens are told in any case, and without them no access token ends. Nil: those alone.
	Revocations middleware.Revocations

	// SessionsOnly ends no more than the session that a logout token names. It is for
	// applications whose every credential of the issuer has a sid: access tokens, and the
	// Provider of sessions. If false, all that its subject was issued before ends, too: a
	// token without a sid cannot be told from those of the session. A token of a new sign-in is
	// then refused for up to a minute, see Config.Revocations.
	SessionsOnly bool
}

type backChannelLogout struct {
	tokens       *Authenticator
	rules        rules // of a logout token
	clients      []string
	sessionsOnly bool
	told         []calledRevocations // the first has the logout tokens that were used
}

// NewBackChannelLogout returns the handler of OpenID Connect Back-Channel Logout 1.0. The
// provider posts a logout token when a session there ends. The credentials that rest on that
// session, and the connections that they opened, end here before the answer, which is 200. A token
// that is not valid, or that was used before, is answered with 400, and an end that cannot be
// stored with 503. The request has no cookie, no Origin and no other credential: the handler
// belongs outside of layers that want one, and behind a middleware.RateLimit.
func NewBackChannelLogout(cfg BackChannelLogoutConfig) (http.Handler, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	a := cfg.Tokens
	h := &backChannelLogout{tokens: a, rules: a.rules, clients: slices.Clone(cfg.Clients), sessionsOnly: cfg.SessionsOnly}
	h.rules.profile.Types = []string{"logout+jwt", "JWT", ""} // §2.4 recommends the first
	if cfg.Revocations != nil {
		h.told = append(h.told, newCalledRevocations(cfg.Revocations))
	}
	if a.liveness.revocations.given() {
		h.told = append(h.told, a.liveness.revocations)
	}
	return h, nil
}

// validate reports everything that is wrong.
func (c BackChannelLogoutConfig) validate() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("bearer: BackChannelLogout: "+format, args...))
	}
	if c.Tokens.zero() {
		wrong("Tokens: nil or zero: write an Authenticator of New")
	}
	if len(c.Clients) == 0 {
		wrong("Clients: it is empty: write the client ids of this application, which are the aud of its logout tokens")
	}
	for i, name := range c.Clients {
		if !isName(name) || slices.Contains(c.Clients[:i], name) {
			wrong("Clients: %.80q is not a name, or given twice: write each client id once", name)
		}
	}
	switch {
	case nilvalue.In(c.Revocations):
		wrong("Revocations: a nil %T: write nil for none, or a value", c.Revocations)
	case c.Revocations == nil && !c.Tokens.zero() && !c.Tokens.liveness.revocations.given():
		wrong("Revocations: nothing would end: set them, here or in the Config of Tokens")
	}
	return errors.Join(errs...)
}

var (
	errForm   = errors.New("not a form with one logout_token")
	errUsed   = errors.New("the logout token was used before")
	errEnding = errors.New("the end cannot be stored")
)

// logoutTimeout bounds the wait for Revocations.
const logoutTimeout = 5 * time.Second

func (h *backChannelLogout) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		middleware.Refuse(w, r, &middleware.Refusal{
			Status: http.StatusMethodNotAllowed, Reason: middleware.ReasonMethodNotAllowed, Header: http.Header{"Allow": {"POST"}},
		})
		return
	}
	w.Header().Set("Cache-Control", "no-store") // §2.8
	if err := h.logout(w, r); err != nil {
		middleware.Refuse(w, r, h.refused(err))
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (h *backChannelLogout) refused(cause error) error {
	err := fmt.Errorf("bearer: back-channel logout: %w", cause)
	var panicked *bounded.PanicError
	switch {
	case errors.As(cause, &panicked):
		return err
	case errors.Is(cause, errUnavailable), errors.Is(cause, errEnding):
		return middleware.Unavailable(err)
	}
	return &middleware.Refusal{Status: http.StatusBadRequest, Reason: middleware.ReasonCredentialMalformed, Err: err}
}

func (h *backChannelLogout) logout(w http.ResponseWriter, r *http.Request) error {
	token, err := logoutToken(w, r, h.rules.profile.MaxBytes)
	if err != nil {
		return err
	}
	s, err := h.tokens.signed(r.Context(), &h.rules, token)
	if err != nil {
		return err
	}
	got, err := h.rules.validateLogout(s.payload, h.clients, time.Now())
	if err == nil {
		err = h.rules.maySign(s.by, got.iss)
	}
	if err != nil {
		return err
	}
	return h.end(&got)
}

// end revokes all that the claims name. It goes on if the provider disconnects, for at most
// logoutTimeout.
func (h *backChannelLogout) end(got *claims) error {
	ctx, cancel := context.WithTimeout(context.Background(), logoutTimeout)
	defer cancel()
	// The token counts as used after the ends, so that the provider can send it again if they fail.
	used := handle.Of(got.iss, got.jti, logoutEvent)
	again, err := h.told[0].revokedBounded(ctx, middleware.Principal{Issuer: got.iss, TokenHandle: used})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errEnding, err)
	case again:
		return errUsed
	}
	for _, rs := range h.told {
		err = errors.Join(err, rs.revoke(ctx, h.ended(got)))
	}
	if err == nil {
		err = h.told[0].revoke(ctx, middleware.Revocation{TokenHandle: used, Expires: got.exp.Add(h.rules.leeway)})
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errEnding, err)
	}
	return nil
}

// ended returns the revocation: of the session, of all that the subject was issued, or of both.
func (h *backChannelLogout) ended(got *claims) middleware.Revocation {
	v := middleware.Revocation{Issuer: got.iss, Subject: got.sub}
	if got.sid == "" {
		return v
	}
	if h.sessionsOnly {
		v = middleware.Revocation{}
	}
	v.SessionHandle = h.rules.sessionHandle(got)
	return v
}

// logoutToken reads the body (§2.5). most bounds the token, in bytes.
func logoutToken(w http.ResponseWriter, r *http.Request, most int) (string, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return "", fmt.Errorf("%w: Content-Type is %.80q", errForm, r.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(most)+4<<10))
	if err != nil {
		return "", fmt.Errorf("%w: more than %d bytes, or broken off; see Profile.MaxBytes", errForm, most)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["logout_token"]) != 1 {
		return "", errForm
	}
	if token := form["logout_token"][0]; len(token) <= most {
		return token, nil
	}
	return "", fmt.Errorf("%w: more than %d bytes; see Profile.MaxBytes", errTooLong, most)
}
