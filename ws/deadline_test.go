package ws

import (
	"testing"
	"time"
)

// seconds are a time of the registry's clock.
func seconds(s float64) int64 { return int64(s * float64(time.Second)) }

var testTimeouts = Timeouts{
	Message: 30 * time.Second, FirstMessage: 5 * time.Second, Write: 10 * time.Second, Idle: 100 * time.Second,
	Heartbeat: 25 * time.Second, Pong: 10 * time.Second, Close: 2 * time.Second,
}

// Each row changes the state of a connection that was opened at 1,000 s, is being read, and has had a
// message at 1,100 s.
func TestNextDeadline(t *testing.T) {
	tests := []struct {
		sentence string
		now      float64
		change   func(*Timeouts, *state)
		want     next
	}{
		{
			sentence: "between messages, a write that begins now is looked at in time",
			now:      1101,
			want:     next{at: seconds(1111)},
		},
		{
			sentence: "a message in progress has Timeouts.Message",
			now:      1101,
			change:   func(_ *Timeouts, s *state) { s.messageSince = seconds(1073) },
			want:     next{at: seconds(1103)},
		},
		{
			sentence: "a message that takes longer ends it",
			now:      1103,
			change:   func(_ *Timeouts, s *state) { s.messageSince = seconds(1073) },
			want:     next{cause: ErrTimeout},
		},
		{
			sentence: "the time of a message counts from when Serve reads again",
			now:      1103,
			change: func(_ *Timeouts, s *state) {
				s.messageSince, s.readSince = seconds(1073), seconds(1075)
			},
			want: next{at: seconds(1105)},
		},
		{
			sentence: "a message that Serve does not read ends nothing",
			now:      1103,
			change:   func(_ *Timeouts, s *state) { s.messageSince, s.readSince = seconds(1000), 0 },
			want:     next{at: seconds(1113)},
		},
		{
			sentence: "the first message is due Timeouts.FirstMessage after the upgrade",
			now:      1004,
			change:   func(_ *Timeouts, s *state) { s.received, s.lastMessage = false, seconds(1000) },
			want:     next{at: seconds(1005)},
		},
		{
			sentence: "without it the connection ends",
			now:      1005,
			change:   func(_ *Timeouts, s *state) { s.received, s.lastMessage = false, seconds(1000) },
			want:     next{cause: ErrTimeout},
		},
		{
			sentence: "a connection that only listens sends none",
			now:      1101,
			change:   func(t *Timeouts, s *state) { s.received, t.FirstMessage = false, 0 },
			want:     next{at: seconds(1111)},
		},
		{
			sentence: "a write without progress ends it",
			now:      1110,
			change:   func(_ *Timeouts, s *state) { s.writeSince = seconds(1100) },
			want:     next{cause: ErrSlow},
		},
		{
			sentence: "so does the rest of the queue after Serve has returned",
			now:      1110,
			change:   func(_ *Timeouts, s *state) { s.flushSince = seconds(1100) },
			want:     next{cause: ErrSlow},
		},
		{
			sentence: "a slow write comes before a missing pong",
			now:      1120,
			change: func(_ *Timeouts, s *state) {
				s.writeSince, s.pinged, s.lastByte = seconds(1100), seconds(1100), seconds(1050)
			},
			want: next{cause: ErrSlow},
		},
		{
			sentence: "without a message for Timeouts.Idle it ends",
			now:      1200,
			change:   func(_ *Timeouts, s *state) { s.lastByte = seconds(1199) },
			want:     next{cause: ErrIdle},
		},
		{
			sentence: "without Timeouts.Idle it goes on",
			now:      1200,
			change:   func(t *Timeouts, s *state) { t.Idle, s.lastByte = 0, seconds(1199) },
			want:     next{at: seconds(1210)},
		},
		{
			sentence: "so does one that is completed only to report a refusal",
			now:      1200,
			change:   func(_ *Timeouts, s *state) { s.idles, s.lastByte = true, seconds(1199) },
			want:     next{at: seconds(1210)},
		},
		{
			sentence: "a silent peer is pinged a tick before Timeouts.Heartbeat",
			now:      1124.75,
			want:     next{ping: true, at: seconds(1125)},
		},
		{
			sentence: "not earlier",
			now:      1124.5,
			want:     next{at: seconds(1124.75)},
		},
		{
			sentence: "with all its jitter, a fifth earlier",
			now:      1119.8,
			change:   func(_ *Timeouts, s *state) { s.jitter = 1 },
			want:     next{ping: true, at: seconds(1120.05)},
		},
		{
			sentence: "not again while the ping is still to be written",
			now:      1130,
			change:   func(_ *Timeouts, s *state) { s.pingDue = true },
			want:     next{at: seconds(1130.25)},
		},
		{
			sentence: "the answer is due after Timeouts.Pong",
			now:      1130,
			change:   func(_ *Timeouts, s *state) { s.pinged = seconds(1125) },
			want:     next{at: seconds(1135)},
		},
		{
			sentence: "without it the connection ends, and the peer is waited for no longer",
			now:      1135,
			change:   func(_ *Timeouts, s *state) { s.pinged = seconds(1125) },
			want:     next{cause: ErrTimeout, silent: true},
		},
		{
			sentence: "any byte is an answer",
			now:      1135,
			change:   func(_ *Timeouts, s *state) { s.pinged, s.lastByte = seconds(1125), seconds(1126) },
			want:     next{at: seconds(1145)},
		},
		{
			sentence: "an answer that Serve does not read is not missed, and the peer is pinged again",
			now:      1149.75,
			change:   func(_ *Timeouts, s *state) { s.pinged, s.readSince = seconds(1125), 0 },
			want:     next{ping: true, at: seconds(1150)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			timeouts := testTimeouts
			s := state{
				opened: seconds(1000), readSince: seconds(1000), lastByte: seconds(1100), lastMessage: seconds(1100), received: true,
			}
			if tt.change != nil {
				tt.change(&timeouts, &s)
			}
			if got := timeouts.next(seconds(tt.now), s); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// The connection ended at 1,000 s; Timeouts.Close is 2 s, and a close frame has a second to be written.
func TestWhenToCut(t *testing.T) {
	tests := []struct {
		sentence         string
		now              float64
		closeSent, hurry bool
		want             float64 // 0: now
	}{
		{sentence: "the peer has Timeouts.Close to answer", now: 1001, closeSent: true, want: 1002},
		{sentence: "not longer", now: 1002, closeSent: true, want: 0},
		{sentence: "in a hurry it has a second", now: 1000.5, closeSent: true, hurry: true, want: 1001},
		{sentence: "in a hurry not longer", now: 1001, closeSent: true, hurry: true, want: 0},
		{sentence: "a close frame that is still to be written is waited for", now: 1002, want: 1002.25},
		{sentence: "for two seconds more", now: 1004, want: 0},
		{sentence: "in a hurry for two seconds in all", now: 1001.5, hurry: true, want: 1001.75},
		{sentence: "in a hurry not longer for that", now: 1002, hurry: true, want: 0},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			if got := testTimeouts.cut(seconds(tt.now), seconds(1000), tt.closeSent, tt.hurry); got != seconds(tt.want) {
				t.Errorf("at %v, want %v s", time.Duration(got), tt.want)
			}
		})
	}
}
