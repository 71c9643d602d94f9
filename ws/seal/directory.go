package seal

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/securews/securews/internal/certificate"
)

// DirectoryPath is the path at which clients look up a server's public keys.
const DirectoryPath = "/.well-known/wss-keys"

const (
	maxDirectory     = 64 << 10 // bytes
	maxDirectoryKeys = 32
)

var errDirectory = errors.New("seal: directory")

// appendDirectory appends the keys as {"keys":[{"kid","kem","pk","not_after"}]}: kid and pk
// in base64url without padding, kem as the number of RFC 9180 §7.1, not_after in seconds
// since 1970.
func appendDirectory(b []byte, keys []Key) []byte {
	b = append(b, `{"keys":[`...)
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"kid":%q,"kem":%d,"pk":%q,"not_after":%d}`, base64.RawURLEncoding.EncodeToString(k.id[:]),
			uint16(k.suite), base64.RawURLEncoding.EncodeToString(k.Public().Bytes()), k.notAfter.Unix())
	}
	return append(b, "]}\n"...)
}

// ParseDirectory parses the document that a [Keyring] serves, in its order. Keys of unknown
// suites are skipped; a mistake in any other key is an error. The result may be empty.
func ParseDirectory(b []byte) ([]PublicKey, error) {
	if len(b) > maxDirectory {
		return nil, fmt.Errorf("%w: more than %d bytes", errDirectory, maxDirectory)
	}
	var top map[string]json.RawMessage // not a struct: its names would match in any letter case
	var entries []map[string]json.RawMessage
	if err := decodeStrict(b, &top); err != nil {
		return nil, err
	}
	if err := decodeStrict(top["keys"], &entries); err != nil {
		return nil, err
	}
	if len(entries) > maxDirectoryKeys {
		return nil, fmt.Errorf("%w: more than %d keys", errDirectory, maxDirectoryKeys)
	}
	var keys []PublicKey
	seen := map[kid]bool{}
	for i, e := range entries {
		k, known, err := parseEntry(e)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: key %d: %w", errDirectory, i, err)
		case !known:
			continue
		case seen[k.id]:
			return nil, fmt.Errorf("%w: key %d: given twice", errDirectory, i)
		}
		seen[k.id] = true
		keys = append(keys, k)
	}
	return keys, nil
}

func parseEntry(e map[string]json.RawMessage) (k PublicKey, known bool, err error) {
	var kem uint16
	if err := decodeStrict(e["kem"], &kem); err != nil {
		return k, false, err
	}
	if _, known := Suite(kem).algorithms(); !known {
		return k, false, nil
	}
	var name, pk string
	var notAfter int64
	err = errors.Join(decodeStrict(e["kid"], &name), decodeStrict(e["pk"], &pk), decodeStrict(e["not_after"], &notAfter))
	if err != nil {
		return k, true, err
	}
	public, err := base64.RawURLEncoding.Strict().DecodeString(pk)
	if err != nil {
		return k, true, err
	}
	if notAfter <= 0 || notAfter > 1<<40 {
		return k, true, errors.New("not_after is out of range")
	}
	if k, err = ParsePublicKey(Suite(kem), public, time.Unix(notAfter, 0)); err != nil {
		return k, true, err
	}
	if name != base64.RawURLEncoding.EncodeToString(k.id[:]) {
		return k, true, errors.New("kid is not that of pk")
	}
	return k, true, nil
}

// decodeStrict parses one JSON value without trailing data. A missing value is an error,
// and so is null, which encoding/json ignores.
func decodeStrict(b []byte, v any) error {
	if trimmed := bytes.TrimSpace(b); len(trimmed) == 0 || string(trimmed) == "null" {
		return fmt.Errorf("%w: a value is missing", errDirectory)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", errDirectory, err)
	}
	return nil
}

// FetchKeys gets a server's directory. The address must be https; redirects are followed to
// https only. A nil client is http.DefaultClient; one that does not verify the server's certificate
// is an error. ctx bounds the call.
//
// Keys that arrive over the same TLS as the messages protect against passive readers behind
// that TLS, not against an attacker who can replace the keys. To be safe from both, pin the
// keys with [ParsePublicKey].
func FetchKeys(ctx context.Context, client *http.Client, address string) ([]PublicKey, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return nil, fmt.Errorf("%w: the address is not https", errDirectory)
	}
	if client == nil {
		client = http.DefaultClient
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDirectory, err)
	}
	if errs := certificate.Check(client.Transport); len(errs) > 0 {
		return nil, fmt.Errorf("%w: %w", errDirectory, errors.Join(errs...))
	}
	secure := *client
	secure.Transport = certificate.Transport(client.Transport)
	secure.CheckRedirect = httpsOnly(client.CheckRedirect)
	res, err := secure.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDirectory, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: status %d", errDirectory, res.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxDirectory+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDirectory, err)
	}
	return ParseDirectory(b)
}

func httpsOnly(also func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		switch {
		case req.URL.Scheme != "https":
			return errors.New("redirected to an address without TLS")
		case also != nil:
			return also(req, via)
		case len(via) >= 10:
			return errors.New("redirected ten times")
		}
		return nil
	}
}
