// Sleep, networks that come and go, pages that come back, and the heartbeat.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../dist/securews.js";
import { FakeSocket, fakeTime, settle, watch } from "./fake.js";

const open = (more = {}) => connect({ url: "wss://app.example/ws", WebSocket: FakeSocket, ...more });

// page makes this process look like a page, for the length of a test.
function page(t) {
  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), { hidden: false });
  const navigator = { onLine: true };
  const location = { host: "page.example" };
  const given = {
    document, navigator, location,
    addEventListener: window.addEventListener.bind(window),
  };
  for (const [name, value] of Object.entries(given)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    t.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
  }
  return { window, document, navigator, location };
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

// A browser may report an end only after the page is back: Chromium ends the connection of a page that it freezes.
test("a wake brings the attempt after the next end forward, once, unless that end is long after", async (t) => {
  for (const { what, serves, later, delays } of [
    { what: "an open connection ends", serves: true, later: 9_000, delays: [0, 15_840] },
    { what: "an open connection ends long after", serves: true, later: 11_000, delays: [7_920, 15_840] },
    { what: "an attempt fails", later: 9_000, delays: [0, 990] },
    { what: "an attempt fails long after", later: 11_000, delays: [495, 990] },
  ]) {
    for (const type of ["online", "pageshow", "visibilitychange"]) {
      const pass = fakeTime(t, 0.99);
      const { window, document } = page(t);
      const client = open({ times: { stable: 60_000, connect: 60_000 }, heartbeat: { timeout: 60_000 } });
      const seen = watch(client);
      await settle();
      if (serves) FakeSocket.last.serve();
      (type === "visibilitychange" ? document : window).dispatchEvent(new Event(type));
      await pass(later);
      for (const delay of delays) {
        FakeSocket.last.end(1006);
        await settle();
        const waited = seen.states.findLast(({ state }) => state === "waiting").delay;
        assert.equal(Math.round(waited), delay, `${what}: ${type}`);
        await pass(delay + 1);
      }
      await client.close();
      t.mock.restoreAll();
      t.mock.timers.reset();
    }
  }
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
  await pass(17_999);
  FakeSocket.last.receive("news");
  await pass(17_999);
  assert.deepEqual(FakeSocket.last.sent, []);
  await pass(1);
  assert.deepEqual(FakeSocket.last.sent, ["ping"]);
  FakeSocket.last.receive("pong");
  await pass(18_000);
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

test("by default a server of this module is asked after 20 to 25 s of silence, and a dead path is noticed within 35 s", async (t) => {
  const pass = fakeTime(t, 0); // no jitter
  const client = open();
  const seen = watch(client);
  await settle();
  assert.match(FakeSocket.last.url, /\?securews=\d{10,}$/);
  FakeSocket.last.serve();
  await pass(25_000);
  assert.deepEqual(FakeSocket.last.frames, ["ping"]);
  FakeSocket.last.answer();
  FakeSocket.last.answersClose = false;
  await pass(25_000);
  assert.deepEqual(FakeSocket.last.frames, ["ping", "ping"]);
  await pass(9_999);
  assert.equal(client.state, "open");
  await pass(1);
  assert.deepEqual(FakeSocket.all[0].closedWith, { code: 3008, reason: "timeout" });
  await settle();
  assert.equal(client.state === "open", false);
  assert.deepEqual(seen.messages, []);
  await client.close();
});

test("another server is sent no ping and the page goes on", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.receive("hello");
  FakeSocket.last.receive("securews=1 of the application");
  await pass(300_000);
  assert.deepEqual([FakeSocket.last.sent, client.state], [[], "open"]);
  await client.close();
});

test("a page that is put aside closes its connection, and dials when it is shown again", async (t) => {
  const pass = fakeTime(t);
  const { window } = page(t);
  const client = open();
  const seen = watch(client);
  await settle();
  FakeSocket.last.serve();
  window.dispatchEvent(new Event("pagehide"));
  assert.deepEqual(FakeSocket.last.closedWith, { code: 1000, reason: "pagehide" });
  await pass(29_000);
  assert.deepEqual([FakeSocket.all.length, seen.states.at(-1).state], [1, "waiting"]);
  window.dispatchEvent(new Event("pageshow"));
  await pass(250);
  FakeSocket.last.serve();
  assert.deepEqual([FakeSocket.all.length, client.state], [2, "open"]);
  await client.close();
});

test("a dead path is noticed within 35 s even if the page sends all the time", async (t) => {
  const pass = fakeTime(t, 0);
  const client = open();
  await settle();
  FakeSocket.last.serve();
  FakeSocket.last.answersClose = false;
  for (let s = 0; s < 35; s++) {
    client.send(`${s}`);
    await pass(1000);
  }
  assert.deepEqual(FakeSocket.all[0].closedWith, { code: 3008, reason: "timeout" });
  await client.close();
});

test("messages of a server that reads nothing show that the path is alive", async (t) => {
  const pass = fakeTime(t, 0);
  const client = open();
  await settle();
  FakeSocket.last.serve();
  client.send("never read");
  for (let s = 0; s < 60; s++) {
    await pass(1000);
    FakeSocket.last.receive("news");
  }
  assert.deepEqual([client.state, FakeSocket.last.frames], ["open", ["never read", "ping"]]);
  await client.close();
});

test("an attempt that fails without permission for the local network says so, and the client comes back", async (t) => {
  const pass = fakeTime(t);
  const { navigator, location } = page(t);
  const asked = [];
  navigator.permissions = { query: async ({ name }) => (asked.push(name), { state: "denied" }) };
  const client = open();
  const seen = watch(client);
  await settle();
  FakeSocket.last.end(1006);
  await settle();
  const { code, reason, next } = seen.states.at(-1).ending;
  assert.deepEqual([code, reason, next], [1006, "local_network", "retry"]);
  assert.deepEqual(asked, ["local-network-access"]);
  await pass(500);
  FakeSocket.last.serve();
  FakeSocket.last.end(1006); // an open connection that is lost was not blocked
  await settle();
  assert.equal(seen.states.at(-1).ending.reason, "");
  const { permissions: denied } = navigator;
  for (const [host, permissions] of [
    ["app.example", denied],
    ["page.example", undefined],
    ["page.example", { query: async () => ({ state: "granted" }) }],
    ["page.example", { query: async () => { throw new TypeError("unknown"); } }],
  ]) {
    Object.assign(navigator, { permissions });
    location.host = host;
    const dials = FakeSocket.all.length;
    while (FakeSocket.all.length === dials) await pass(1000);
    FakeSocket.last.end(1006);
    await settle();
    assert.equal(seen.states.at(-1).ending.reason, "");
  }
  await client.close();
});
