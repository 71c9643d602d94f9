// What is sent and what arrives: in order, once, or reported.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../dist/securews.js";
import { FakeSocket, fakeTime, settle, watch } from "./fake.js";

const open = (more = {}) => connect({ url: "wss://app.example/ws", WebSocket: FakeSocket, ...more });

test("what is sent while there is no connection follows the hello, in order, once", async (t) => {
  const pass = fakeTime(t);
  const client = open({ hello: () => ["join"] });
  client.send("one");
  await settle();
  client.send("two");
  FakeSocket.last.open();
  client.send("three");
  assert.deepEqual(FakeSocket.last.sent, ["join"]);
  await pass(100);
  assert.deepEqual(FakeSocket.last.sent, ["join", "one", "two", "three"]);
  client.send("at once");
  assert.equal(FakeSocket.last.sent.at(-1), "at once");
  FakeSocket.last.readyState = 2; // a close frame has come, the event has not
  client.send("four");
  FakeSocket.last.end(1012, "restart");
  client.send("five");
  await pass(4000);
  FakeSocket.last.open();
  FakeSocket.last.receive("welcome"); // a refusal sends none
  assert.deepEqual(FakeSocket.last.sent, ["join", "four", "five"]);
  await client.close();
});

test("a connection that opens only to say why it is refused takes nothing from the queue", async (t) => {
  const pass = fakeTime(t);
  const client = open({ protocols: "chat", ticket: async () => "t" });
  const seen = watch(client);
  client.send("one");
  await settle();
  for (let i = 0; i < 2; i++) {
    FakeSocket.last.open();
    FakeSocket.last.end(3000, "reauth");
    await pass(500);
  }
  assert.deepEqual(FakeSocket.all.flatMap((s) => s.sent), []);
  assert.deepEqual(seen.undelivered, [["one", "closed"]]);
});

test("bytes are those of the moment of send()", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  const bytes = new Uint8Array([1, 2, 3]);
  client.send(bytes.subarray(1));
  bytes.fill(9);
  await settle();
  FakeSocket.last.open();
  await pass(100);
  assert.deepEqual([...FakeSocket.last.sent[0]], [2, 3]);
  await client.close();
});

test("what does not fit is refused and reported", async (t) => {
  fakeTime(t);
  const client = open({ queue: { messages: 2, bytes: 10 } });
  const seen = watch(client);
  assert.equal(client.send("12345"), true);
  assert.equal(client.send("123456"), false); // bytes
  assert.equal(client.send("1"), true);
  assert.equal(client.send("2"), false); // messages
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.receive("welcome");
  FakeSocket.last.bufferedAmount = 8;
  assert.equal(client.send("123"), false);
  assert.deepEqual(seen.undelivered, [["123456", "full"], ["2", "full"], ["123", "full"]]);
  await client.close();
});

test("what still waits when the client ends is reported, in order", async (t) => {
  fakeTime(t);
  const client = open();
  const seen = watch(client);
  await settle();
  client.send("one");
  client.send("two");
  FakeSocket.last.end(3003, "forbidden");
  await client.closed;
  assert.equal(client.send("three"), false);
  assert.deepEqual(seen.undelivered, [["one", "closed"], ["two", "closed"], ["three", "closed"]]);
});

test("messages go to listeners and iterators alike, in order, across connections", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  const seen = watch(client);
  const iterated = (async () => {
    const got = [];
    for await (const m of client) got.push(m);
    return got;
  })();
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.receive("a");
  FakeSocket.last.receive("b");
  const old = FakeSocket.last;
  old.end(1006);
  await pass(4000);
  FakeSocket.last.open();
  old.receive("a ghost");
  FakeSocket.last.receive("c");
  await client.close();
  assert.deepEqual(await iterated, ["a", "b", "c"]);
  assert.deepEqual(seen.messages, ["a", "b", "c"]);
});

test("an iterator ends with an error where the client could not go on", async (t) => {
  fakeTime(t);
  const client = open();
  const messages = client[Symbol.asyncIterator]();
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.receive("last words");
  FakeSocket.last.end(3000, "revoked");
  assert.deepEqual(await messages.next(), { value: "last words", done: false });
  await assert.rejects(messages.next(), /3000 revoked/);
  assert.equal((await messages.next()).done, true);
});

test("an unread iterator is bounded, and the others continue", async (t) => {
  fakeTime(t);
  const client = open({ inbox: 2 });
  const idle = client[Symbol.asyncIterator]();
  const seen = watch(client);
  await settle();
  FakeSocket.last.open();
  for (const m of ["a", "b", "c", "d"]) FakeSocket.last.receive(m);
  assert.equal((await idle.next()).value, "a");
  assert.equal((await idle.next()).value, "b");
  await assert.rejects(idle.next(), /behind/);
  assert.deepEqual(seen.messages, ["a", "b", "c", "d"]);
  await client.close();
});

test("leaving the loop leaves the client open", async (t) => {
  fakeTime(t);
  const client = open();
  const first = (async () => {
    for await (const m of client) return m;
  })();
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.receive("a");
  assert.equal(await first, "a");
  assert.equal(client.state, "open");
  await client.close();
});

test("send() between the end of a connection and the news of it waits for the next", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.end(1006);
  const sent = [];
  for (let i = 0; i < 12; i++) {
    await undefined;
    assert.deepEqual([client.protocol, client.sealed], ["", false]);
    assert.equal(client.send(`${i}`), true);
    sent.push(`${i}`);
  }
  await pass(4_000);
  FakeSocket.last.open();
  await pass(100);
  assert.deepEqual(FakeSocket.last.sent, sent);
  await client.close();
});

test("what is sent inside hello() follows it, on a renewal, too", async (t) => {
  const pass = fakeTime(t);
  const client = open({
    protocols: "chat",
    ticket: async () => ({ ticket: "t", refresh_after: 100 }),
    hello: () => (client.send("later"), "hello"),
  });
  await settle();
  FakeSocket.last.open();
  await pass(95_000);
  FakeSocket.last.open();
  await pass(100);
  assert.deepEqual(FakeSocket.all.map((s) => s.sent), [["hello", "later"], ["hello", "later"]]);
  await client.close();
});
