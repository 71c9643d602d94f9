package redial_test

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

var endingRow = regexp.MustCompile("(?m)^\\| (HTTP )?(\\d{3,4})(?: `(\\w+)`)? \\| ([a-z-]+) \\|$")

// The reaction to each ending is that of the table in docs/clients.md. The page's client has the same test.
func TestEndingsAsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/clients.md")
	must(t, err)
	rows := endingRow.FindAllStringSubmatch(string(text), -1)
	if len(rows) < 40 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		code, _ := strconv.Atoi(row[2])
		reason, next := row[3], row[4]
		t.Run(strings.TrimSpace(row[1]+row[2]+" "+reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					conn := upgrade(t, w, r)
					if code != 1006 {
						frame := []byte{0x88, 0}
						if code != 1005 {
							frame = append([]byte{0x88, byte(2 + len(reason)), byte(code >> 8), byte(code)}, reason...)
						}
						_, _ = conn.Write(frame)
						time.Sleep(time.Second)
					}
					_ = conn.Close()
				})
				switch {
				case row[1] != "" && reason != "":
					h = refusingWith(code, reason)
				case row[1] != "":
					h = answering(code)
				}
				s := wstest.NewServer(t, h)
				r := start(t, s, redial.Config{}, nil)
				time.Sleep(100 * time.Second)
				synctest.Wait()
				first := append(r.phases(redial.Waiting), r.phases(redial.Closed)...)[0]
				// The first refused credential is replaced, and the second one ends Run.
				again := first.Phase == redial.Waiting && !(next == "sign-in" && len(r.phases(redial.Waiting)) == 1)
				if want := next == "retry" || next == "renew"; again != want {
					t.Errorf("comes back: %v after %v, documented %s", again, first.Cause, next)
				}
				r.cancel()
				<-r.done
				time.Sleep(time.Second) // the last handler
			})
		})
	}
}
