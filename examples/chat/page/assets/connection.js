// The page's one connection, with the library's module: it fetches a ticket for every attempt
// and reconnects automatically. There are two routes. Messages of the sealed room use only the
// second, and are encrypted before they leave this page.

import { connect } from "securews";
import { plain, Recorder } from "./wire.js";

const { subprotocol, audience } = document.body.dataset;

// A server that does not answer is noticed after 15 s: someone waits in front of this page.
const heartbeat = { every: 10_000, timeout: 5_000 };

// write returns the text of a message to send.
export function write(message) {
  const text = JSON.stringify(message);
  plain("out", text);
  return text;
}

// open resolves to a Client. hello returns the first message of every connection.
export async function open({ sealed, user, hello }) {
  const options = {
    protocols: subprotocol, heartbeat,
    WebSocket: Recorder,
    hello: () => write(hello()),
  };
  if (!sealed) return connect({ ...options, url: "/socket", ticket: "/ticket" });
  const { seal } = await import("securews/seal"); // loaded only for the sealed room
  return connect({
    ...options, url: "/sealed", ticket: "/ticket/sealed",
    // required, the default: a connection that is not sealed is closed.
    seal: seal({ audience, principal: user }),
  });
}
