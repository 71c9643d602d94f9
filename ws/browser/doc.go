// Package browser is the client for pages: an ES module with a WebSocket that reconnects
// automatically, with a ticket for every attempt, and a second module that seals its
// messages. Both are built from src/ by a pinned toolchain (npm run build); the committed
// files are embedded here.
//
// The module behaves as package redial does, and uses its words: after an ending it retries,
// renews its credential once, or stops; a message is queued within bounds, sent once, and
// reported if it was not delivered or not confirmed. docs/clients.md has the rules of both
// clients, and the differences. The module has no dependencies and takes at most 6,000 bytes as
// gzip -9 counts.
//
// Mount the handler, and import a module in the page:
//
//	mux.Handle(browser.Root, browser.Handler())
//
//	import { connect } from "/securews/securews.js";
//	import { seal } from "/securews/seal.js";
//
// Browsers request that address again for each page, and get 304 until the module changes.
// [Module.Path] contains a hash of the content and may be cached for ever. [ImportMap] gives
// a page both modules by name, with such paths and with integrity values:
//
//	<script type="importmap" nonce="{{.Nonce}}">{{.ImportMap}}</script>
//	import { connect } from "securews";
//
// A Content-Security-Policy has to permit only the script and its connections: the modules
// use no eval, no inline code, no worker and no WebAssembly, and write no HTML.
package browser
