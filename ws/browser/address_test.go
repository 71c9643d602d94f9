package browser_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/securews/securews/ws/redial"
)

// accepts returns whether the module would dial ws:// at each of the hosts.
const accepts = `
import { connect } from "./dist/securews.js";
const dials = (host) => {
	try {
		connect({ url: "ws://" + host + "/ws", WebSocket: class {}, dangerouslyAllowLocalHTTP: true }).close();
		return true;
	} catch {
		return false;
	}
};
console.log(JSON.stringify(JSON.parse(process.argv[1]).map(dials)));`

// Without TLS both clients dial only this machine, with the same names: 127.0.0.0/8 and ::1
// (RFC 6890), and localhost, but no name below it, which a resolver would answer.
func TestPlaintextStaysOnThisMachine(t *testing.T) {
	hosts := []string{
		"localhost", "LOCALHOST:8080", "127.0.0.1", "127.255.0.9:1", "[::1]", "[0:0:0:0:0:0:0:1]:8080", "[::ffff:127.0.0.1]",
		"app.localhost", "localhost.", "localhost.example", "notlocalhost", "127.example", "127.0.0.1.example",
		"126.255.255.255", "128.0.0.1", "0.0.0.0", "10.0.0.1", "[::]", "[::2]", "[::ffff:10.0.0.1]", "[fe80::1]", "app.example",
	}
	const local = 7 // of them, the first
	arg := must(json.Marshal(hosts))(t)
	var module []bool
	if err := json.Unmarshal([]byte(run(t, "--input-type=module", "-e", accepts, string(arg))), &module); err != nil {
		t.Fatal(err)
	}
	for i, host := range hosts {
		_, err := redial.New(redial.Config{URL: fmt.Sprintf("ws://%s/ws", host), DangerouslyAllowLocalHTTP: true})
		if want := i < local; module[i] != want || (err == nil) != want {
			t.Errorf("%s: the module dials: %v; the Go client: %v; want %v", host, module[i], err, want)
		}
	}
}
