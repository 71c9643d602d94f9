package redial_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

const route = wstest.URL + "/ws/ticket"

func TestATicketForEveryDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, ws.Config{Subprotocols: []string{"chat.v1"}, Serve: lasting(time.Minute, ws.ErrDraining)})
		issued, consumed := 0, 0
		mux := http.NewServeMux()
		mux.HandleFunc("POST /ws/ticket", func(w http.ResponseWriter, r *http.Request) {
			issued++
			if r.Header.Get("Authorization") != "Bearer t" || r.Header.Get("Origin") != "https://app.example" {
				t.Errorf("asked with %v", r.Header)
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"ticket":"t%d","cid":"c","expires_in":30,"refresh_after":0,"subprotocol":"ticket.t%[1]d"}`, issued)
		})
		mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
			consumed++
			want := fmt.Sprintf("chat.v1,ticket.t%d", consumed)
			if got := r.Header.Get("Sec-WebSocket-Protocol"); got != want {
				t.Errorf("offered %q, want %q", got, want)
			}
			r.Header.Set("Sec-WebSocket-Protocol", "chat.v1") // as middleware/ticket does
			h.ServeHTTP(w, r)
		})
		s := wstest.NewServer(t, mux)
		source, err := redial.NewTicket(redial.TicketConfig{
			URL: route, HTTPClient: s.Client(),
			Authorize: func(r *http.Request, _ bool) error {
				r.Header.Set("Authorization", "Bearer t")
				r.Header.Set("Origin", "https://app.example")
				return nil
			},
		})
		must(t, err)
		r := start(t, s, redial.Config{Subprotocols: []string{"chat.v1"}, Credential: source}, nil)
		time.Sleep(10 * time.Minute)
		r.stop()
		if issued != consumed || issued < 8 {
			t.Errorf("%d issued, %d consumed", issued, consumed)
		}
	})
}

func TestTicketRouteAnswers(t *testing.T) {
	tests := map[string]struct {
		status      int
		header, is  string
		ticket      bool
		renew       time.Duration
		stops, once bool
	}{
		"a ticket": {status: 200, header: "application/json", is: `{"ticket":"secret"}`, ticket: true},
		"201, with when to come back": {
			status: 201, header: "application/json; charset=utf-8",
			is: `{"ticket":"secret","refresh_after":240}`, ticket: true, renew: 240 * time.Second,
		},
		"an absurd time": {
			status: 200, header: "application/json",
			is: `{"ticket":"secret","refresh_after":9000000000}`, ticket: true,
		},
		"a negative time": {
			status: 200, header: "application/json",
			is: `{"ticket":"secret","refresh_after":-1}`, ticket: true,
		},
		"401: once more":         {status: 401, header: "application/problem+json", is: `{"reason":"credential_expired"}`, once: true},
		"403: an end":            {status: 403, header: "application/problem+json", is: `{"reason":"forbidden"}`, stops: true},
		"403 of a proxy: again":  {status: 403, header: "text/html", is: `<p>no`},
		"404 of a router: again": {status: 404, header: "text/html", is: `<p>no`},
		"a redirect: again":      {status: 302},
		"503: again":             {status: 503},
		"HTML":                   {status: 200, header: "text/html", is: `{"ticket":"secret"}`},
		"no ticket":              {status: 200, header: "application/json", is: `{}`},
		"no JSON":                {status: 200, header: "application/json", is: `secret`},
		"too much of it":         {status: 200, header: "application/json", is: `{"ticket":"` + strings.Repeat("x", 20_000) + `"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				s := wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					asked++
					w.Header().Set("Content-Type", tt.header)
					w.Header().Set("Location", "https://evil.example/")
					w.WriteHeader(tt.status)
					_, _ = w.Write([]byte(tt.is))
				}))
				source, err := redial.NewTicket(redial.TicketConfig{URL: route, HTTPClient: s.Client()})
				must(t, err)
				c, err := source(t.Context(), false)
				if (err == nil) != tt.ticket || err != nil && strings.Contains(err.Error(), "secret") {
					t.Fatalf("got %v", err)
				}
				if renew := time.Until(c.Renew); tt.renew != 0 && renew != tt.renew || tt.renew == 0 && !c.Renew.IsZero() {
					t.Errorf("renew in %v, want %v", renew, tt.renew)
				}
				if tt.ticket {
					return
				}
				asked = 0
				r := start(t, s, redial.Config{Credential: source}, nil)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				switch {
				case tt.stops && asked != 1, tt.once && asked != 2, !tt.stops && !tt.once && asked < 10:
					t.Errorf("asked %d times", asked)
				}
				if tt.stops || tt.once {
					if err := <-r.done; err == nil || errors.Is(err, context.Canceled) {
						t.Errorf("Run: %v", err)
					}
					return
				}
				r.stop()
			})
		})
	}
}

func TestTicketConfigErrors(t *testing.T) {
	for name, cfg := range map[string]redial.TicketConfig{
		"zero": {}, "plaintext": {URL: "http://app.example/t", DangerouslyAllowLocalHTTP: true},
		"http without the option": {URL: "http://localhost/t"},
		"wss":                     {URL: "wss://app.example/t"}, "user": {URL: "https://u:p@app.example/t"},
	} {
		if _, err := redial.NewTicket(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := redial.NewTicket(redial.TicketConfig{URL: "http://localhost:8080/t", DangerouslyAllowLocalHTTP: true}); err != nil {
		t.Error(err)
	}
}
