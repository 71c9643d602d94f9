package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

// Policy says what to do with a connection whose negotiated subprotocol is not a
// sealed one.
type Policy int

const (
	// PolicyRequired, the zero value, closes it.
	PolicyRequired Policy = iota

	// DangerouslyOptional lets it through in plain text. Whoever can change the handshake
	// can have that: it is for the time in which clients are moved over, no longer.
	DangerouslyOptional
)

// PSK is a key that both ends were given beforehand: 32 random bytes, or none. A
// connection opens only where both have the same. It does not show itself in logs.
type PSK []byte

// String shows nothing.
func (PSK) String() string { return "[redacted]" }

// Format shows nothing, whatever the verb.
func (PSK) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// LogValue shows nothing.
func (PSK) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText shows nothing: a log in JSON may get the Config around it.
func (PSK) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Config is what [NewServer] compiles. Keys and Audience are required.
type Config struct {
	_ [0]func()

	// Keys are those of the server, and change as they are rotated.
	Keys *Keyring

	// Audience names this service, and is the same here and in its clients. It is not
	// the Host, which whoever is in between could choose.
	Audience string

	// Suites are those offered, the preferred first; nil: XWing, X25519, P256.
	Suites []Suite

	// Policy is for connections without a sealed subprotocol.
	Policy Policy

	// Principal returns the word for a principal that the client knows as well, such as
	// its Subject; nil: every connection's is "".
	Principal func(middleware.Principal) string

	// PSK, if set, is mixed into every connection's keys.
	PSK PSK

	// QueueBytes and QueueMessages bound what Send has taken and the network not yet;
	// 0: 1 MiB and 1,024. Beyond: 1013 `slow`.
	QueueBytes, QueueMessages int
}

// ClientConfig is what [NewClient] compiles. Keys, Audience and App are required.
type ClientConfig struct {
	_ [0]func()

	// Keys are those of the server, pinned or from its directory.
	Keys []PublicKey

	// Audience is the server's.
	Audience string

	// App is the application's subprotocol, without the prefix of the sealed one.
	App string

	// Origin is what the handshake's Origin header says, "" where it sends none.
	Origin string

	// Principal is what the server's Config.Principal returns for this client.
	Principal string

	// Suites are those accepted; nil: XWing, X25519, P256. The server's order counts.
	Suites []Suite

	// Policy is for connections without a sealed subprotocol.
	Policy Policy

	// PSK is the server's.
	PSK PSK

	// QueueBytes and QueueMessages are as in [Config].
	QueueBytes, QueueMessages int
}

func (cfg Config) compile() (Config, error) {
	var errs []error
	if cfg.Keys == nil {
		errs = append(errs, errors.New("seal: Keys: nil: clients could encrypt to nobody"))
	}
	if !cfg.Policy.valid() {
		errs = append(errs, fmt.Errorf("seal: Policy: %d is none", cfg.Policy))
	}
	cfg.PSK = slices.Clone(cfg.PSK)
	errs = append(errs, checkAudience(cfg.Audience), checkPSK(cfg.PSK),
		fillSuites(&cfg.Suites), fillQueue(&cfg.QueueBytes, &cfg.QueueMessages))
	return cfg, errors.Join(errs...)
}

func (cfg ClientConfig) compile() (ClientConfig, error) {
	var errs []error
	cfg.Keys = slices.Clone(cfg.Keys)
	errs = append(errs, fillSuites(&cfg.Suites), cfg.checkKeys())
	if !isApp(cfg.App) {
		errs = append(errs, fmt.Errorf("seal: App: %q: letters, digits, '-', '_' and '.', up to 64", cfg.App))
	}
	if !cfg.Policy.valid() {
		errs = append(errs, fmt.Errorf("seal: Policy: %d is none", cfg.Policy))
	}
	if _, err := (binding{"", cfg.Origin, "", cfg.Principal}).info(nil); err != nil {
		errs = append(errs, err)
	}
	cfg.PSK = slices.Clone(cfg.PSK)
	errs = append(errs, checkAudience(cfg.Audience), checkPSK(cfg.PSK), fillQueue(&cfg.QueueBytes, &cfg.QueueMessages))
	return cfg, errors.Join(errs...)
}

// checkKeys wants one that can be used: a connection would not say why it cannot. Keys
// that have ended are no mistake of the configuration: they all do, in time.
func (cfg *ClientConfig) checkKeys() error {
	if len(cfg.Keys) == 0 {
		return errors.New("seal: Keys: none: there is nobody to encrypt to")
	}
	var errs []error
	usable := false
	for i, k := range cfg.Keys {
		if k.public == nil {
			errs = append(errs, fmt.Errorf("seal: Keys: key %d is the zero PublicKey", i))
		}
		usable = usable || slices.Contains(cfg.Suites, k.suite)
	}
	if len(errs) == 0 && !usable {
		errs = append(errs, errors.New("seal: Keys: each is of none of Suites"))
	}
	return errors.Join(errs...)
}

func (p Policy) valid() bool { return p == PolicyRequired || p == DangerouslyOptional }

// subprotocols lists those of the applications: the sealed ones, which come first, and
// where the policy allows it the plain ones.
func (p Policy) subprotocols(apps ...string) []string {
	var all []string
	for _, app := range apps {
		all = append(all, ws.SealedPrefix+app)
	}
	if p == DangerouslyOptional {
		all = append(all, apps...)
	}
	return all
}

// isApp keeps to a part of what RFC 9110 §5.6.2 lets be a token.
func isApp(s string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.", c))
	}) < 0
}

func checkAudience(s string) error {
	if s == "" || len(s) > 255 {
		return fmt.Errorf("seal: Audience: %d bytes; the service's name takes 1 to 255", len(s))
	}
	return nil
}

func checkPSK(k PSK) error {
	if len(k) != 0 && len(k) != 32 {
		return fmt.Errorf("seal: PSK: %d bytes; it has 32, random ones, or there is none", len(k))
	}
	if len(k) != 0 && bytes.Count(k, []byte{0}) == len(k) {
		return errors.New("seal: PSK: zeros only; nobody has drawn it")
	}
	return nil
}

func fillSuites(s *[]Suite) error {
	if *s == nil {
		*s = defaultSuites()
		return nil
	}
	*s = slices.Clone(*s)
	if len(*s) == 0 {
		return errors.New("seal: Suites: empty; nil is the default")
	}
	for i, suite := range *s {
		if _, ok := suite.algorithms(); !ok || slices.Contains((*s)[:i], suite) {
			return fmt.Errorf("seal: Suites: %v is none, or given twice", suite)
		}
	}
	return nil
}

func fillQueue(bytes, messages *int) error {
	if *bytes < 0 || *messages < 0 {
		return errors.New("seal: QueueBytes, QueueMessages: negative; 0 is the default, and there is no unlimited")
	}
	if *bytes == 0 {
		*bytes = 1 << 20
	}
	if *messages == 0 {
		*messages = 1024
	}
	return nil
}
