// Package names has the names that the fragments of the documents use without a declaration,
// the same name for the same thing in all of them.
package names

var (
	api         http.Handler
	auth        *middleware.Auth
	ctx         context.Context
	echo, serve func(context.Context, *ws.Conn) error
	hosts       *middleware.HostPolicy
	headers     *middleware.Headers
	limit       *middleware.RateLimit
	log         *slog.Logger
	me, stream  http.HandlerFunc
	mux         *http.ServeMux
	origins     *middleware.OriginPolicy
	p           middleware.Principal
	proxies     *middleware.Proxies
	r           chi.Router
	registry    *live.Registry
	sessions    *session.Manager
	socket      *ws.Handler
	srv         *http.Server
	tickets     *ticket.Tickets
	tokens      *bearer.Authenticator
)

func checked[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
