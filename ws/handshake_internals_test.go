package ws_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// ASVS 16.5.1: the bodies tell the word, the log the cause.
func TestInternalsStayInTheLog(t *testing.T) {
	const internals = "pq: password authentication failed for user \"app\" at 10.0.0.7"
	boom := errors.New(internals)
	tests := []struct {
		sentence string
		cfg      ws.Config
		status   int
		reason   string
	}{
		{"of Auth", ws.Config{Auth: auth(t, admit(func(*http.Request) (middleware.Principal, error) {
			return middleware.Principal{},
				boom
		}))}, 500, "internal"},
		{"of Auth, in a refusal", ws.Config{Auth: auth(t, admit(func(*http.Request) (middleware.Principal, error) {
			return middleware.Principal{}, &middleware.Refusal{Status: 503, Reason: middleware.ReasonUnavailable, Err: boom}
		}))}, 503, "unavailable"},
		{
			"of Authorize",
			ws.Config{Authorize: func(*http.Request, middleware.Principal) (any, error) { return nil, boom }},
			403,
			"forbidden",
		},
		{"of Authorize, in a refusal of its own", ws.Config{Authorize: func(*http.Request, middleware.Principal) (any, error) {
			return nil, fmt.Errorf("room: %w", &middleware.Refusal{Status: 404, Reason: "no_such_room", Err: boom})
		}}, 404, "no_such_room"},
		{"of Authorize, around a refusal that is nil", ws.Config{Authorize: func(*http.Request, middleware.Principal) (any, error) {
			var f *middleware.Refusal
			return nil, fmt.Errorf("%w: %w", f, boom)
		}}, 403, "forbidden"},
		{"of Revocations", ws.Config{Auth: auth(t, middleware.WithRevocations(admit(func(*http.Request) (middleware.Principal, error) {
			return middleware.Principal{Subject: "ann"}, nil
		}), &fickle{Revocations: middleware.NewRevocations(), bad: true, err: boom}))}, 503, "unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			logs := &logs{}
			tt.cfg.Log = logs.logger()
			res, body := answer(t, secure(t, wstest.Start(t, quiet(handler(t, tt.cfg)))), edited())
			wantRefusal(t, res, body, tt.status, tt.reason)
			var problem map[string]any
			if err := json.Unmarshal([]byte(body), &problem); err != nil || problem["status"] != float64(tt.status) {
				t.Errorf("body %s: %v", body, err)
			}
			for name, values := range res.Header {
				if strings.Contains(fmt.Sprint(values), "10.0.0.7") {
					t.Errorf("%s: %q", name, values)
				}
			}
			if !strings.Contains(logs.String(), "10.0.0.7") || strings.Count(logs.String(), "\n") != 1 {
				t.Errorf("want one line with the cause:\n%s", logs)
			}
		})
	}
}
