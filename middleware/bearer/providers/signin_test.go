package providers

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// redirect is the address that the page's client gets its code at. Nothing serves it.
const redirect = "https://app.example/callback"

// tokens are the answer of a token endpoint (RFC 6749 §5.1, OpenID Connect Core 1.0 §3.1.3.3).
type tokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
}

// metadata are the endpoints of a provider (OpenID Connect Discovery 1.0 §3).
type metadata struct {
	Authorize  string `json:"authorization_endpoint"`
	Token      string `json:"token_endpoint"`
	Revoke     string `json:"revocation_endpoint"`
	EndSession string `json:"end_session_endpoint"`
}

// browser is the user's browser at the pages of a provider, and the client that sent it there.
type browser struct {
	t  testing.TB
	p  provider
	to metadata
	*http.Client
}

func newBrowser(t testing.TB, p provider) *browser {
	t.Helper()
	b := &browser{t: t, p: p, Client: client(t)}
	b.Jar, _ = cookiejar.New(nil)
	b.json(b.get(p.issuer()+"/.well-known/openid-configuration"), &b.to)
	return b
}

func (b *browser) get(url string) *http.Response {
	b.t.Helper()
	answer, err := b.Get(url)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func (b *browser) post(url string, form url.Values) *http.Response {
	b.t.Helper()
	answer, err := b.PostForm(url, form)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func (b *browser) json(answer *http.Response, to any) {
	b.t.Helper()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: %s %v", answer.Request.URL.Path, answer.Status, body, err)
	}
	if err := json.Unmarshal(body, to); err != nil {
		b.t.Fatal(err)
	}
}

// service returns the token of the service (RFC 6749 §4.4).
func (b *browser) service(w wish) string {
	b.t.Helper()
	c := b.p.clients()
	form := maps.Clone(b.p.ask(w))
	form.Set("grant_type", "client_credentials")
	r, err := http.NewRequest(http.MethodPost, b.to.Token, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(c.service, url.QueryEscape(c.secret))
	answer, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var got tokens
	b.json(answer, &got)
	return got.Access
}

// signIn signs the user in at the pages of the provider, by a code with PKCE (RFC 6749 §4.1,
// RFC 7636), and returns the tokens of the page.
func (b *browser) signIn(w wish) tokens {
	b.t.Helper()
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	query := maps.Clone(b.p.ask(w))
	for name, value := range map[string]string{
		"response_type": "code", "client_id": b.p.clients().page, "redirect_uri": redirect, "state": "1", "prompt": "consent",
		"scope":          "openid offline_access " + query.Get("scope"),
		"code_challenge": base64.RawURLEncoding.EncodeToString(challenge[:]), "code_challenge_method": "S256",
	} {
		query.Set(name, value)
	}
	form := b.p.ask(w)
	form.Del("scope")
	form.Set("grant_type", "authorization_code")
	form.Set("code", b.visit(b.to.Authorize+"?"+query.Encode()))
	form.Set("redirect_uri", redirect)
	form.Set("code_verifier", verifier)
	return b.exchange(form)
}

// refresh returns the tokens of the page for its refresh token (RFC 6749 §6).
func (b *browser) refresh(w wish, token string) tokens {
	b.t.Helper()
	form := b.p.ask(w)
	form.Del("scope")
	form.Set("grant_type", "refresh_token")
	form.Set("refresh_token", token)
	return b.exchange(form)
}

func (b *browser) exchange(form url.Values) (got tokens) {
	b.t.Helper()
	form.Set("client_id", b.p.clients().page)
	b.json(b.post(b.to.Token, form), &got)
	return got
}

// signOut ends the session of the browser at the provider (OpenID Connect RP-Initiated Logout
// 1.0 §2).
func (b *browser) signOut() {
	b.t.Helper()
	page := b.get(b.to.EndSession + "?client_id=" + b.p.clients().page)
	if page.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: %s", page.Request.URL.Path, page.Status)
	}
	if done := b.submit(page); done.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("%s: %s", done.Request.URL.Path, done.Status)
	}
}

// revoke tells the provider that the token of the page is not needed any more (RFC 7009 §2).
func (b *browser) revoke(token string) {
	b.t.Helper()
	answer := b.post(b.to.Revoke, url.Values{"token": {token}, "client_id": {b.p.clients().page}})
	if answer.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: %s", answer.Request.URL.Path, answer.Status)
	}
}

// visit follows the redirects of the provider, submits its forms, and returns the code.
func (b *browser) visit(address string) (code string) {
	b.t.Helper()
	answer := b.get(address)
	for range 20 {
		if answer.StatusCode == http.StatusOK {
			answer = b.submit(answer)
			continue
		}
		next, err := answer.Location()
		switch {
		case err != nil:
			b.t.Fatalf("%s: %s %v", answer.Request.URL.Path, answer.Status, err)
		case !strings.HasPrefix(next.String(), redirect):
			answer = b.get(next.String())
		case next.Query().Get("code") == "":
			b.t.Fatalf("no code: %s", next.Query().Get("error_description"))
		default:
			return next.Query().Get("code")
		}
	}
	b.t.Fatal("the pages of the provider do not end")
	return ""
}

// submit fills the form of a page.
func (b *browser) submit(page *http.Response) *http.Response {
	b.t.Helper()
	doc, err := html.Parse(page.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	form, action := url.Values{}, ""
	for n := range doc.Descendants() {
		attribute := map[string]string{}
		for _, a := range n.Attr {
			attribute[a.Key] = a.Val
		}
		switch {
		case n.Type != html.ElementNode:
		case n.Data == "form":
			action = attribute["action"]
		case n.Data == "button" && attribute["name"] != "" && !form.Has(attribute["name"]):
			form.Set(attribute["name"], attribute["value"])
		case n.Data != "input":
		case attribute["type"] == "text":
			form.Set(attribute["name"], b.p.clients().user)
		case attribute["type"] == "password":
			form.Set(attribute["name"], b.p.clients().password)
		default:
			form.Set(attribute["name"], attribute["value"])
		}
	}
	to, err := page.Request.URL.Parse(action)
	if err != nil || action == "" {
		b.t.Fatalf("%s: no form: %v", page.Request.URL.Path, err)
	}
	return b.post(to.String(), form)
}
