package live

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// store is an authenticator with revocations of its own. A request carries its credential
// in the context, see credential.
type store struct {
	alive  func(ctx context.Context, p middleware.Principal) error // in place of its own
	follow func()                                                  // called by Follow first

	mu        sync.Mutex
	dead      map[string]bool // subjects and handles
	followers map[int]func(middleware.Revocation)
	followed  int
	questions []middleware.Principal
}

type credential struct{}

func newStore() *store {
	return &store{dead: map[string]bool{}, followers: map[int]func(middleware.Revocation){}}
}

func (s *store) Ambient() bool { return false }

func (s *store) Authenticate(r *http.Request) (middleware.Principal, error) {
	p, ok := r.Context().Value(credential{}).(middleware.Principal)
	if !ok {
		return p, middleware.ErrNoCredential
	}
	return p, s.good(p)
}

func (s *store) good(p middleware.Principal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead[p.Subject] || s.dead[p.SessionHandle] || s.dead[p.TokenHandle] {
		return middleware.Unauthorized(middleware.ReasonCredentialRevoked, errors.New("store: revoked"))
	}
	return nil
}

func (s *store) Alive(ctx context.Context, p middleware.Principal) error {
	s.mu.Lock()
	s.questions = append(s.questions, p)
	alive := s.alive
	s.mu.Unlock()
	if alive != nil {
		return alive(ctx, p)
	}
	return s.good(p)
}

func (s *store) Follow(fn func(middleware.Revocation)) (stop func()) {
	if s.follow != nil {
		s.follow()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.followed++
	n := s.followed
	s.followers[n] = fn
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.followers, n)
	}
}

// answer sets how Alive answers from now on.
func (s *store) answer(alive func(context.Context, middleware.Principal) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive = alive
}

// learn has the store know the revocation, and tell no follower.
func (s *store) learn(v middleware.Revocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{v.Subject, v.SessionHandle, v.TokenHandle} {
		if name != "" {
			s.dead[name] = true
		}
	}
}

// tell tells the followers.
func (s *store) tell(v middleware.Revocation) {
	s.mu.Lock()
	followers := make([]func(middleware.Revocation), 0, len(s.followers))
	for _, fn := range s.followers {
		followers = append(followers, fn)
	}
	s.mu.Unlock()
	for _, fn := range followers {
		fn(v)
	}
}

func (s *store) revoke(v middleware.Revocation) { s.learn(v); s.tell(v) }

// asked returns how many questions there were since the last call.
func (s *store) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.questions)
	s.questions = nil
	return n
}

// fake is a Member that leaves in End, unless it stays.
type fake struct {
	Binding
	stays bool
	onEnd func(*Cause)
	next  func(now int64, hurry bool) int64

	mu      sync.Mutex
	causes  []*Cause
	endedAt []time.Time
	nexts   int
	hurried bool
}

// Prompt has it called as the members of this module are.
func (*fake) Prompt(contextkey.Ours) {}

func (f *fake) End(cause *Cause) {
	f.mu.Lock()
	f.causes = append(f.causes, cause)
	f.endedAt = append(f.endedAt, time.Now())
	f.mu.Unlock()
	if f.onEnd != nil {
		f.onEnd(cause)
	}
	if !f.stays {
		f.Leave(cause)
	}
}

func (f *fake) Next(now int64, hurry bool) int64 {
	f.mu.Lock()
	f.nexts++
	f.hurried = f.hurried || hurry
	f.mu.Unlock()
	if f.next != nil {
		return f.next(now, hurry)
	}
	return 0
}

// calls returns how often Next was called, and whether with hurry.
func (f *fake) calls() (n int, hurried bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nexts, f.hurried
}

// ended returns the reasons of all calls of End.
func (f *fake) ended() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var words []string
	for _, c := range f.causes {
		words = append(words, c.Reason)
	}
	return strings.Join(words, " ")
}

func (f *fake) when() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.endedAt) == 0 {
		return time.Time{}
	}
	return f.endedAt[0]
}

func wantEnded(t *testing.T, f *fake, want string) {
	t.Helper()
	synctest.Wait()
	if got := f.ended(); got != want {
		t.Errorf("ended %q, want %q", got, want)
	}
}

// world is a registry with one Auth over one store.
type world struct {
	*Registry
	t     *testing.T
	store *store
	auth  *middleware.Auth
	log   *lockedBuffer

	mu     sync.Mutex
	events []Event
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	w := &world{t: t, store: newStore(), log: &lockedBuffer{}}
	w.auth = authOver(t, w.store)
	cfg.Log = slog.New(slog.NewTextHandler(w.log, nil))
	if cfg.Events == nil {
		cfg.Events = func(e Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		}
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Registry = g
	return w
}

func authOver(t *testing.T, list ...middleware.Authenticator) *middleware.Auth {
	t.Helper()
	a, err := middleware.NewAuth(list...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// inBubble runs fn in fake time with a world, and wants that nothing is left of it.
func inBubble(t *testing.T, cfg Config, fn func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, cfg)
		time.Sleep(time.Second) // past the start of the registry
		fn(t, w)
		time.Sleep(time.Minute) // questions under way end
		synctest.Wait()
		w.wantEmpty()
	})
}

func (w *world) wantEmpty() {
	w.t.Helper()
	if n := w.open.Load(); n != 0 {
		w.t.Errorf("%d members are left", n)
	}
	if n := w.told.Load(); n != 0 {
		w.t.Errorf("%d members that were told to end are counted", n)
	}
	if n := len(w.addresses.open); n != 0 {
		w.t.Errorf("%d addresses are left", n)
	}
	if !w.index.empty() {
		w.t.Error("keys are left in the index")
	}
	if w.wheel.n != 0 || w.awaited != 0 {
		w.t.Errorf("%d are left in the wheel, %d are awaited", w.wheel.n, w.awaited)
	}
}

func requestFrom(address string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/live", nil)
	r.RemoteAddr = address
	return r
}

func admit(a *middleware.Auth, p middleware.Principal) (*middleware.Voucher, error) {
	r := requestFrom("192.0.2.1:1234")
	r, err := a.Admit(r.WithContext(context.WithValue(r.Context(), credential{}, p)))
	if err != nil {
		return nil, err
	}
	v, _ := middleware.VoucherFrom(r.Context())
	return v, nil
}

func (w *world) voucher(p middleware.Principal) *middleware.Voucher { return w.voucherOf(w.auth, p) }

func (w *world) voucherOf(a *middleware.Auth, p middleware.Principal) *middleware.Voucher {
	w.t.Helper()
	v, err := admit(a, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// try opens a member as a handler does, and leaves if it is refused.
func (w *world) try(f *fake, v *middleware.Voucher) error {
	err := w.Reserve(&f.Binding, requestFrom("192.0.2.1:1234"))
	if err != nil {
		return err
	}
	if err := f.Bind(context.Background(), v, f); err != nil {
		f.Leave(nil)
		return err
	}
	f.Binding.Open()
	return nil
}

func (w *world) join(p middleware.Principal) *fake { return w.joinAs(&fake{}, w.auth, p) }

func (w *world) joinAs(f *fake, a *middleware.Auth, p middleware.Principal) *fake {
	w.t.Helper()
	if err := w.try(f, w.voucherOf(a, p)); err != nil {
		w.t.Fatal(err)
	}
	return f
}

// seen returns the events of a kind.
func (w *world) seen(kind EventKind) []Event {
	synctest.Wait() // for the goroutine of the events
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.events), func(e Event) bool { return e.Kind != kind })
}

func wantRefusal(t *testing.T, err error, status int, reason middleware.Reason, texts ...string) *middleware.Refusal {
	t.Helper()
	var f *middleware.Refusal
	if !errors.As(err, &f) {
		t.Fatalf("error %v, want a refusal %d %s", err, status, reason)
	}
	if f.Status != status || f.Reason != reason {
		t.Errorf("%d %s (%v), want %d %s", f.Status, f.Reason, err, status, reason)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
	return f
}

var ann = middleware.Principal{
	Issuer:  "https://id.example",
	Subject: "ann", SessionHandle: "session 1", TokenHandle: "token 1", Method: "session",
}

func with(p middleware.Principal, edit func(*middleware.Principal)) middleware.Principal {
	edit(&p)
	return p
}
