// What a server or a mistaken caller says does not become a storm or a lost connection.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TicketError, connect } from "../dist/securews.js";
import { FakeSocket, fakeTime, settle, watch } from "./fake.js";

const url = "wss://app.example/ws";
const open = (more = {}) => connect({ url, WebSocket: FakeSocket, ...more });

test("a source's Retry-After is believed up to 5 minutes, and does not overflow a timer", async (t) => {
  for (const retryAfter of [2 ** 31, 1e15, Infinity]) {
    fakeTime(t);
    const client = open({
      protocols: "chat",
      ticket: async () => {
        throw new TicketError(429, "rate_limited", retryAfter);
      },
    });
    const seen = watch(client);
    await settle();
    assert.equal(seen.states.at(-1).state, "waiting");
    assert.ok(seen.states.at(-1).delay <= 300_000 + 30_000, `${retryAfter}: ${seen.states.at(-1).delay}`);
    await client.close();
    t.mock.timers.reset();
  }
});

test("a reason that does not fit a close frame is refused, and the client lives", async (t) => {
  fakeTime(t);
  const client = open();
  await settle();
  FakeSocket.last.open();
  for (const reason of ["x".repeat(124), "\u20ac".repeat(42)]) {
    assert.throws(() => client.close(4000, reason), RangeError);
  }
  assert.throws(() => client.close(3000.5), RangeError);
  assert.equal(client.state, "open");
  await client.close(4000, "x".repeat(123));
});

test("a renewal waits until its connection is stable, whatever the server says", async (t) => {
  const pass = fakeTime(t);
  const client = open({ protocols: "chat", ticket: async () => ({ ticket: "t", refresh_after: 0.1 }) });
  await settle();
  FakeSocket.last.open();
  for (let i = 0; i < 18; i++) {
    await pass(500);
    if (FakeSocket.last.readyState === 0) FakeSocket.last.open();
  }
  assert.equal(FakeSocket.all.length, 1);
  await client.close();
});
