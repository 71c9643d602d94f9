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

test("a ticket answer without end is asked for again after a delay that doubles", async (t) => {
  fakeTime(t);
  const client = open({ protocols: "chat", ticket: "https://app.example/ticket" });
  const seen = watch(client);
  t.mock.method(globalThis, "fetch", async () => new Response("[".repeat(20_000)));
  const waiting = () => seen.states.filter((s) => s.state === "waiting");
  for (let n = 1; n <= 4; n++) {
    for (let i = 0; waiting().length < n && i < 1000; i++) await settle();
    const { ending, delay } = waiting().at(-1);
    assert.deepEqual([ending.status, ending.reason, delay], [502, "malformed", 125 * 2 ** n]);
    t.mock.timers.tick(delay);
  }
  await client.close();
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

// sealing is a layer that seals nothing, and fails as it is told.
const sealing = (faults) => ({
  offer: (protocols) => [...protocols],
  start(wire) {
    queueMicrotask(wire.ready);
    return { receive() {}, send() {}, finish: async () => {}, drained: async () => true, ...faults };
  },
});
const faults = {
  "never answers": () => new Promise(() => {}),
  rejects: async () => Promise.reject(new Error("of the layer")),
  throws: () => {
    throw new Error("of the layer");
  },
};
const ends = {
  "close() is called": { act: (client) => void client.close(4001, "bye"), after: "closed", with: { code: 4001, reason: "bye" } },
  "the server closes": { act: () => FakeSocket.last.end(1012, "restart"), after: "waiting" },
  "the server is silent": { act: (_, pass) => pass(1_000), after: "waiting", with: { code: 3008, reason: "timeout" } },
};
for (const [name, fault] of Object.entries(faults)) {
  for (const [when, { act, after, with: word }] of Object.entries(ends)) {
    test(`a sealing layer that ${name} holds up no end: ${when}`, async (t) => {
      for (const broken of [{ finish: fault }, { drained: fault }, { finish: fault, drained: fault }]) {
        for (const answersClose of [true, false]) {
          const pass = fakeTime(t);
          const heartbeat = { every: 500, timeout: 500, ping: () => "ping" };
          const client = open({ protocols: "chat", seal: sealing(broken), heartbeat, times: { spread: 1e6, longest: 1e6 } });
          await settle();
          const socket = FakeSocket.last;
          socket.answersClose = answersClose;
          socket.open();
          await settle();
          assert.equal(client.state, "open");
          await act(client, pass);
          await pass(2_000);
          assert.equal(client.state, after, JSON.stringify([Object.keys(broken), answersClose]));
          assert.ok(socket.readyState >= 2, "the socket is closed");
          assert.deepEqual(socket.closedWith, word);
          await client.close();
          t.mock.restoreAll();
          t.mock.timers.reset();
        }
      }
    });
  }
}

test("a handshake that never ends, in the sealing layer, does not hold up close()", async (t) => {
  const pass = fakeTime(t);
  const seal = { ...sealing(), start: () => ({ receive() {}, drained: () => new Promise(() => {}) }) };
  const client = open({ protocols: "chat", seal });
  await settle();
  FakeSocket.last.open();
  void client.close();
  await pass(2_000);
  assert.deepEqual([client.state, FakeSocket.last.readyState], ["closed", 3]);
});

const hellos = {
  "throws": () => {
    throw new TypeError("of the page");
  },
  "is an object": () => ({ join: "lobby" }),
  "is a number": () => 7,
  "is a promise": async () => "join",
  "is a list with a number in it": () => ["join", 7],
  "is a list of lists": () => [["join"]],
};
for (const [name, hello] of Object.entries(hellos)) {
  test(`a hello that ${name} is reported, and the connection goes on`, async (t) => {
    const pass = fakeTime(t);
    const reported = [];
    const { queueMicrotask } = globalThis;
    t.mock.method(globalThis, "queueMicrotask", (run) => queueMicrotask(() => {
      try {
        run();
      } catch (err) {
        reported.push(err.name);
      }
    }));
    const client = open({ hello });
    client.send("waits");
    await settle();
    FakeSocket.last.open();
    await pass(100);
    assert.deepEqual([client.state, FakeSocket.last.sent, reported], ["open", ["waits"], ["TypeError"]]);
    await client.close();
  });
}

test("send() throws for what is neither text nor bytes, and nothing changes", async (t) => {
  fakeTime(t);
  const client = open({ queue: { bytes: 10 } });
  for (const data of [7, null, {}, ["x"]]) assert.throws(() => client.send(data), TypeError);
  assert.equal(client.send("x".repeat(11)), false); // the bound still holds
  await client.close();
});

for (const [name, back] of [["an hour", 3_600_000], ["30 days", 30 * 86_400_000]]) {
  test(`a clock set back by ${name} makes of Retry-After neither a storm nor a standstill`, async (t) => {
    const pass = fakeTime(t);
    let asked = 0;
    const client = open({
      protocols: "chat",
      ticket: async () => {
        if (asked++ === 0) throw new TicketError(503, "", 10_000);
        return "t";
      },
    });
    const seen = watch(client);
    await settle();
    const { now } = Date;
    t.mock.method(Date, "now", () => now() - back);
    for (let s = 0; s < 600; s++) {
      client.retry();
      await pass(1_000);
      if (FakeSocket.last?.readyState === 0) FakeSocket.last.end(1006);
    }
    const longest = Math.max(...seen.states.map((s) => s.delay ?? 0));
    assert.ok(longest <= 300_000 + 30_000, `${longest} ms`);
    assert.ok(asked > 3, `asked ${asked} times in 10 minutes`);
    await client.close();
  });
}

test("an answer without a ticket in it is none", async (t) => {
  for (const answer of [{}, { ticket: "" }, { ticket: null }, { expires_in: 30 }, []]) {
    fakeTime(t);
    const client = open({ protocols: "chat", ticket: async () => answer });
    const seen = watch(client);
    await settle();
    assert.deepEqual([seen.states.at(-1).ending?.reason, FakeSocket.all.length], ["malformed", 0], JSON.stringify(answer));
    await client.close();
    t.mock.timers.reset();
  }
});

test("a message that the server would not accept is refused, and ends no connection", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  const seen = watch(client);
  await settle();
  FakeSocket.last.open();
  await pass(100);
  assert.equal(client.send("x".repeat(65_537)), false);
  assert.equal(client.send(new Uint8Array(65_536)), true);
  assert.deepEqual(seen.undelivered.map(([data, why]) => [data.length, why]), [[65_537, "too_big"]]);
  assert.equal(FakeSocket.last.sent.length, 1);
  await client.close();
});
