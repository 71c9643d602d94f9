package redial_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/internal/defaults"
)

// The sources of the page's client have the same defaults.
func TestDefaultsOfThePage(t *testing.T) {
	source, err := os.ReadFile("../browser/src/settings.ts")
	must(t, err)
	ms := func(d time.Duration) int { return int(d / time.Millisecond) }
	for name, want := range map[string]int{
		"first": ms(defaults.FirstDelay), "longest": ms(defaults.LastDelay), "spread": ms(defaults.Spread),
		"stable": ms(defaults.Stable), "connect": ms(defaults.Dial), "close": ms(defaults.Close),
		"every": ms(defaults.Heartbeat), "timeout": ms(defaults.Pong),
		"messages": defaults.QueueMessages, "bytes": defaults.QueueBytes, "outgoing": defaults.Message,
	} {
		found := regexp.MustCompile(`\b`+name+`: ([\d_]+)`).FindAllStringSubmatch(string(source), -1)
		if len(found) != 1 {
			t.Errorf("%s: %d defaults in settings.ts", name, len(found))
			continue
		}
		if got, _ := strconv.Atoi(strings.ReplaceAll(found[0][1], "_", "")); got != want {
			t.Errorf("%s: %s in settings.ts, want %d", name, found[0][1], want)
		}
	}
}

// Numbers in which both ends must agree.
func TestDefaultsFit(t *testing.T) {
	if defaults.MessageBurst < defaults.QueueMessages+defaults.MessagesPerSecond {
		t.Error("a full queue and the messages of a second do not fit into the server's burst")
	}
	if defaults.QueueBytes > 4*defaults.MessagesPerSecond*defaults.Message/4 { // ws.Limits.ByteBurst
		t.Error("a full queue has more bytes than the server's burst")
	}
	if d := defaults.Heartbeat + defaults.Pong; d > 35*time.Second {
		t.Errorf("a dead path is noticed after %v", d)
	}
}
