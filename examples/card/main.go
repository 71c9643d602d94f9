// Card is the chain on chi/v5, scs/v2, nhooyr.io/websocket and jwx/v2: its sockets end at expiry and at logout.
package main

import (
	"context"
	"crypto/ed25519"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alexedwards/scs/v2/memstore"
	"github.com/go-chi/chi/v5"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"
	"github.com/securews/securews/examples/localcert"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"nhooyr.io/websocket" //lint:file-ignore SA1019 This example is for services that keep it.
)

const steps = `Listening at %[1]s. In another terminal, this opens a socket:
TOKEN=$(curl -sk -c jar -X POST %[1]s/login)
curl -skiN --http1.1 -H "Authorization: Bearer $TOKEN" -H Connection:Upgrade -H Upgrade:websocket -H Sec-WebSocket-Version:13 -H Sec-WebSocket-Key:MDEyMzQ1Njc4OWFiY2RlZg== %[1]s/ws &
It ends after a minute with the word expired, or when you sign out, with the word revoked:
curl -sk -b jar -X POST %[1]s/logout`

var _, key, _ = ed25519.GenerateKey(nil) // signs tokens in place of an authorization server

func main() {
	addr := flag.String("addr", "localhost:8443", "listen on `host:port`")
	flag.Parse()
	origin := "https://" + *addr // of the pages; also the issuer of sessions and tokens
	origins := must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{origin}, AllowMissing: true}))
	sessions := must(session.New(session.Config{Store: memstore.New(), Issuer: origin}))
	auth := must(middleware.NewAuth(sessions, middleware.WithRevocations(tokens{origin}, sessions.Revocations())))
	registry := must(live.New(live.Config{}))
	r := chi.NewRouter()
	r.Use(middleware.AccessLog(nil), middleware.Recover(nil), new(middleware.Headers).Handler, origins.Handler, sessions.Handler)
	r.With(auth.Handler, registry.Handler).Get("/ws", echo)
	r.Post("/login", func(w http.ResponseWriter, r *http.Request) { // a real service checks a password here
		must(0, sessions.Login(r.Context(), session.Identity{Subject: "alice"})) // sets the cookie, for pages
		header, sid := jws.NewHeaders(), must(sessions.Authenticate(r)).SessionHandle
		must(0, header.Set("typ", "at+jwt"))
		token := must(jwt.NewBuilder().Issuer(origin).Audience([]string{origin}).Subject("alice").JwtID(sid).Claim("sid", sid).
			IssuedAt(time.Now()).Expiration(time.Now().Add(time.Minute)).Build()) // for native clients, one for each session
		must(w.Write(must(jwt.Sign(token, jwt.WithKey(jwa.EdDSA, key, jws.WithProtectedHeaders(header))))))
	})
	r.Post("/logout", func(_ http.ResponseWriter, r *http.Request) { must(0, sessions.Logout(r.Context())) })
	srv := middleware.NewServer(*addr, r)
	srv.TLSConfig.Certificates = append(srv.TLSConfig.Certificates, must(localcert.New()))
	go srv.ServeTLS(must(net.Listen("tcp", *addr)), "", "")
	fmt.Printf(steps+"\n", origin)
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	<-stop.Done()
	cancel() // a second signal ends the process at once
	must(0, registry.Shutdown(context.Background(), srv))
}

func echo(w http.ResponseWriter, r *http.Request) {
	if c, err := websocket.Accept(w, r, nil); err == nil { // otherwise Accept has answered
		defer c.CloseNow()
		for message := []byte("hello"); err == nil && c.Write(r.Context(), websocket.MessageText, message) == nil; {
			_, message, err = c.Read(r.Context())
		}
	}
}

type tokens struct{ issuer string } // of access tokens, each of which belongs to a session

func (t tokens) Authenticate(r *http.Request) (p middleware.Principal, err error) {
	raw, found := strings.CutPrefix(strings.Join(r.Header["Authorization"], ","), "Bearer ")
	token, err := jwt.ParseString(raw, jwt.WithKey(jwa.EdDSA, key.Public()), jwt.WithIssuer(t.issuer), jwt.WithAudience(t.issuer),
		jwt.WithRequiredClaim("jti"), jwt.WithRequiredClaim("sid"), jwt.WithMinDelta(0, "exp", "")) // jwx takes exp 0 for none
	switch message, _ := jws.Parse([]byte(raw), jws.WithCompact()); {
	case !found:
		return p, middleware.ErrNoCredential
	case err != nil, message == nil, message.Signatures()[0].ProtectedHeaders().Type() != "at+jwt":
		return p, middleware.Unauthorized(middleware.ReasonCredentialInvalid, err)
	}
	p.Issuer, p.Subject, p.IssuedAt, p.Expires = token.Issuer(), token.Subject(), token.IssuedAt(), token.Expiration()
	p.SessionHandle, p.TokenHandle, p.Method = fmt.Sprint(token.PrivateClaims()["sid"]), token.JwtID(), "bearer"
	return p, nil
}

func (t tokens) Ambient() bool { return false } // browsers do not send tokens by themselves

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // in a request, Recover answers it with 500
	}
	return v
}
