// Both modules together, against a server of the test's own.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seal } from "../dist/seal.js";
import { connect } from "../dist/securews.js";
import { FakeSocket, endless, watch } from "./fake.js";
import { Peer, pinned, until } from "./peer.js";

const sealing = (more = {}) => seal({ audience: "chat.example", principal: "alice", keys: [pinned], ...more });

async function dial(t, more = {}, options = {}) {
  FakeSocket.reset();
  const client = connect({
    url: "wss://app.example/ws", protocols: "chat", WebSocket: FakeSocket, seal: sealing(more), ...options,
  });
  t.after(() => client.close());
  const seen = watch(client);
  await until(() => FakeSocket.last);
  return { client, seen, peer: new Peer() };
}

async function open(t, more, options) {
  const d = await dial(t, more, options);
  await d.peer.shake();
  await d.peer.ready();
  await until(() => d.client.state === "open");
  return d;
}

// ended waits for the one answer to whatever is wrong.
async function refused(client, socket) {
  const { code, reason, next } = await client.closed;
  assert.deepEqual([code, reason, next], [4008, "decrypt", "stop"]);
  assert.deepEqual(socket.closedWith, { code: 4008, reason: "decrypt" });
}

test("messages both ways, text and bytes, in order", async (t) => {
  const { client, seen, peer } = await open(t);
  assert.deepEqual([client.sealed, client.protocol], [true, "hpke1.chat"]);
  client.send("one");
  client.send(new Uint8Array([50]));
  client.send("");
  assert.deepEqual([await peer.read(), await peer.read(), await peer.read()], [[0x10, "one"], [0x11, "2"], [0x10, ""]]);
  // Both at once, but in their order: WebCrypto may be done with the second first.
  const records = await Promise.all([peer.seal(0x10, "wörld"), peer.seal(0x11, "x")]);
  records.forEach((record) => peer.send(record));
  await until(() => seen.messages.length === 2);
  assert.equal(seen.messages[0], "wörld");
  assert.deepEqual(new Uint8Array(seen.messages[1]), new Uint8Array([120]));
  for (const frame of peer.socket.sent) assert.ok(frame instanceof Uint8Array, "nothing goes out unsealed");
});

test("nothing is sent before the server has shown its key", async (t) => {
  const { client, peer } = await dial(t);
  client.send("waits");
  await peer.shake();
  assert.equal(client.state, "connecting");
  assert.equal(peer.socket.sent.length, 1);
  await peer.ready();
  assert.deepEqual(await peer.read(), [0x10, "waits"]);
});

test("the server changes its key", async (t) => {
  const { seen, peer } = await open(t);
  await peer.record(0x13, "");
  await peer.out.update();
  await peer.record(0x10, "next epoch");
  await until(() => seen.messages.length);
  assert.deepEqual(seen.messages, ["next epoch"]);
});

test("close() sends a close record, after everything before it", async (t) => {
  const { client, peer } = await open(t);
  client.send("last");
  const ended = client.close();
  assert.deepEqual([await peer.read(), await peer.read()], [[0x10, "last"], [0x14, ""]]);
  assert.equal((await ended).code, 1000);
});

test("an end without a close record is truncation", async (t) => {
  const { client, seen, peer } = await open(t);
  peer.socket.end(1000, "");
  await until(() => client.state === "waiting");
  const { code, reason, truncated } = seen.states.at(-1).ending;
  assert.deepEqual([code, reason, truncated], [1006, "truncated", true]);
});

test("an end with one is not, and what came before it is delivered", async (t) => {
  const { client, seen, peer } = await open(t);
  await peer.record(0x10, "last");
  await peer.record(0x14, "");
  peer.socket.end(1000, "");
  const { code, truncated } = await client.closed;
  assert.deepEqual([code, truncated, seen.messages], [1000, undefined, ["last"]]);
});

test("required: a server that selects the plain subprotocol is left", async (t) => {
  const { client, peer } = await dial(t);
  assert.deepEqual(peer.socket.protocols, ["hpke1.chat"]);
  peer.socket.open("chat");
  await client.closed;
  assert.deepEqual(peer.socket.sent, []);
});

test("dangerouslyOptional: sealed first, plain if the server selects that", async (t) => {
  const { client, peer, seen } = await dial(t, { policy: "dangerouslyOptional" });
  assert.deepEqual(peer.socket.protocols, ["hpke1.chat", "chat"]);
  peer.socket.open("chat");
  peer.socket.receive("hello");
  client.send("hi");
  assert.deepEqual([client.sealed, seen.messages, peer.socket.sent], [false, ["hello"], ["hi"]]);
});

const wrong = {
  "another audience": (p) => p.shake({ bound: { audience: "x" } }).then(() => p.ready()),
  "another origin": (p) => p.shake({ bound: { origin: "https://x.example" } }).then(() => p.ready()),
  "another principal": (p) => p.shake({ bound: { principal: "bob" } }).then(() => p.ready()),
  "no known key": (p) => p.shake({ offers: [new Uint8Array(8)] }),
  "a text hello": (p) => (p.socket.open("hpke1.chat"), p.socket.receive("hello")),
  "a broken hello": (p) => (p.socket.open("hpke1.chat"), p.send(new Uint8Array(37))),
  "a message before ready": (p) => p.shake().then(() => p.record(0x10, "early")),
  "a ready without a cid": (p) => p.shake().then(() => p.record(0x12, '{"t":"ready"}')),
  "another first control": (p) => p.shake().then(() => p.record(0x12, '{"t":"go","cid":"C"}')),
};
for (const [name, act] of Object.entries(wrong)) {
  test(`handshake: ${name}`, async (t) => {
    const { client, peer } = await dial(t);
    void Promise.resolve(act(peer)).catch(() => {});
    await refused(client, peer.socket);
  });
}

const attacks = {
  "plain text": (p) => p.socket.receive("psst"),
  "a second ready": (p) => p.ready(),
  "an unknown type": (p) => p.record(0x15, ""),
  "a key update with a payload": (p) => p.record(0x13, "x"),
  "a close record with a payload": (p) => p.record(0x14, "x"),
  "a message after the close record": (p) => p.record(0x14, "").then(() => p.record(0x10, "x")),
  "text that is not UTF-8": async (p) => p.send(await p.out.seal(0x10, new Uint8Array([0xff]))),
  "a record left out": async (p) => (await p.out.seal(0x10, new Uint8Array()), await p.record(0x10, "x")),
  "a record twice": async (p) => {
    const r = await p.out.seal(0x10, new Uint8Array([65]));
    p.send(r), p.send(r);
  },
  "two records swapped": async (p) => {
    const [a, b] = [await p.out.seal(0x10, new Uint8Array([65])), await p.out.seal(0x10, new Uint8Array([66]))];
    p.send(b), p.send(a);
  },
  "the client's own record": async (p, client) => (client.send("x"), p.send(await p.frame())),
  "text made bytes": async (p) => {
    const r = await p.out.seal(0x10, new Uint8Array([65]));
    r[0] = 0x11;
    p.send(r);
  },
  "a flipped bit": async (p) => {
    const r = await p.out.seal(0x10, new Uint8Array([65]));
    r[5] ^= 1;
    p.send(r);
  },
};
for (const [name, act] of Object.entries(attacks)) {
  test(`attack: ${name}`, async (t) => {
    const { client, peer, seen } = await open(t);
    await act(peer, client);
    await refused(client, peer.socket);
    assert.ok(seen.messages.length <= 1);
  });
}

test("keys of a directory are fetched, kept, and fetched again for a new one", async (t) => {
  let fetched = 0;
  const { publicKey, toBase64url, suiteOf } = (await import("./internals.js")).internals;
  const key = await publicKey(suiteOf(0x20), pinned.pk, 0);
  const entry = { kem: 0x20, kid: toBase64url(key.kid), pk: toBase64url(key.pk), not_after: 4102444800 };
  t.mock.method(globalThis, "fetch", async (url, init) => {
    assert.equal(url, "https://app.example/.well-known/wss-keys");
    assert.equal(init.redirect, "error");
    return new Response(JSON.stringify({ keys: ++fetched === 1 ? [] : [entry] }));
  });
  await open(t, { keys: undefined });
  assert.equal(fetched, 2);
});

test("a directory that cannot be reached, or has no end, is no reason to stop", async (t) => {
  const long = endless(200);
  for (const answer of [new Response("", { status: 503 }), long.answer]) {
    t.mock.method(globalThis, "fetch", async () => answer);
    const { client, peer, seen } = await dial(t, { keys: undefined });
    void peer.shake().catch(() => {});
    await until(() => client.state === "waiting");
    assert.equal(seen.states.at(-1).ending.code, 1006);
  }
  assert.ok(long.read.cancelled && long.read.bytes < 70_000, `${long.read.bytes} bytes read`);
});

test("a directory that hangs is left after 10 s, and asked again", async (t) => {
  const waits = [];
  t.mock.method(AbortSignal, "timeout", (ms) => {
    const stop = new AbortController();
    waits.push({ ms, stop });
    return stop.signal;
  });
  let asked = 0;
  t.mock.method(globalThis, "fetch", (_, { signal }) => {
    asked++;
    return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  });
  const { client, peer } = await dial(t, { keys: undefined }, { times: { first: 1 } });
  peer.socket.open("hpke1.chat");
  peer.send(new Uint8Array(51));
  assert.equal(asked, 1);
  assert.deepEqual(waits.map(({ ms }) => ms), [10_000]);
  waits[0].stop.abort();
  await until(() => FakeSocket.all.length === 2);
  FakeSocket.last.open("hpke1.chat");
  assert.deepEqual([client.state, asked], ["connecting", 2]);
});

test("keys are fetched again for a new one, though the clock was set back", async () => {
  const { Directory } = (await import("./internals.js")).internals;
  const { fetch } = globalThis;
  const { now } = Date;
  let asked = 0;
  try {
    globalThis.fetch = async () => (asked++, new Response('{"keys":[]}'));
    const directory = new Directory("https://app.example/keys");
    await directory.keys(600_000);
    Date.now = () => now() - 3_600_000;
    await directory.keys(0);
    assert.equal(asked, 2);
  } finally {
    Object.assign(globalThis, { fetch });
    Date.now = now;
  }
});

test("after the server's close record nothing is sent: it waits for the next connection", async (t) => {
  const { client, seen, peer } = await open(t, {}, { times: { close: 200, first: 1, spread: 1 } });
  await peer.record(0x14, "");
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(client.send("later"), true);
  await until(() => FakeSocket.last !== peer.socket);
  assert.equal(seen.states.at(-2).ending.code, 1006);
  assert.deepEqual([peer.socket.sent.length, peer.socket.readyState], [1, 3]);
  const next = new Peer();
  await next.shake();
  await next.ready();
  assert.deepEqual(await next.read(), [0x10, "later"]);
});

test("no record and no hello is sent after the server's close frame", async (t) => {
  const shaken = await open(t);
  shaken.client.send("is being sealed");
  const dialled = await dial(t);
  const hello = dialled.peer.shake();
  for (const { peer } of [shaken, dialled]) peer.socket.readyState = 2;
  await new Promise((resolve) => setTimeout(resolve, 50)); // for WebCrypto
  for (const { peer } of [shaken, dialled]) peer.socket.end(3000, "revoked");
  await assert.rejects(hello, /ended without another frame/);
});

test("what waits to be sealed counts: no more than queue.bytes is taken", async (t) => {
  const { client, seen, peer } = await open(t, {}, { outgoing: 256 << 10 });
  const message = new Uint8Array(256 << 10);
  assert.deepEqual([1, 2, 3, 4, 5].map(() => client.send(message)), [true, true, true, true, false]);
  assert.equal(seen.undelivered[0][1], "full");
  await until(() => peer.socket.sent.length === 5);
  await until(() => client.send(message)); // there is room again
});

test("a broken record while the renewal dials ends the client", async (t) => {
  const ticket = async () => ({ ticket: "t", refresh_after: 0.01 });
  const { client, peer } = await open(t, {}, { ticket, times: { stable: 20 } });
  const second = await until(() => FakeSocket.last !== peer.socket && FakeSocket.last);
  peer.socket.answersClose = false;
  peer.send(new Uint8Array(18));
  await until(() => peer.socket.closedWith);
  assert.ok(second.closedWith, "it does not take the place of the first");
  await refused(client, peer.socket);
});

test("nothing follows the close record: a hello that closes is not sent after it", async (t) => {
  const { client, peer } = await dial(t, {}, { hello: () => (void client.close(), "hello") });
  await peer.shake();
  await peer.ready();
  assert.deepEqual(await peer.read(), [0x14, ""]);
  await client.closed;
  assert.equal(peer.socket.sent.length, 2);
});

test("mistakes in the options are refused", () => {
  const bad = [{ audience: "" }, { keys: [] }, { keys: [{ suite: "RSA", pk: "" }] }, { keys: [{ suite: "X25519", pk: "AAAA" }] },
    { psk: new Uint8Array(31) }, { suites: ["RSA"] }, { policy: "optional" },
    { audience: 5 }, { keys: null }, { keys: "" }, { keys: {} }, { keys: [{ suite: "X25519", pk: 32 }] },
    { keys: [{ suite: "X25519", pk: new Uint16Array(32) }] }, { psk: "0".repeat(32) }, { psk: 32 }, { psk: null },
    { psk: new Uint16Array(32) }, { psk: new DataView(new ArrayBuffer(32)) }, { suites: [] }, { suites: "X25519" },
    { principal: 5 }, { principal: null }, { origin: 5 }, { directory: 5, keys: undefined },
    { directory: "ftp://keys.example", keys: undefined }, { directory: "http://keys.example", keys: undefined },
    { directory: "https://u:p@keys.example", keys: undefined }, { dangerouslyAllowLocalHTTP: "no" },
    { key: [pinned] }, { Audience: "chat.example" }, { toString: "x" }];
  for (const more of bad) assert.throws(() => sealing(more), TypeError, JSON.stringify(more));
  assert.throws(() => connect({ url: "wss://app.example/ws", WebSocket: FakeSocket, seal: sealing() }), TypeError);
});
