// What is refused before anything is dialled.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TicketError, connect, fetchTicket } from "../dist/securews.js";
import { FakeSocket, endless, fakeTime } from "./fake.js";

const refused = {
  "plain ws": { url: "ws://app.example/ws" },
  "plain ws to localhost, unless asked for": { url: "ws://localhost/ws" },
  "plain ws elsewhere, even if asked for": { url: "ws://app.example/ws", dangerouslyAllowLocalHTTP: true },
  "a host that only begins like localhost": { url: "ws://localhost.example/ws", dangerouslyAllowLocalHTTP: true },
  "a name below localhost": { url: "ws://app.localhost/ws", dangerouslyAllowLocalHTTP: true },
  "credentials in the address": { url: "wss://u:p@app.example/ws" },
  "a fragment": { url: "wss://app.example/ws#x" },
  "another scheme": { url: "ftp://app.example/ws" },
  "a relative address where there is no page": { url: "/ws" },
  "a ticket without a real subprotocol": { ticket: async () => "t" },
  "a ticket over plain http": { protocols: "chat", ticket: "http://app.example/ticket" },
  "a subprotocol that is no token": { protocols: "chat v1" },
  "a subprotocol twice": { protocols: ["chat", "chat"] },
  "a subprotocol that would be taken for a ticket": { protocols: ["ticket.x"] },
  "a time that is not above zero": { times: { first: 0 } },
  "an unknown option": { protocol: "chat" },
  "an unknown time": { times: { frist: 1 } },
  "a time as text": { times: { sleep: "90000" } },
  "a time that is a bigint": { times: { first: 5n } },
  "a hello that is not a function": { hello: "hello" },
  "a retry code of another kind": { retryCodes: [3000] },
  "a retry status that is no error": { retryStatuses: [302] },
  "a heartbeat whose ping is no function": { heartbeat: { ping: "ping" } },
  "an unknown time of a heartbeat": { heartbeat: { evry: 1000, ping: () => "ping" } },
};
for (const [name, options] of Object.entries(refused)) {
  test(`refused: ${name}`, () => {
    assert.throws(() => connect({ url: "wss://app.example/ws", WebSocket: FakeSocket, ...options }), TypeError);
  });
}

test("localhost may be dialled in the clear where that is asked for", async () => {
  for (const host of ["localhost:8080", "127.0.0.1", "127.255.0.9:80", "[::1]:1"]) {
    const client = connect({ url: `ws://${host}/ws`, WebSocket: FakeSocket, dangerouslyAllowLocalHTTP: true });
    await client.close();
  }
});

test("close() refuses codes that a browser may not send", async () => {
  const client = connect({ url: "wss://app.example/ws", WebSocket: FakeSocket });
  for (const code of [1001, 1008, 2999, 5000]) assert.throws(() => client.close(code), RangeError);
  await client.close();
});

const answer = (status, headers = {}, body = "{}") => async () => new Response(body, { status, headers });

test("fetchTicket posts, follows no redirect, and reads reason and Retry-After", async (t) => {
  let init;
  t.mock.method(globalThis, "fetch", async (_, i) => ((init = i), new Response('{"ticket":"t"}')));
  assert.deepEqual(await fetchTicket("https://app.example/ticket", { headers: { Authorization: "Bearer x" } }), { ticket: "t" });
  assert.deepEqual([init.method, init.redirect, init.cache], ["POST", "manual", "no-store"]);

  const rows = [
    [429, { "Retry-After": "7" }, '{"reason":"rate_limited"}', "rate_limited", 7000],
    [503, { "Retry-After": "999999999" }, "<html>", "", 300_000],
    [503, { "Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT" }, "{}", "", 0],
    [503, { "Retry-After": "-3" }, '{"reason":7}', "", 0],
    [401, {}, '{"reason":"no_credential"}', "no_credential", 0],
  ];
  for (const [status, headers, body, reason, retryAfter] of rows) {
    t.mock.method(globalThis, "fetch", answer(status, headers, body));
    await assert.rejects(fetchTicket("https://app.example/ticket"), { status, reason, retryAfter });
  }
});

test("fetchTicket reads 16 KiB of an answer, and lets go of what is longer", async (t) => {
  const padded = (size) => JSON.stringify({ ticket: "t" }).padEnd(size);
  t.mock.method(globalThis, "fetch", answer(200, {}, padded(16_384)));
  assert.deepEqual(await fetchTicket("https://app.example/ticket"), { ticket: "t" });
  t.mock.method(globalThis, "fetch", answer(200, {}, padded(16_385)));
  await assert.rejects(fetchTicket("https://app.example/ticket"), TicketError);

  const rows = [
    [200, { status: 502, reason: "malformed" }],
    [401, { status: 401, reason: "" }], // what it says counts, whatever it says more
    [503, { status: 503, reason: "", retryAfter: 7000 }],
  ];
  for (const [status, error] of rows) {
    const { read, answer } = endless(status);
    t.mock.method(globalThis, "fetch", async () => answer);
    await assert.rejects(fetchTicket("https://app.example/ticket"), error);
    assert.ok(read.cancelled && read.bytes < 20_000, `${status}: ${read.bytes} bytes read`);
  }
});

test("a refusal counts by its status, where its body does not come", async (t) => {
  const pass = fakeTime(t);
  for (const status of [401, 403, 429, 503]) {
    const stalled = new ReadableStream({ start: (to) => to.enqueue(new Uint8Array([123])) });
    t.mock.method(globalThis, "fetch", async () => new Response(stalled, { status, headers: { "Retry-After": "7" } }));
    const refused = assert.rejects(fetchTicket("https://app.example/ticket"), { status, reason: "", retryAfter: 7000 });
    await pass(1_000);
    await refused;
  }
});

test("a source's signal is aborted when its answer is no longer waited for", async (t) => {
  const pass = fakeTime(t);
  const signals = [];
  const client = connect({
    url: "wss://app.example/ws", WebSocket: FakeSocket, protocols: "chat",
    ticket: ({ signal }) => (signals.push(signal), new Promise(() => {})),
  });
  await pass(9_999);
  assert.equal(signals[0].aborted, false);
  await pass(1);
  assert.equal(signals[0].aborted, true);
  await pass(500);
  void client.close();
  await pass(0);
  assert.deepEqual([client.state, ...signals.map((s) => s.aborted)], ["closed", true, true]);
});
