// Package browser is the client for pages: an ES module that opens a WebSocket which
// comes back by itself, with a ticket for every attempt, and a second one that seals what
// it carries. Both are built from src/ by a pinned toolchain (npm run build) and are
// embedded here as they are committed, with their types beside them.
//
// Mount the handler, and let the page import what it serves:
//
//	mux.Handle(browser.Root, browser.Handler())
//
//	import { connect } from "/securews/securews.js";
//	import { seal } from "/securews/seal.js";
//
// That address is asked again for each page, and answered with 304 until the module
// changes. [Module.Path] is the one that holds a hash of the content and may be kept for
// ever; [ImportMap] gives a page both modules by name, under such paths and with
// integrity values:
//
//	<script type="importmap" nonce="{{.Nonce}}">{{.ImportMap}}</script>
//	import { connect } from "securews";
//
// The modules need nothing of a Content-Security-Policy but to be let run, and to connect:
// no eval, no inline code, no worker, no WebAssembly; they write no HTML.
package browser
