package seal

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// linked returns the two ends of a sealed connection in memory.
func linked(t testing.TB, s Suite) (server, client *Conn, below *pipe) {
	t.Helper()
	return linkedBy(t, must(GenerateKey(s, day(30))))
}

func linkedBy(t testing.TB, k Key) (server, client *Conn, below *pipe) {
	t.Helper()
	a, b := newPipe("hpke1.chat")
	srv := must(NewServer(Config{Keys: must(NewKeyring(k)), Audience: audience}))
	cl := must(NewClient(ClientConfig{Keys: []PublicKey{k.Public()}, Audience: audience, App: "chat"}))
	accepted := make(chan error, 1)
	go func() {
		var err error
		server, err = srv.accept(t.Context(), a, "CID", "", "")
		accepted <- err
	}()
	client, err := cl.Connect(t.Context(), b)
	if err := errors.Join(err, <-accepted); err != nil {
		t.Fatal(err)
	}
	return server, client, a
}

// A server sends the connection's id, sealed, to the client.
func TestReady(t *testing.T) {
	server, client, _ := linked(t, X25519)
	if client.ID() != "CID" || server.ID() != "CID" || !client.Sealed() || client.Subprotocol() != "hpke1.chat" {
		t.Errorf("id %q and %q, sealed %v, %q", client.ID(), server.ID(), client.Sealed(), client.Subprotocol())
	}
}

// If no hello arrives within 5 s, the connection is closed with 3008 `timeout`, and the
// error of Accept and of Connect is ws.ErrTimeout.
func TestHelloTimeout(t *testing.T) {
	t.Run("the client is silent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			s := lab{quiet: true}.connect(t)
			if !errors.Is(s.serverErr, ws.ErrTimeout) || s.clientCode != (ws.CloseError{Code: 3008, Reason: "timeout"}) {
				t.Errorf("%v, close %v", s.serverErr, &s.clientCode)
			}
			if took := time.Since(began); took != 5*time.Second {
				t.Errorf("after %v, want 5s", took)
			}
		})
	})
	t.Run("the client drips nothing but pings", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := newPipe("hpke1.chat")
			srv := must(NewServer(Config{Keys: must(NewKeyring(must(GenerateKey(P256, day(1))))), Audience: audience}))
			_, err := srv.accept(t.Context(), a, "CID", "", "")
			if err != ws.ErrTimeout || b.code.Code != 3008 || b.code.Reason != "timeout" {
				t.Errorf("%v, close %v", err, b.code)
			}
		})
	})
	t.Run("the server is silent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, b := newPipe("hpke1.chat")
			cl := must(NewClient(ClientConfig{
				Keys:     []PublicKey{must(GenerateKey(P256, day(1))).Public()},
				Audience: audience, App: "chat",
			}))
			began := time.Now()
			_, err := cl.Connect(t.Context(), b)
			if err != ws.ErrTimeout || b.code.Code != 3008 || time.Since(began) != 5*time.Second {
				t.Errorf("%v, close %v, after %v", err, b.code, time.Since(began))
			}
		})
	})
	t.Run("the context ends first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, b := newPipe("hpke1.chat")
			cl := must(NewClient(ClientConfig{
				Keys:     []PublicKey{must(GenerateKey(P256, day(1))).Public()},
				Audience: audience, App: "chat",
			}))
			why := errors.New("gave up")
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
			defer cancel()
			if _, err := cl.Connect(ctx, b); err != why || b.code.Code != 1001 {
				t.Errorf("%v, close %v", err, b.code)
			}
		})
	})
}

// An hour after an epoch began, the next record is preceded by a key update, in its
// direction alone.
func TestKeyUpdateByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client, _ := linked(t, X25519)
		for i, pause := range []time.Duration{0, time.Hour - time.Nanosecond, time.Nanosecond, 0, 3 * time.Hour} {
			time.Sleep(pause)
			if err := client.Write(websocket.MessageText, []byte("tick")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := server.Read(); err != nil {
				t.Fatal(err)
			}
			if want := [...]byte{0, 0, 1, 1, 2}[i]; server.in.epoch != want || client.out.out.epoch != want {
				t.Errorf("tick %d: epochs %d and %d, want %d", i, client.out.out.epoch, server.in.epoch, want)
			}
		}
		if server.out.out.epoch != 0 {
			t.Error("the other direction has changed its key")
		}
	})
}

// The same after 2^20 records; the secret of the old epoch is erased.
func TestKeyUpdateByCount(t *testing.T) {
	server, client, _ := linked(t, X25519)
	client.out.out.seq, server.in.seq = epochRecords-1, epochRecords-1
	old := client.out.out.secret
	for _, want := range []struct {
		seq   uint64
		epoch byte
	}{{epochRecords, 0}, {1, 1}, {2, 1}} {
		if err := client.Write(websocket.MessageText, []byte("tick")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := server.Read(); err != nil {
			t.Fatal(err)
		}
		for _, d := range []*direction{client.out.out, server.in} {
			if d.seq != want.seq || d.epoch != want.epoch {
				t.Errorf("seq %d, epoch %d, want %v", d.seq, d.epoch, want)
			}
		}
	}
	for _, b := range old {
		if b != 0 {
			t.Fatal("the old secret is still there")
		}
	}
}

// The epoch's byte wraps around; its keys do not repeat.
func TestEpochModulo(t *testing.T) {
	server, client, _ := linked(t, P256)
	for range 300 {
		client.out.out.seq, server.in.seq = epochRecords, epochRecords
		if err := client.Write(websocket.MessageBinary, []byte{1}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := server.Read(); err != nil {
			t.Fatal(err)
		}
	}
	if e := server.in.epoch; e != 300%256 {
		t.Errorf("epoch %d", e)
	}
}

// A key seals and opens no more records than permitted.
func TestNonceLimit(t *testing.T) {
	key := must(hex.DecodeString(strings.Repeat("07", 32)))
	for _, seq := range []uint64{epochRecords, epochRecords + 1, 1<<32 - 1, 1<<64 - 1} {
		from, to := newDirection(append([]byte(nil), key...), 16), newDirection(append([]byte(nil), key...), 16)
		from.seq, to.seq = seq, seq
		if _, err := from.seal(nil, recordText, nil); err == nil {
			t.Errorf("seq %d was sealed", seq)
		}
		record := from.aead.Seal([]byte{byte(recordText), 0}, from.next(), nil, []byte{byte(recordText), 0})
		if _, _, ok := to.open(record); ok {
			t.Errorf("seq %d was opened", seq)
		}
		if _, err := from.seal(nil, recordUpdate, nil); (err == nil) != (seq == epochRecords) {
			t.Errorf("seq %d, key update: %v", seq, err)
		}
	}
}

// Numbers 0 to 2^64-1 never give two records one nonce: it is the IV with the number
// in its last eight bytes.
func TestNonce(t *testing.T) {
	d := newDirection(seed("nonce"), 32)
	for _, seq := range []uint64{0, 1, 255, 256, 1 << 20, 1<<64 - 1} {
		d.seq = seq
		n := d.next()
		if got := binary.BigEndian.Uint64(n[4:]) ^ binary.BigEndian.Uint64(d.iv[4:]); got != seq || string(n[:4]) != string(d.iv[:4]) {
			t.Errorf("nonce of %d: %x, iv %x", seq, n, d.iv)
		}
	}
}

// Properly sealed records of unknown types, or in the wrong place.
func TestProtocolOfRecords(t *testing.T) {
	cases := []struct {
		name, p string
		typ     recordType
	}{
		{"text that is not UTF-8", "a\xff", recordText},
		{"a key update with a payload", "x", recordUpdate},
		{"a close notify with a payload", "x", recordClose},
		{"a second ready record", `{"t":"ready","cid":"CID"}`, recordControl},
		{"an unknown control record", `{"t":"other"}`, recordControl},
		{"an unknown type", "x", 0x15},
		{"a hello's type", "x", 0x01},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server, client, below := linked(t, X25519)
			if err := client.out.write(c.typ, []byte(c.p)); err != nil {
				t.Fatal(err)
			}
			_, p, err := server.Read()
			if err != ErrDecrypt || p != nil || *below.code != decryptCode {
				t.Errorf("%q, %v, close %v", p, err, below.code)
			}
			if _, _, err := server.Read(); err != ErrDecrypt {
				t.Errorf("then %v", err)
			}
			if err := server.Write(websocket.MessageText, nil); err != ErrDecrypt {
				t.Errorf("Write: %v", err)
			}
			if err := server.Send(websocket.MessageText, nil); err != ErrDecrypt {
				t.Errorf("Send: %v", err)
			}
		})
	}
}

// The first record must be a valid ready record.
func TestReadyRecord(t *testing.T) {
	for _, c := range []struct {
		typ  recordType
		p    string
		good bool
	}{
		{recordControl, `{"t":"ready","cid":"x"}`, true},
		{recordControl, `{"cid":"x","t":"ready","more":[1]}`, true},
		{recordText, `{"t":"ready","cid":"x"}`, false},
		{recordControl, `{"t":"steady","cid":"x"}`, false},
		{recordControl, `{"t":"ready"}`, false},
		{recordControl, `{"t":"ready","cid":""}`, false},
		{recordControl, `{"t":"ready","cid":7}`, false},
		{recordControl, `{"t":"ready","cid":"` + strings.Repeat("x", 129) + `"}`, false},
		{recordControl, `{"t":"ready","cid":"x"} `, true},
		{recordControl, `{"t":"ready","cid":"x"}}`, false},
		{recordControl, ``, false},
		{recordUpdate, ``, false},
		{recordClose, ``, false},
	} {
		a, b := newPipe("hpke1.chat")
		c1 := newConn(b, 1<<20, 10)
		c1.in, c1.out.out = newDirection(seed("s2c"), 16), newDirection(seed("c2s"), 16)
		record := must(newDirection(seed("s2c"), 16).seal(nil, c.typ, []byte(c.p)))
		_ = a.Write(websocket.MessageBinary, record)
		err := c1.awaitReady()
		if (err == nil) != c.good || err != nil && err != ErrDecrypt {
			t.Errorf("%#x %s: %v", byte(c.typ), c.p, err)
		}
	}
}

// With DangerouslyOptional on both sides, plain text is passed through, and Sealed reports
// it.
func TestDangerouslyOptional(t *testing.T) {
	both := lab{server: Config{Policy: DangerouslyOptional}, client: ClientConfig{Policy: DangerouslyOptional}}
	t.Run("sealed where both can", func(t *testing.T) {
		l := both
		l.clientTask = func(_ context.Context, c *Conn) error {
			if !c.Sealed() || c.Subprotocol() != "hpke1.chat" {
				t.Errorf("sealed %v, %q", c.Sealed(), c.Subprotocol())
			}
			return c.Close(1000, "")
		}
		l.run(t)
	})
	t.Run("plain where the server cannot", func(t *testing.T) {
		l := both
		l.ws.Subprotocols = []string{"chat"}
		l.down = func(i int, m message) []message {
			if string(m.p) != fmt.Sprint("s", i) || m.typ != websocket.MessageText {
				t.Errorf("message %d is %q", i, m.p)
			}
			return []message{m}
		}
		s := l.run(t)
		if strings.Join(s.client, "") != "s0s1s2" || strings.Join(s.server, "") != "c0c1c2" || !errors.Is(s.serverErr, io.EOF) {
			t.Errorf("%q and %q, %v", s.client, s.server, s.serverErr)
		}
	})
	t.Run("lists", func(t *testing.T) {
		server := must(NewServer(Config{Keys: &Keyring{}, Audience: "a", Policy: DangerouslyOptional}))
		if got := strings.Join(server.Subprotocols("chat", "news"), " "); got != "hpke1.chat hpke1.news chat news" {
			t.Error(got)
		}
		server.cfg.Policy = PolicyRequired
		if got := strings.Join(server.Subprotocols("chat", "news"), " "); got != "hpke1.chat hpke1.news" {
			t.Error(got)
		}
	})
}

// The zero Server, the zero Client and a ring without keys refuse every connection.
func TestZeroRefuses(t *testing.T) {
	for _, sub := range []string{"", "chat", "hpke1.", "hpke1.chat"} {
		a, b := newPipe(sub)
		if _, err := new(Server).accept(t.Context(), a, "", "", ""); err != ErrDecrypt {
			t.Errorf("Server, %q: %v", sub, err)
		}
		if _, err := new(Client).Connect(t.Context(), b); err != ErrDecrypt {
			t.Errorf("Client, %q: %v", sub, err)
		}
	}
	a, _ := newPipe("hpke1.chat")
	srv := must(NewServer(Config{Keys: &Keyring{}, Audience: "a"}))
	if _, err := srv.accept(t.Context(), a, "", "", ""); err != errNoKey {
		t.Error(err)
	}
}

// The file of test vectors, read as by another implementation: hellos and records come from
// it, the keys are derived from its private key.
func TestVectorsAsRecipient(t *testing.T) {
	var v vectors
	if err := json.Unmarshal(must(os.ReadFile(vectorsFile)), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Sessions) < 5 {
		t.Fatal("sessions are missing")
	}
	for _, s := range v.Sessions {
		t.Run(s.Name, func(t *testing.T) {
			k := must(ParseKey(Suite(s.KEM), s.ServerPrivate, day(1)))
			for _, way := range []string{"c2s", "s2c"} {
				c := newConn(nil, 0, 0)
				if !c.agree([]Key{k}, binding{s.Audience, s.Origin, s.Subprotocol, s.Principal}, s.ServerHello, s.ClientHello, PSK(s.PSK)) {
					t.Fatal("no agreement")
				}
				d := map[string]*direction{"c2s": c.in, "s2c": c.out.out}[way]
				for i, r := range s.Records {
					if r.Direction != way {
						continue
					}
					typ, p, ok := d.open(append([]byte(nil), r.Record...))
					if !ok || byte(typ) != r.Type || string(p) != string(r.Payload) {
						t.Fatalf("record %d: %#x %q %v", i, typ, p, ok)
					}
					if typ == recordUpdate {
						d.update()
					}
				}
			}
		})
	}
	keys, err := ParseDirectory([]byte(v.Directory.Body))
	if err != nil || len(keys) != 3 {
		t.Fatal(keys, err)
	}
	for i, k := range keys {
		want := v.Directory.Keys[i]
		if string(k.id[:]) != string(want.KID) || uint16(k.suite) != want.KEM || string(k.Bytes()) != string(want.PK) ||
			k.NotAfter().Unix() != want.NotAfter {
			t.Errorf("key %d: %v", i, k)
		}
	}
}
