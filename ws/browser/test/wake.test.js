// Sleep, networks that come and go, pages that come back, and the heartbeat.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../dist/securews.js";
import { FakeSocket, fakeTime, settle, watch } from "./fake.js";

const open = (more = {}) => connect({ url: "wss://app.example/ws", WebSocket: FakeSocket, ...more });

// page makes this process look like a page, for the length of a test.
function page(t) {
  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  const navigator = { onLine: true };
  const given = {
    document, navigator,
    addEventListener: window.addEventListener.bind(window),
  };
  for (const [name, value] of Object.entries(given)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    t.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
  }
  return { window, document, navigator };
}

test("after a sleep the connection is taken for dead", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.answersClose = false; // the peer is gone
  await pass(60_000); // a hidden page's timers: no sleep
  assert.equal(client.state, "open");
  t.mock.timers.setTime(Date.now() + 3_600_000);
  await pass(10_000);
  await pass(250);
  assert.equal(FakeSocket.all.length, 2);
  FakeSocket.last.open();
  assert.equal(client.state, "open");
  await client.close();
});

test("online and visible end the wait; offline lengthens it", async (t) => {
  const pass = fakeTime(t);
  const { window, document, navigator } = page(t);
  const client = open();
  await settle();
  for (const [target, type] of [[window, "online"], [document, "visibilitychange"], [window, "pageshow"]]) {
    const dials = FakeSocket.all.length;
    navigator.onLine = false;
    FakeSocket.last.end(1006);
    await pass(29_000);
    assert.equal(FakeSocket.all.length, dials, "while offline");
    navigator.onLine = true;
    target.dispatchEvent(new Event(type));
    await pass(250);
    assert.equal(FakeSocket.all.length, dials + 1, type);
  }
  assert.equal(FakeSocket.most, 1);
  await client.close();
});

test("another network means another connection", async (t) => {
  const pass = fakeTime(t);
  const { window } = page(t);
  const client = open();
  await settle();
  FakeSocket.last.open();
  window.dispatchEvent(new Event("online"));
  await pass(250);
  assert.equal(FakeSocket.all.length, 2);
  await client.close();
});

test("a page that comes back keeps its connection", async (t) => {
  const pass = fakeTime(t);
  const { document } = page(t);
  const client = open();
  await settle();
  FakeSocket.last.open();
  document.dispatchEvent(new Event("visibilitychange"));
  await pass(1000);
  assert.equal(client.state, "open");
  assert.equal(FakeSocket.all.length, 1);
  await client.close();
});

test("a closed client hears nothing more", async (t) => {
  const pass = fakeTime(t);
  const { window } = page(t);
  const client = open();
  await client.close();
  window.dispatchEvent(new Event("online"));
  await pass(3_600_000);
  assert.equal(FakeSocket.all.length, 0);
});

test("the heartbeat: any message is an answer, silence is the end", async (t) => {
  const pass = fakeTime(t);
  const client = open({ heartbeat: { every: 20_000, timeout: 5_000, ping: () => "ping" } });
  await settle();
  FakeSocket.last.open();
  await pass(19_999);
  FakeSocket.last.receive("news");
  await pass(19_999);
  assert.deepEqual(FakeSocket.last.sent, []);
  await pass(1);
  assert.deepEqual(FakeSocket.last.sent, ["ping"]);
  FakeSocket.last.receive("pong");
  await pass(20_000);
  FakeSocket.last.answersClose = false;
  await pass(5_000);
  assert.deepEqual(FakeSocket.last.closedWith, { code: 3008, reason: "timeout" });
  await pass(250);
  assert.equal(FakeSocket.all.length, 2);
  await client.close();
});

test("a sleep in the wait: retry(), or the page that is back, ends it", async (t) => {
  for (const wake of [(client) => client.retry(), (_, document) => document.dispatchEvent(new Event("visibilitychange"))]) {
    const pass = fakeTime(t);
    const { document } = page(t);
    const client = open({ times: { spread: 60_000, longest: 60_000 } });
    await settle();
    FakeSocket.last.open();
    FakeSocket.last.end(1006);
    await settle();
    assert.equal(client.state, "waiting");
    const { now } = Date;
    t.mock.method(Date, "now", () => now() + 3_600_000); // timers stood still
    wake(client, document);
    await pass(250);
    assert.equal(FakeSocket.all.length, 2);
    await client.close();
    t.mock.restoreAll();
    t.mock.timers.reset();
  }
});

test("the delay that is told while offline is the one that passes", async (t) => {
  const pass = fakeTime(t);
  const { navigator } = page(t);
  const client = open();
  const seen = watch(client);
  await settle();
  navigator.onLine = false;
  FakeSocket.last.end(1006);
  await settle();
  assert.equal(seen.states.at(-1).delay, 30_000);
  await pass(29_999);
  assert.equal(FakeSocket.all.length, 1);
  await pass(1);
  assert.equal(FakeSocket.all.length, 2);
  await client.close();
});
