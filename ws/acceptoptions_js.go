package ws

import "github.com/coder/websocket"

// acceptOptions lets the package build within a browser, where redial is of use and a server is
// not: coder refuses every upgrade there.
var acceptOptions = &websocket.AcceptOptions{InsecureSkipVerify: true}
