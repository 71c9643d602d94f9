module github.com/securews/securews/internal/interop

go 1.26.8

replace github.com/securews/securews => ../..

require (
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/coder/websocket v1.8.15
	github.com/go-chi/chi/v5 v5.5.0
	github.com/gorilla/websocket v1.5.3
	github.com/securews/securews v0.0.0
	golang.org/x/net v0.62.0
)

require (
	github.com/rs/cors v1.11.1 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)
