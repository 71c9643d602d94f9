package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A thousand messages a second: a hundred talkers say ten each, in rooms of four.
const (
	talkers = 100
	pace    = 100 * time.Millisecond
	perRoom = 4
)

// talker sends numbered texts to its room from the start of the load until it is closed.
// heard includes its own messages; other goroutines may read it after the ending is sent.
type talker struct {
	c       *websocket.Conn
	name    string
	answers atomic.Int64   // to its own texts
	heard   map[string]int // number of the last text by talker
	gap     error
}

// openTalkers opens them, each in its room, and collects their endings in the channel.
func openTalkers(t *testing.T, p *process, start <-chan struct{}, endings chan<- ending) []*talker {
	t.Helper()
	client := insecure()
	cookie := signIn(t, client, p.origin, "carol", p.passwords["carol"])
	all := make([]*talker, talkers)
	for i := range all {
		c, err := dial(t, p, client, cookie)
		if err != nil {
			t.Fatalf("dial: %v", err)
		}
		all[i] = &talker{c: c, name: fmt.Sprint(i), heard: map[string]int{}}
		joins := fmt.Sprintf(`{"type":"join","room":"load-%d"}`, i/perRoom)
		if err := c.Write(t.Context(), websocket.MessageText, []byte(joins)); err != nil {
			t.Fatal(err)
		}
		for typ := ""; typ != "joined"; {
			_, b, err := c.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			typ, _ = parseSaid(b)
		}
	}
	for _, k := range all {
		go func() { endings <- k.listen(t.Context()) }()
		go k.talk(t.Context(), start)
	}
	return all
}

func parseSaid(b []byte) (typ, text string) {
	var m struct{ Type, Text string }
	_ = json.Unmarshal(b, &m)
	return m.Type, m.Text
}

func (k *talker) talk(ctx context.Context, start <-chan struct{}) {
	<-start
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 1; ; n++ {
		says := fmt.Sprintf(`{"type":"say","text":"%s %d"}`, k.name, n)
		if k.c.Write(ctx, websocket.MessageText, []byte(says)) != nil {
			return // closed: its listen says how
		}
		<-tick.C
	}
}

// listen reads until the end, and holds every speaker's numbers to be 1, 2, 3 and so on.
func (k *talker) listen(ctx context.Context) ending {
	for {
		_, b, err := k.c.Read(ctx)
		if err != nil {
			_ = k.c.CloseNow()
			return endingOf(err)
		}
		typ, text := parseSaid(b)
		if typ != "said" {
			continue
		}
		who, number, _ := strings.Cut(text, " ")
		if number != strconv.Itoa(k.heard[who]+1) && k.gap == nil {
			k.gap = fmt.Errorf("%s heard %q after %d of that talker", k.name, text, k.heard[who])
		}
		if k.heard[who]++; who == k.name {
			k.answers.Add(1)
		}
	}
}

func answers(all []*talker) (n int64) {
	for _, k := range all {
		n += k.answers.Load()
	}
	return n
}

// checkAnswers checks that the server answered every text it accepted from a talker: the
// talker itself has received each of its texts that any client in the room received, except
// for one that was being handled when the talker was closed.
func checkAnswers(t *testing.T, all []*talker) {
	t.Helper()
	for i, k := range all {
		if k.gap != nil {
			t.Errorf("a message is lost: %v", k.gap)
		}
		for _, other := range all[i/perRoom*perRoom : min(len(all), (i/perRoom+1)*perRoom)] {
			if other.heard[k.name] > k.heard[k.name]+1 {
				t.Errorf("%s had %d answers, while %s heard %d texts of it", k.name, k.heard[k.name], other.name, other.heard[k.name])
			}
		}
	}
}
