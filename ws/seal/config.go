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

// Policy decides about connections whose negotiated subprotocol is not a sealed one.
type Policy int

const (
	// PolicyRequired, the zero value, closes them.
	PolicyRequired Policy = iota

	// DangerouslyOptional admits them in plain text. An attacker who can change the
	// handshake can bring that about: use it only while clients are being migrated.
	DangerouslyOptional
)

// PSK is a pre-shared key: 32 random bytes, or none. A connection opens only if both ends
// have the same key. fmt, log/slog and encoding/json print it redacted.
type PSK []byte

// String returns "[redacted]".
func (PSK) String() string { return "[redacted]" }

// Format writes "[redacted]" for every verb.
func (PSK) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// LogValue returns "[redacted]".
func (PSK) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText returns "[redacted]", for a Config that is logged as JSON.
func (PSK) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Config is what [NewServer] compiles. Keys and Audience are required.
type Config struct {
	_ [0]func()

	// Keys are the keys of the server. They may be replaced while it runs.
	Keys *Keyring

	// Audience names this service, and must be the same here and in its clients. It is not
	// taken from the Host header, which a proxy could choose.
	Audience string

	// Suites are the offered suites, the preferred first; nil: XWing, X25519, P256.
	Suites []Suite

	// Policy is for connections without a sealed subprotocol.
	Policy Policy

	// Principal returns the name of a principal, which the client must know as well, such
	// as its Subject; nil: "" for every connection.
	Principal func(middleware.Principal) string

	// PSK, if set, is mixed into every connection's keys.
	PSK PSK

	// QueueBytes and QueueMessages bound the messages that Send has queued; 0: 1 MiB and
	// 1,024; a negative value is an error. QueueBytes counts records. Beyond: 1013 `slow`.
	QueueBytes, QueueMessages int
}

// ClientConfig is what [NewClient] compiles. Keys, Audience and App are required.
type ClientConfig struct {
	_ [0]func()

	// Keys are the public keys of the server, pinned or from its directory.
	Keys []PublicKey

	// Audience is that of the server.
	Audience string

	// App is the application's subprotocol, without the prefix of the sealed one.
	App string

	// Origin is the Origin header of the handshake, "" if it sends none.
	Origin string

	// Principal is the name that the server's Config.Principal returns for this client.
	Principal string

	// Suites are the accepted suites; nil: XWing, X25519, P256. The server's order applies.
	Suites []Suite

	// Policy is for connections without a sealed subprotocol.
	Policy Policy

	// PSK is that of the server.
	PSK PSK

	// QueueBytes and QueueMessages are as in [Config].
	QueueBytes, QueueMessages int
}

func (cfg Config) compile() (Config, error) {
	var errs []error
	if cfg.Keys == nil {
		errs = append(errs, errors.New("seal: Keys: nil: want a Keyring, see NewKeyring"))
	}
	if !cfg.Policy.valid() {
		errs = append(errs, fmt.Errorf("seal: Policy: %d: want PolicyRequired or DangerouslyOptional", cfg.Policy))
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
		errs = append(errs, fmt.Errorf("seal: Policy: %d: want PolicyRequired or DangerouslyOptional", cfg.Policy))
	}
	if _, err := (binding{"", cfg.Origin, "", cfg.Principal}).info(nil); err != nil {
		errs = append(errs, err)
	}
	cfg.PSK = slices.Clone(cfg.PSK)
	errs = append(errs, checkAudience(cfg.Audience), checkPSK(cfg.PSK), fillQueue(&cfg.QueueBytes, &cfg.QueueMessages))
	return cfg, errors.Join(errs...)
}

// checkKeys requires at least one usable key, because a connection would not report why it
// failed. A key that has expired is not an error: every key does at some time.
func (cfg *ClientConfig) checkKeys() error {
	if len(cfg.Keys) == 0 {
		return errors.New("seal: Keys: none: want a public key of the server")
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
		errs = append(errs, errors.New("seal: Keys: no key is of one of Suites"))
	}
	return errors.Join(errs...)
}

func (p Policy) valid() bool { return p == PolicyRequired || p == DangerouslyOptional }

// subprotocols returns the sealed subprotocols of the applications, and after them the
// plain ones if the policy admits those.
func (p Policy) subprotocols(apps ...string) []string {
	if len(apps) == 0 {
		return []string{ws.SealedPrefix} // which ws.New reports
	}
	var all []string
	for _, app := range apps {
		all = append(all, ws.SealedPrefix+app)
	}
	if p == DangerouslyOptional {
		all = append(all, apps...)
	}
	return all
}

// isApp reports whether s is an application's name: a subset of the tokens of RFC 9110
// §5.6.2.
func isApp(s string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.", c))
	}) < 0
}

func checkAudience(s string) error {
	if s == "" || len(s) > 255 {
		return fmt.Errorf("seal: Audience: %d bytes: want a name of 1 to 255", len(s))
	}
	return nil
}

func checkPSK(k PSK) error {
	if len(k) != 0 && len(k) != 32 {
		return fmt.Errorf("seal: PSK: %d bytes: want 32 random bytes, or none", len(k))
	}
	if len(k) != 0 && bytes.Count(k, []byte{0}) == len(k) {
		return errors.New("seal: PSK: all zeros: want 32 random bytes")
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
			return fmt.Errorf("seal: Suites: %v is unknown or given twice", suite)
		}
	}
	return nil
}

func fillQueue(bytes, messages *int) error {
	if *bytes < 0 || *messages < 0 {
		return errors.New("seal: QueueBytes, QueueMessages: negative; 0 is the default; unlimited is not supported")
	}
	if *bytes == 0 {
		*bytes = 1 << 20
	}
	if *messages == 0 {
		*messages = 1024
	}
	return nil
}
