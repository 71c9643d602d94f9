package providers

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"html/template"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/securews/securews/middleware/bearer"
)

// zitadel is the server of zitadel/oidc with the storage of its example.
type zitadel struct {
	t       testing.TB
	at      string
	storage *zitadelStorage
}

// project names the audiences of the provider, by the scope that asks for it.
const (
	projectHere      = "69234237810729019"
	projectElsewhere = "69234237810729020"
)

var loginPage = template.Must(template.New("").Parse(`<form action="/login" method="post">
<input type="hidden" name="id" value="{{.}}"><input type="text" name="username"><input type="password" name="password">
</form>`))

// startZitadel starts it at https, or as a developer does at http.
func startZitadel(t testing.TB, scheme string) *zitadel {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.TLS = serverTLS(t)
	at := scheme + "://" + srv.Listener.Addr().String()
	page := storage.NativeClient("page", redirect)
	z := &zitadel{t, at, &zitadelStorage{Storage: storage.NewStorageWithClients(storage.NewUserStore(at),
		map[string]*storage.Client{"page": page})}}
	z.rotate()
	cfg := &op.Config{CodeMethodS256: true, GrantTypeRefreshToken: true}
	_, _ = rand.Read(cfg.CryptoKey[:])
	cfg.CryptoKeyId = "1"
	provider, err := op.NewProvider(cfg, z.storage, op.StaticIssuer(at),
		op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { _ = loginPage.Execute(w, r.FormValue("id")) })
	mux.Handle("POST /login", op.NewIssuerInterceptor(provider.IssuerFromRequest).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.FormValue("id")
		if err := z.storage.CheckUsernamePassword(r.FormValue("username"), r.FormValue("password"), id); err != nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		http.Redirect(w, r, op.AuthCallbackURL(provider)(r.Context(), id), http.StatusSeeOther)
	}))
	mux.Handle("/", provider)
	srv.Config.Handler = mux
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	if scheme == "https" {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return z
}

func (z *zitadel) issuer() string { return z.at }

func (z *zitadel) config() bearer.Config {
	return bearer.Config{Profile: bearer.Zitadel(), Audience: []string{projectHere}}
}

func (z *zitadel) causes() causes {
	return causes{
		idToken:  `not an access token: it has no jti; want jti`,
		audience: `aud is ["page","69234237810729020"]; want one of Config.Audience`,
	}
}

func (z *zitadel) rotate() {
	z.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		z.t.Fatal(err)
	}
	z.storage.add(key)
}

func (z *zitadel) withdraw() { z.storage.keepLast() }

// ask names the project whose id becomes an audience by a scope.
func (z *zitadel) ask(w wish) url.Values {
	project := projectHere
	if w == elsewhere {
		project = projectElsewhere
	}
	scope := scopePrefix + project + scopeSuffix
	if w == brief {
		scope += " brief"
	}
	return url.Values{"scope": {scope}}
}

func (z *zitadel) clients() clients {
	return clients{page: "page", service: "sid1", secret: "verysecret", user: "test-user2", password: "verysecure", subject: "id2"}
}

// jwtClient has access tokens that are JWTs.
type jwtClient struct{ op.Client }

func (jwtClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

func (jwtClient) IsScopeAllowed(string) bool { return true }

func (jwtClient) LoginURL(id string) string { return "/login?id=" + url.QueryEscape(id) }

func (s *zitadelStorage) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return jwtClient{c}, nil
}

func (s *zitadelStorage) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	c, err := s.Storage.ClientCredentials(ctx, id, secret)
	if err != nil {
		return nil, err
	}
	return jwtClient{c}, nil
}
