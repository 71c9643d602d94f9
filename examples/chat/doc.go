// Command chat is a complete application of the library: accounts, sessions, access
// tokens, a page, and rooms over WebSockets that end with the session that opened them.
//
//	go run ./examples/chat
//
// It requires only Go: certificate, accounts and passwords are created at start and exist
// until the process ends. The name in the corner of the page opens the list of the user's
// devices, each of which can be signed out. There the first account also gives and takes the role
// of a member.
//
// Behind a proxy of docs/deploy.md it serves HTTP/1.1 without TLS:
//
//	go run ./examples/chat -behind 127.0.0.1 -origin https://app.example
//
// With -state its sessions, passwords and keys outlast the process. The file has mode 0600, since
// passwords and keys are derived from its contents:
//
//	go run ./examples/chat -state chat.state
//
// Several nodes of one chat share a Redis or Valkey (docs/nodes.md), and a file from which each
// derives the same passwords and keys:
//
//	go run ./examples/chat -behind 127.0.0.1 -origin https://app.example -redis 127.0.0.1:6379 -secret chat.secret
//
// A message reaches the people in the room on all nodes. The list of people, the history of a
// room, and the connections in the list of devices are those of one node, and so is the sealed
// room: Redis would see its messages unsealed.
package main
