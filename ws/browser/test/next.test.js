// The reaction to an ending, without a connection: the tables and paragraphs of docs/clients.md,
// "When a connection ends", with the documented defaults.

import assert from "node:assert/strict";
import { test } from "node:test";
import { internals } from "./internals.js";

const times = { first: 500, longest: 30_000, spread: 8_000 };
const opened = { opened: true };
const refused = { opened: false }; // a failed handshake, or a refused one

const rows = {
  "a failed dial": { how: { next: "retry" }, end: refused, window: 500, then: { failures: 1 } },
  "the second": { past: { failures: 1 }, how: { next: "retry" }, end: refused, window: 1_000, then: { failures: 2 } },
  "the seventh": { past: { failures: 6 }, how: { next: "retry" }, end: refused, window: 30_000, then: { failures: 7 } },
  "a ticket route that is down": { how: { next: "retry", status: 503 }, window: 500, then: { failures: 1 } },
  "an open connection was lost": { how: { next: "retry" }, end: opened, window: 8_000, then: { failures: 5 } },
  "one was cut by this client": { how: { next: "retry" }, end: { opened: true, cut: true }, window: 500, then: { failures: 1 } },
  "lost after many failures": { past: { failures: 8 }, how: { next: "retry" }, end: opened, window: 30_000, then: { failures: 9 } },
  "signed out": { how: { next: "sign-in" }, end: opened, window: 0, then: { failures: 0 } },
  "not allowed": { how: { next: "stop" }, end: opened, window: 0, then: { failures: 0 } },
  "a credential has ended": {
    past: { failures: 3 }, how: { next: "renew" }, end: opened,
    window: 500, then: { failures: 3, refused: true, renew: true },
  },
  "and the next, which was not accepted": {
    past: { failures: 0, refused: true, renew: false }, how: { next: "renew" }, end: opened,
    window: 0, then: { failures: 0, refused: true, renew: true },
  },
  "a 401 with Retry-After": {
    how: { next: "renew", status: 401 }, window: 500, then: { failures: 1, refused: true, renew: true },
  },
  "a 401 with Retry-After, again": {
    past: { failures: 1, refused: true, renew: true }, how: { next: "renew", status: 401 },
    window: 1_000, then: { failures: 2, refused: true, renew: true },
  },
  "a refused handshake after it, without tickets": {
    past: { failures: 0, refused: true, renew: true }, how: { next: "retry" }, end: refused,
    window: 0, then: { failures: 0, refused: true, renew: true },
  },
  "a ticket route that is down after it": {
    past: { failures: 0, refused: true, renew: true }, how: { next: "retry", status: 503 },
    window: 500, then: { failures: 1, refused: true, renew: true },
  },
};

for (const [name, { past = { failures: 0 }, how, end, window, then }] of Object.entries(rows)) {
  test(`${name}: ${window ? `within ${window} ms` : "stop"}`, () => {
    const history = { ...past };
    assert.equal(internals.follow(history, how, end, times), window);
    assert.deepEqual({ renew: false, refused: false, ...history }, { renew: false, refused: false, ...then });
  });
}
