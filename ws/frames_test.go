package ws

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sent is a client's frame with an all-zero mask (RFC 6455 §5.2): the first byte,
// and a payload of that size.
func sent(first byte, size int) []byte {
	b := []byte{first}
	switch {
	case size <= 125:
		b = append(b, 0x80|byte(size))
	case size <= 65535:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(size))
	}
	return append(append(b, 0, 0, 0, 0), bytes.Repeat([]byte{0xAA}, size)...)
}

// announced is the header of a frame whose length takes 64 bits, without a payload.
func announced(first byte, size uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, size), 0, 0, 0, 0)
}

func newBucket(perSecond, burst int) bucket {
	r := newRate(perSecond, burst)
	return bucket{rate: &r}
}

func stream(frames ...[]byte) []byte { return slices.Concat(frames...) }

// follow feeds a stream in chunks that end at the cuts. It returns how many bytes
// passed, the cause, and how often feed was called.
func follow(p []byte, limits Limits, control bucket, cuts ...int) (sound int, cause *CloseError, f *frames) {
	f = &frames{}
	from := 0
	for _, to := range append(cuts, len(p)) {
		n, cause := f.feed(p[from:to], &limits, &control, 1)
		if n < 0 || n > to-from {
			panic("sound bytes that were never fed")
		}
		sound += n
		if cause != nil {
			return sound, cause, f
		}
		from = to
	}
	return sound, nil, f
}

var frameLimits = Limits{Message: 1000, Frames: 4}

// frameTable is RFC 6455 §5 for a server with limits of 1,000 bytes and 4 frames a
// message and 3 control frames at once. Before the offending frame stands whatever
// passes; a nil cause: everything does.
var frameTable = []struct {
	sentence  string
	before    []byte
	offending []byte
	cause     *CloseError
}{
	{"§5.6: a text message", sent(0x81, 5), nil, nil},
	{"§5.6: a binary message", sent(0x82, 5), nil, nil},
	{"§5.6: an empty message", sent(0x81, 0), nil, nil},
	{"§5.2: a payload of 125 bytes", sent(0x82, 125), nil, nil},
	{"§5.2: a payload of 126 bytes takes a 16 bit length", sent(0x82, 126), nil, nil},
	{"§5.2: a message of exactly the limit", sent(0x82, 1000), nil, nil},
	{"§5.4: a message in fragments", stream(sent(0x01, 5), sent(0x00, 5), sent(0x80, 5)), nil, nil},
	{"§5.4: fragments that add up to exactly the limit", stream(sent(0x01, 500), sent(0x80, 500)), nil, nil},
	{"§5.4: a message of as many frames as allowed", stream(sent(0x01, 1), sent(0x00, 1), sent(0x00, 1), sent(0x80, 1)), nil, nil},
	{"§5.4: empty fragments", stream(sent(0x01, 0), sent(0x00, 0), sent(0x80, 0)), nil, nil},
	{"§5.4: control frames between fragments", stream(sent(0x01, 5), sent(0x89, 3), sent(0x8A, 0), sent(0x80, 5)), nil, nil},
	{"§5.4: the count begins anew with each message", stream(sent(0x01, 900), sent(0x80, 1), sent(0x01, 900), sent(0x80, 1)), nil, nil},
	{"§5.5: control payload of 125 bytes", stream(sent(0x89, 125), sent(0x8A, 125)), nil, nil},
	{"§5.5.1: a close frame", sent(0x88, 2), nil, nil},
	{"§5.5.1: whatever follows a close frame is ignored", stream(sent(0x88, 2), []byte("GET / HTTP/1.1\r\n\r\n")), nil, nil},
	{
		"§5.5.1: violations that follow a close frame are too", stream(sent(0x88, 0), sent(0xFF, 5), announced(0x81, math.MaxUint64)),
		nil, nil,
	},

	{"§5.2: RSV1 without an extension", sent(0x81, 5), sent(0xC1, 5), ErrProtocol},
	{"§5.2: RSV2", sent(0x81, 5), sent(0xA1, 5), ErrProtocol},
	{"§5.2: RSV3", sent(0x81, 5), sent(0x91, 5), ErrProtocol},
	{"§5.2: RSV1 on a continuation", sent(0x01, 5), sent(0xC0, 5), ErrProtocol},
	{"§5.2: RSV1 on a ping", nil, sent(0xC9, 5), ErrProtocol},
	{"§5.2: reserved data opcode 3", nil, sent(0x83, 5), ErrProtocol},
	{"§5.2: reserved data opcode 7", nil, sent(0x87, 5), ErrProtocol},
	{"§5.2: reserved control opcode 11", nil, sent(0x8B, 5), ErrProtocol},
	{"§5.2: reserved control opcode 15", sent(0x01, 5), sent(0x8F, 0), ErrProtocol},
	{"§5.1: a frame without a mask", sent(0x82, 7), []byte{0x81, 0x05, 'h', 'e', 'l', 'l', 'o'}, ErrProtocol},
	{"§5.1: an empty frame without a mask", nil, []byte{0x81, 0x00}, ErrProtocol},
	{"§5.1: a close frame without a mask", nil, []byte{0x88, 0x00}, ErrProtocol},
	{"§5.1: a long frame without a mask", nil, []byte{0x82, 0x7F, 0, 0, 0, 0, 0, 0, 0, 1}, ErrProtocol},
	{"§5.2: a 64 bit length with its highest bit set", sent(0x81, 5), announced(0x82, 1<<63), ErrProtocol},
	{"§5.2: a 64 bit length of all ones", nil, announced(0x81, math.MaxUint64), ErrProtocol},
	{"§5.2: the highest bit set on a ping", nil, announced(0x89, 1<<63), ErrProtocol},
	{"§5.2: the highest bit set, and nothing behind the length", nil, announced(0x82, 1<<63)[:10], ErrProtocol},
	{
		"§5.2: 125 bytes announced with a 16 bit length", nil, append([]byte{0x82, 0xFE, 0, 125, 0, 0, 0, 0}, make([]byte, 125)...),
		ErrProtocol,
	},
	{"§5.2: 1 byte announced with a 64 bit length", nil, append(announced(0x82, 1), 0), ErrProtocol},
	{"§5.2: 65535 bytes announced with a 64 bit length", nil, announced(0x82, 65535), ErrProtocol},
	{"§5.4: a continuation of nothing", sent(0x81, 5), sent(0x80, 5), ErrProtocol},
	{"§5.4: a continuation of nothing that goes on", nil, sent(0x00, 5), ErrProtocol},
	{"§5.4: a continuation of a message that has ended", stream(sent(0x01, 5), sent(0x80, 5)), sent(0x80, 5), ErrProtocol},
	{"§5.4: new text inside a message", sent(0x01, 5), sent(0x81, 5), ErrProtocol},
	{"§5.4: new binary inside a message, a ping between", stream(sent(0x02, 5), sent(0x89, 0)), sent(0x02, 5), ErrProtocol},
	{"§5.5: a ping of 126 bytes", sent(0x81, 5), sent(0x89, 126), ErrProtocol},
	{"§5.5: a pong of 126 bytes", nil, sent(0x8A, 126), ErrProtocol},
	{"§5.5: a close frame of 126 bytes", nil, sent(0x88, 126), ErrProtocol},
	{"§5.5: a ping of 2^62 bytes", nil, announced(0x89, 1<<62), ErrProtocol},
	{"§5.5: a ping in fragments", nil, sent(0x09, 5), ErrProtocol},
	{"§5.5: a pong in fragments", sent(0x01, 1), sent(0x0A, 5), ErrProtocol},
	{"§5.5: a close frame in fragments", nil, sent(0x08, 2), ErrProtocol},
	{"§10.4: a message of one byte more than the limit", sent(0x81, 1000), sent(0x81, 1001), ErrTooBig},
	{"§10.4: 2^31 bytes announced (gorilla CVE-2020-27813)", nil, announced(0x82, 1<<31), ErrTooBig},
	{"§10.4: 2^63-1 bytes announced (nats-server CVE-2026-27889)", sent(0x01, 5), announced(0x80, math.MaxInt64), ErrTooBig},
	{"§10.4: fragments that add up to more than the limit", stream(sent(0x01, 500), sent(0x00, 500)), sent(0x80, 1), ErrTooBig},
	{"§10.4: fragments that are announced to add up to more", sent(0x01, 1000), announced(0x00, 1<<62), ErrTooBig},
	{
		"§10.4: more fragments than allowed (ws CVE-2026-48779)", stream(sent(0x01, 1), sent(0x00, 1), sent(0x00, 1), sent(0x00, 1)),
		sent(0x80, 1), ErrTooBig,
	},
	{
		"§10.4: more empty fragments than allowed", stream(sent(0x01, 0), sent(0x00, 0), sent(0x00, 0), sent(0x00, 0)), sent(0x00, 0),
		ErrTooBig,
	},
	{"§5.5.2: more pings at once than allowed", stream(sent(0x89, 0), sent(0x89, 5), sent(0x8A, 0)), sent(0x89, 0), ErrRate},
	{
		"§5.5.3: more pongs at once than allowed", stream(sent(0x8A, 0), sent(0x81, 9), sent(0x8A, 0), sent(0x8A, 0)), sent(0x8A, 125),
		ErrRate,
	},
}

// However the network cuts a stream, the verdict is the same, and all that stands
// before the offending frame passes: all of it, unless a part of the offending
// header had passed with an earlier chunk.
func TestFramesAreHeldToTheRFC(t *testing.T) {
	for _, tt := range frameTable {
		t.Run(tt.sentence, func(t *testing.T) {
			p := stream(tt.before, tt.offending)
			want := len(tt.before)
			check := func(lastCut int, cuts ...int) {
				t.Helper()
				sound, cause, _ := follow(p, frameLimits, newBucket(1, 3), cuts...)
				if cause != tt.cause || sound != want && (cause == nil || sound <= want || sound > lastCut) {
					t.Errorf("cut at %d: %d bytes pass, then %v; want %d, then %v", cuts, sound, cause, want, tt.cause)
				}
			}
			check(0)
			for i := range p {
				check(i, i)
			}
			all := make([]int, len(p))
			for i := range all {
				all[i] = i
			}
			check(len(p), all...)
		})
	}
}

func TestVerdictComesWithTheHeader(t *testing.T) {
	for _, tt := range frameTable {
		if tt.cause == nil {
			continue
		}
		t.Run(tt.sentence, func(t *testing.T) {
			header := tt.offending[:min(len(tt.offending), 14)]
			if _, cause, _ := follow(stream(tt.before, header), frameLimits, newBucket(1, 3)); cause != tt.cause {
				t.Errorf("no payload yet: %v, want %v", cause, tt.cause)
			}
		})
	}
}

// The message deadline runs from a message's first byte to its last.
func TestStreamIsIdleBetweenMessagesOnly(t *testing.T) {
	p := stream(sent(0x81, 3), sent(0x01, 2), sent(0x89, 2), sent(0x00, 0), sent(0x80, 130), sent(0x8A, 0), sent(0x82, 0))
	idleAt := map[int]bool{}
	at := 0
	for _, end := range []int{0, 9, -8, -8, -6, 138, 6, 6} { // negative: inside the fragmented message
		at += max(end, -end)
		idleAt[at] = end >= 0
	}
	for i := range len(p) + 1 {
		if _, cause, f := follow(p[:i], frameLimits, newBucket(1, 3)); cause != nil || f.idle() != idleAt[i] {
			t.Errorf("after %d of %d bytes: idle is %v, cause %v", i, len(p), f.idle(), cause)
		}
	}
}

func TestFollowingFramesAllocatesNothing(t *testing.T) {
	p := stream(sent(0x01, 400), sent(0x89, 5), sent(0x80, 400))
	var f frames
	limits, control := frameLimits, newBucket(1, 1e9)
	if n := testing.AllocsPerRun(1000, func() {
		if _, cause := f.feed(p, &limits, &control, 1); cause != nil {
			t.Fatal(cause)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// RFC 6455 §7.1.5, §7.4: codes and reasons that may be sent.
func TestCloseErrorsThatMayBeSent(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		e        CloseError
		valid    bool
	}{
		{"1000, normal", CloseError{Code: 1000}, true},
		{"1003, unacceptable", CloseError{Code: 1003}, true},
		{"1004 is reserved", CloseError{Code: 1004}, false},
		{"1005 stands for none and is never sent", CloseError{Code: 1005}, false},
		{"1006 stands for a lost connection and is never sent", CloseError{Code: 1006}, false},
		{"1007, not UTF-8", CloseError{Code: 1007}, true},
		{"1014, bad gateway", CloseError{Code: 1014}, true},
		{"1015 stands for a TLS failure and is never sent", CloseError{Code: 1015}, false},
		{"1016 to 2999 are not assigned", CloseError{Code: 2999}, false},
		{"3000, registered", CloseError{Code: 3000}, true},
		{"4999, the application's", CloseError{Code: 4999}, true},
		{"5000", CloseError{Code: 5000}, false},
		{"999", CloseError{Code: 999}, false},
		{"a negative code", CloseError{Code: -1}, false},
		{"a reason of 123 bytes", CloseError{Code: 1000, Reason: string(bytes.Repeat([]byte("a"), 123))}, true},
		{"a reason of 124 bytes does not fit", CloseError{Code: 1000, Reason: string(bytes.Repeat([]byte("a"), 124))}, false},
		{"a reason that is not UTF-8", CloseError{Code: 1000, Reason: "\xff"}, false},
	} {
		if err := tt.e.Validate(); (err == nil) != tt.valid {
			t.Errorf("%s: %v", tt.sentence, err)
		}
	}
}

// A bucket's promise: in any stretch of time, no more than its burst and the events that
// the rate adds meanwhile; and a sender that keeps to the rate is never refused.
func TestBucketKeepsItsPromise(t *testing.T) {
	for range 200 {
		perSecond, burst := 1+rand.IntN(2000), 1+rand.IntN(300)
		b := newBucket(perSecond, burst)
		now := rand.Int64N(1e15)
		var taken []int64
		for range 2000 {
			now += rand.Int64N(int64(2e9) / int64(perSecond))
			for range rand.IntN(3) {
				if b.take(now) {
					taken = append(taken, now)
				}
			}
		}
		every := int64(1e9) / int64(perSecond)
		for i := range taken {
			for _, j := range []int{i + burst, i + 2*burst, len(taken) - 1} {
				if j >= len(taken) || j < i {
					continue
				}
				if n, most := int64(j-i+1), int64(burst)+(taken[j]-taken[i])/every; n > most {
					t.Fatalf("%d a second, bursts of %d: %d in %d ns, want at most %d", perSecond, burst, n, taken[j]-taken[i], most)
				}
			}
		}
	}
}

func TestBucketNeverRefusesTheStatedRate(t *testing.T) {
	for _, perSecond := range []int{1, 3, 10, 100, 999, 1_000_000} {
		b := newBucket(perSecond, 1)
		for i := range 1000 {
			if now := 1 + int64(i)*int64(1e9)/int64(perSecond); !b.take(now + int64(i)/2) {
				t.Errorf("%d a second: refused at %d ns", perSecond, now)
				break
			}
		}
	}
}

func TestBucketGivesItsBurstAtOnceAndAgainWhenRested(t *testing.T) {
	b := newBucket(10, 5)
	count := func(now int64) (n int) {
		for b.take(now) {
			n++
		}
		return n
	}
	for _, step := range []struct {
		now  int64
		want int
	}{
		{1, 5}, {1, 0}, {100_000_000, 0}, {100_000_001, 1}, {300_000_001, 2}, {60_000_000_000, 5},
	} {
		if got := count(step.now); got != step.want {
			t.Errorf("at %d ns: %d events, want %d", step.now, got, step.want)
		}
	}
}

func TestCausesAreDistinct(t *testing.T) {
	all := []*CloseError{
		ErrExpired, ErrReauth, ErrRevoked, ErrForbidden, ErrIdle, ErrTimeout, ErrProtocol, ErrReadOnly, ErrUTF8, ErrRate,
		ErrInvalid, ErrTooBig, ErrInternal, ErrDraining, ErrSlow, ErrLater, ErrClosed,
	}
	for i, a := range all {
		if err := a.Validate(); err != nil {
			t.Error(err)
		}
		for j, b := range all {
			if errors.Is(a.Wrap(errors.New("x")), b) != (i == j) {
				t.Errorf("%v and %v", a, b)
			}
		}
	}
}
