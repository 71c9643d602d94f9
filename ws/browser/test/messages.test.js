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

test("no ping is sent after the server's close frame", async (t) => {
  const pass = fakeTime(t);
  for (const [due, send] of [[250, (client) => client.send("waits for a confirmation")], [25_000, () => {}]]) {
    const client = open();
    await settle();
    FakeSocket.last.serve();
    send(client);
    FakeSocket.last.readyState = 2; // the event follows when the server has closed
    await pass(due);
    assert.ok(!FakeSocket.last.frames.includes("ping"));
    FakeSocket.last.end(3000, "revoked");
    await client.closed;
  }
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

test("what a server has not confirmed when its connection ends is named", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  const seen = watch(client);
  client.send("queued");
  await settle();
  FakeSocket.last.serve();
  assert.deepEqual(FakeSocket.last.sent, ["queued"], "the limit shows that the client is served");
  client.send("one");
  await pass(250);
  assert.deepEqual(FakeSocket.last.frames, ["queued", "one", "ping"]);
  client.send("two");
  FakeSocket.last.answer();
  client.send("three");
  await pass(250);
  FakeSocket.last.end(1006);
  await settle();
  assert.deepEqual(seen.undelivered, [["two", "unconfirmed"], ["three", "unconfirmed"]]);
  await pass(4_000);
  FakeSocket.last.serve();
  client.send("four");
  await client.close(); // which the server answers
  assert.equal(seen.undelivered.length, 2);
});

test("a close frame of the server confirms nothing", async (t) => {
  fakeTime(t);
  const client = open();
  const seen = watch(client);
  await settle();
  FakeSocket.last.serve();
  client.send("one");
  FakeSocket.last.end(1012, "restart");
  await settle();
  assert.deepEqual(seen.undelivered, [["one", "unconfirmed"]]);
  await client.close();
});

test("messages that wait for their confirmation are bounded by the queue", async (t) => {
  const pass = fakeTime(t);
  const client = open({ queue: { messages: 2 } });
  await settle();
  FakeSocket.last.serve();
  assert.deepEqual([1, 2, 3].map((n) => client.send(`${n}`)), [true, true, false]);
  let room;
  client.room(1).then((is) => (room = is));
  await pass(250);
  assert.equal(room, undefined);
  FakeSocket.last.answer();
  await pass(50);
  assert.equal(room, true);
  const after = client.room(1 << 30);
  await client.close();
  assert.equal(await after, false);
});

test("the server's limit holds: for send(), and for what was queued before it was known", async (t) => {
  fakeTime(t);
  const client = open();
  const seen = watch(client);
  client.send("x".repeat(101));
  client.send("y");
  assert.equal(client.bufferedAmount, 102);
  await settle();
  FakeSocket.last.serve(100);
  assert.equal(client.send("z".repeat(101)), false);
  assert.equal(client.send("z".repeat(100)), true);
  assert.deepEqual(seen.undelivered.map(([data, why]) => [data[0], why]), [["x", "too_big"], ["z", "too_big"]]);
  assert.deepEqual(FakeSocket.last.sent.map((s) => s[0]), ["y", "z"]);
  assert.equal(client.bufferedAmount, 0);
  await client.close();
});

test("a message sent before the server has named its limit is named, too, and a hello is not", async (t) => {
  const pass = fakeTime(t);
  const client = open({ hello: () => "hello" });
  const seen = watch(client);
  client.send("queued");
  await settle();
  FakeSocket.last.open();
  await pass(100);
  assert.deepEqual(FakeSocket.last.sent, ["hello", "queued"]);
  FakeSocket.last.receive(`${FakeSocket.last.pulse} 65536`); // late
  client.send("after");
  await pass(250);
  assert.deepEqual(FakeSocket.last.frames, ["hello", "queued", "after", "ping"]);
  FakeSocket.last.end(1006);
  await settle();
  assert.deepEqual(seen.undelivered, [["queued", "unconfirmed"], ["after", "unconfirmed"]]);
  await client.close();
});

test("a connection that ends before anything shows which server it is names what was sent", async (t) => {
  fakeTime(t);
  const client = open();
  const seen = watch(client);
  await settle();
  FakeSocket.last.open();
  client.send("one");
  FakeSocket.last.end(1006);
  await settle();
  assert.deepEqual(seen.undelivered, [["one", "unconfirmed"]]);
  await client.close();
});

for (const [sign, show] of [["a message", () => FakeSocket.last.receive("welcome")], ["a second without a limit", (pass) => pass(1000)]]) {
  test(`${sign} shows that the server is another one: nothing is named, and nothing is remembered`, async (t) => {
    const pass = fakeTime(t);
    const client = open({ queue: { messages: 10 } });
    const seen = watch(client);
    await settle();
    FakeSocket.last.open();
    client.send("before");
    await show(pass);
    for (let n = 0; n < 100; n++) assert.equal(client.send(`${n}`), true);
    FakeSocket.last.end(1006);
    await settle();
    assert.deepEqual(seen.undelivered, []);
    await client.close();
  });
}

test("no message that a server passes on from an attacker is taken for an answer or a limit", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  const seen = watch(client);
  await settle();
  FakeSocket.last.serve(1000);
  client.send("one");
  await pass(250);
  const forged = [
    "\0", "\x001", "securews=1", "securews=1 1", "securews=12345678901234567890 1",
    new TextEncoder().encode(FakeSocket.last.pulse).buffer,
  ];
  forged.forEach((message) => FakeSocket.last.receive(message));
  assert.deepEqual(seen.messages, forged);
  assert.equal(client.send("x".repeat(1000)), true);
  FakeSocket.last.end(1006);
  await settle();
  assert.equal(seen.undelivered[0][0], "one");
  assert.equal(new Set(FakeSocket.all.map(({ pulse }) => pulse)).size, FakeSocket.all.length);
  await client.close();
});

test("the numbers of two connections differ", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  await settle();
  FakeSocket.last.serve();
  FakeSocket.last.end(1006);
  await pass(4_000);
  const [one, two] = FakeSocket.all.map(({ pulse }) => pulse);
  assert.notEqual(one, two);
  assert.match(two, /^securews=\d{8,40}$/); // as ws/pagepulse.go takes it
  FakeSocket.last.serve();
  FakeSocket.last.receive(one); // of a connection that has ended
  await client.close();
});

test("the limit of a server holds until the next one names its own", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  await settle();
  FakeSocket.last.serve(10);
  FakeSocket.last.end(1012, "restart");
  await pass(4_000);
  FakeSocket.last.open(); // an older server
  FakeSocket.last.receive("welcome");
  assert.equal(client.send("x".repeat(11)), true);
  await client.close();
});
