// When the client comes back, when it stops, and how long it waits.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TicketError, connect } from "../dist/securews.js";
import { FakeSocket, fakeTime, settle, watch } from "./fake.js";

const url = "wss://app.example/ws";
const open = (more = {}) => connect({ url, WebSocket: FakeSocket, ...more });
const delays = (seen) => seen.states.filter((s) => s.state === "waiting").map((s) => s.delay);

test("the delay's bound doubles from 0.5 s to 30 s, and all of it is jitter", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  const seen = watch(client);
  await settle();
  for (let i = 0; i < 9; i++) {
    FakeSocket.last.end(1006);
    await settle();
    await pass(delays(seen).at(-1));
  }
  assert.deepEqual(delays(seen), [250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
  assert.equal(FakeSocket.most, 1);
});

test("after a lost connection the bound starts at 8 s: all clients may have lost theirs", async (t) => {
  for (const code of [1001, 1006, 1011, 1012, 1013, 3008]) {
    const pass = fakeTime(t);
    const client = open();
    const seen = watch(client);
    await settle();
    FakeSocket.last.open();
    FakeSocket.last.end(code, "");
    await pass(4_000);
    FakeSocket.last.end(1006);
    await pass(8_000);
    assert.deepEqual(delays(seen), [4_000, 8_000]);
    await client.close();
    t.mock.restoreAll();
    t.mock.timers.reset();
  }
});

test("clients that lose a server come back spread: no second has a fifth of them", async (t) => {
  const seconds = Array(8).fill(0);
  for (let i = 0; i < 800; i++) {
    const pass = fakeTime(t, (i + 0.5) / 800);
    const client = open();
    const seen = watch(client);
    await settle();
    FakeSocket.last.open();
    FakeSocket.last.end(1012, "restart");
    await settle();
    seconds[Math.floor(delays(seen)[0] / 1000)]++;
    const closed = client.close();
    await pass(0);
    await closed;
    t.mock.restoreAll();
    t.mock.timers.reset();
  }
  assert.ok(Math.max(...seconds) < 160, seconds.join(" "));
});

test("an attempt is a success once it has lived for 10 s", async (t) => {
  const pass = fakeTime(t);
  const seen = watch(open());
  await settle();
  for (const lived of [9_999, 9_999, 10_000, 0]) {
    FakeSocket.last.open();
    await pass(lived);
    FakeSocket.last.end(1006);
    await settle();
    await pass(delays(seen).at(-1));
  }
  assert.deepEqual(delays(seen), [4_000, 8_000, 4_000, 8_000]);
});

const cases = [
  [1000, "", "stop"], [1001, "", "retry"], [1002, "protocol", "stop"], [1003, "read_only", "stop"],
  [1005, "", "stop"], [1006, "", "retry"], [1007, "utf8", "stop"], [1008, "rate", "stop"],
  [1008, "decrypt", "stop"], [1009, "too_big", "stop"], [1011, "internal", "retry"], [1012, "restart", "retry"],
  [1013, "slow", "retry"], [1013, "later", "retry"], [1014, "", "retry"], [3000, "expired", "renew"], [3000, "reauth", "renew"],
  [3000, "revoked", "sign-in"], [3000, "something", "sign-in"], [3003, "forbidden", "stop"],
  [3008, "idle", "retry"], [3008, "timeout", "retry"], [4000, "", "stop"], [4999, "app", "stop"],
];
for (const [code, reason, next] of cases) {
  test(`${code} ${reason}: ${next}`, async (t) => {
    const pass = fakeTime(t);
    const client = open();
    const seen = watch(client);
    await settle();
    FakeSocket.last.open();
    FakeSocket.last.end(code, reason);
    await pass(10_000);
    const { state, ending } = seen.states[1];
    assert.equal(state, next === "retry" || next === "renew" ? "waiting" : "closed");
    assert.deepEqual([ending.code, ending.reason, ending.next], [code, reason, next]);
    assert.match(ending.text, /^[A-Z].{5,}/);
    assert.equal(FakeSocket.all.length, state === "closed" ? 1 : 2);
  });
}

test("expired and reauth: a new credential once, then stop", async (t) => {
  const pass = fakeTime(t);
  const asked = [];
  const client = open({ protocols: "chat", ticket: async ({ renew }) => (asked.push(renew), `t${asked.length}`) });
  await settle();
  for (const reason of ["expired", "reauth"]) {
    FakeSocket.last.open();
    FakeSocket.last.end(3000, reason);
    await pass(1000);
  }
  assert.deepEqual(asked, [false, true]);
  assert.deepEqual(FakeSocket.all.map((s) => s.protocols), [["chat", "ticket.t1"], ["chat", "ticket.t2"]]);
  assert.deepEqual([client.state, (await client.closed).next], ["closed", "sign-in"]);
});

test("expired after a stable life may be renewed again", async (t) => {
  const pass = fakeTime(t);
  const client = open({ protocols: "chat", ticket: async () => "t" });
  await settle();
  for (let i = 0; i < 5; i++) {
    FakeSocket.last.open();
    await pass(10_000);
    FakeSocket.last.end(3000, "expired");
    await pass(1000);
  }
  assert.equal(FakeSocket.all.length, 6);
  await client.close();
});

test("expired again and again: a credential that was accepted for a second may be replaced", async (t) => {
  const pass = fakeTime(t);
  let asked = 0;
  const client = open({ protocols: "chat", ticket: async () => `t${++asked}` });
  await settle();
  for (let i = 0; i < 20; i++) {
    FakeSocket.last.open();
    await pass(4_000);
    FakeSocket.last.end(3000, "expired");
    await pass(1000);
  }
  assert.equal(asked, 21);
  await client.close();
});

test("a failure after expired is the first", async (t) => {
  const pass = fakeTime(t);
  let asked = 0;
  const client = open({
    protocols: "chat",
    ticket: async () => {
      if (asked++) throw new TicketError(503);
      return "t";
    },
  });
  const seen = watch(client);
  await settle();
  FakeSocket.last.open();
  await pass(10_000);
  FakeSocket.last.end(3000, "expired");
  for (const delay of [250, 250, 500, 1000]) { // half of 500 ms for the credential, then of 500, 1000 and 2000
    await settle();
    assert.equal(seen.states.at(-1).delay, delay);
    await pass(delay);
  }
  await client.close();
});

// fetchPassing answers in turn as the routers and proxies of a deployment in progress do.
const fetchPassing = (t) => {
  const began = Date.now();
  const answers = [[404, {}, "no page"], [200, { "Content-Type": "text/html" }, "<p>"], [302], [421], [503], [403], [401], [501]];
  let n = 0;
  t.mock.method(globalThis, "fetch", async () => {
    if (Date.now() - began >= 10_000) return new Response('{"ticket":"t"}');
    const [status, headers, body] = answers[n++ % answers.length];
    if (status === 302) return { type: "opaqueredirect", status: 0, headers: new Headers() };
    return new Response(body ?? '{"reason":"forbidden"}', { status, headers });
  });
  return () => n;
};

test("a router answers 404, 200 with HTML, 302, 421, 503 for ten seconds: the client comes back", async (t) => {
  const pass = fakeTime(t);
  const answered = fetchPassing(t);
  const client = open({ protocols: "chat", ticket: "https://app.example/ticket", times: { longest: 500 } });
  const seen = watch(client);
  for (let i = 0; i < 24; i++) await pass(500);
  assert.ok(answered() > 8, `${answered()} answers`);
  assert.deepEqual(seen.states.filter((s) => s.state === "closed"), []);
  FakeSocket.last.open();
  assert.equal(client.state, "open");
  await client.close();
});

test("a router answers the handshakes for ten seconds: the client comes back", async (t) => {
  const pass = fakeTime(t);
  const client = open({ times: { longest: 500 } });
  for (let i = 0; i < 20; i++) {
    await pass(500);
    FakeSocket.last.end(1006); // of each of them a script sees this
  }
  await pass(500);
  FakeSocket.last.open();
  assert.equal(client.state, "open");
  await client.close();
});

for (const [reason, type, next] of [
  ["forbidden", "application/problem+json", "stop"],
  ["origin_not_allowed", "application/problem+json; charset=utf-8", "stop"],
  ["RBAC", "application/problem+json", "retry"],
  ["forbidden_zone", "application/problem+json", "retry"],
  ["forbidden", "application/json", "retry"],
]) {
  test(`the ticket route answers 403 ${reason} as ${type}: ${next}`, async (t) => {
    const pass = fakeTime(t);
    const init = { status: 403, headers: { "Content-Type": type } };
    t.mock.method(globalThis, "fetch", async () => new Response(`{"reason":"${reason}"}`, init));
    const client = open({ protocols: "chat", ticket: "https://app.example/ticket" });
    const seen = watch(client);
    await pass(0);
    assert.equal(seen.states[0].ending.next, next);
    await client.close();
  });
}

test("retryCodes and retryStatuses bring the client back", async (t) => {
  const pass = fakeTime(t);
  let asked = 0;
  const client = open({
    protocols: "chat",
    retryCodes: [4010, 1000],
    retryStatuses: [403],
    ticket: async () => {
      if (++asked === 1) throw new TicketError(403, "forbidden");
      return "t";
    },
  });
  const seen = watch(client);
  await pass(500);
  for (const code of [4010, 1000]) {
    FakeSocket.last.open();
    FakeSocket.last.end(code, "");
    await pass(8_000);
  }
  assert.deepEqual(seen.states.filter((s) => s.ending).map((s) => s.ending.next), ["retry", "retry", "retry"]);
  FakeSocket.last.open();
  FakeSocket.last.end(4011, "");
  await settle();
  assert.equal(client.state, "closed");
});

test("expired, without tickets: a handshake that then fails is taken for a refusal", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.end(3000, "expired");
  await pass(1000);
  FakeSocket.last.end(1006);
  await pass(3_600_000);
  assert.equal(FakeSocket.all.length, 2);
  assert.equal((await client.closed).next, "sign-in");
});

for (const [status, next] of [[401, "sign-in"], [403, "stop"], [404, "stop"], [302, "stop"], [501, "stop"]]) {
  test(`the ticket route answers ${status}: ${next}`, async (t) => {
    const pass = fakeTime(t);
    const client = open({ protocols: "chat", ticket: async () => { throw new TicketError(status, "why"); } });
    await pass(3_600_000);
    const { code, reason, next: then, status: got } = await client.closed;
    assert.deepEqual([code, reason, then, got], [0, "why", next, status]);
    assert.equal(FakeSocket.all.length, 0);
  });
}

// A token that was fetched just after a sign-out is refused until the cut-off is past.
test("the ticket route answers 401 with Retry-After: a new credential, until one is good", async (t) => {
  const pass = fakeTime(t);
  const asked = [];
  const client = open({
    protocols: "chat",
    ticket: async ({ renew }) => {
      if (asked.push(renew) % 13) throw new TicketError(401, "credential_expired", 5_000);
      return "t";
    },
  });
  const seen = watch(client);
  for (const before of [0, 13]) {
    await settle();
    for (let i = 0; i < 12; i++) await pass(5_000 + Math.min(500 * 2 ** i, 30_000) / 2); // half of each window
    assert.deepEqual(asked.slice(before), [before > 0, ...Array(12).fill(true)]);
    assert.deepEqual(seen.states.at(-2).ending, {
      code: 0, status: 401, reason: "credential_expired", text: "The sign-in has expired", next: "renew",
    });
    FakeSocket.last.open();
    if (before) break;
    await pass(10_000);
    FakeSocket.last.end(3000, "expired");
    await pass(250);
  }
  assert.equal(client.state, "open");
  await client.close();
});

test("Retry-After is honoured, and nothing hastens it", async (t) => {
  const pass = fakeTime(t);
  let asked = 0;
  const client = open({ protocols: "chat", ticket: async () => { asked++; throw new TicketError(503, "", 60_000); } });
  const seen = watch(client);
  await settle();
  client.retry();
  await pass(59_999);
  client.retry();
  await settle();
  assert.equal(asked, 1);
  await pass(251);
  assert.equal(asked, 2);
  assert.equal(delays(seen)[0], 60_250);
  await client.close();
});

test("a ticket source that fails or hangs is asked again after a delay", async (t) => {
  const pass = fakeTime(t);
  let asked = 0;
  const client = open({
    protocols: "chat",
    ticket: () => (++asked === 1 ? Promise.reject(new TypeError("no network")) : new Promise(() => {})),
  });
  const seen = watch(client);
  await pass(250);
  await pass(10_000);
  await pass(500);
  assert.equal(asked, 3);
  assert.deepEqual(seen.states.map((s) => s.ending?.reason).filter(Boolean), ["unreachable", "timeout"]);
  await client.close();
});

test("a dial that hangs is given up, and its socket is gone before the next", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  await settle();
  await pass(10_000);
  assert.deepEqual(FakeSocket.last.closedWith, { code: 3008, reason: "timeout" });
  await pass(250);
  assert.equal(FakeSocket.all.length, 2);
  assert.equal(FakeSocket.most, 1);
  await client.close();
});

test("a renewal opens a second connection, and then closes the first", async (t) => {
  const pass = fakeTime(t);
  let n = 0;
  const client = open({ protocols: "chat", hello: () => `hello ${n}`, ticket: async () => ({ ticket: `t${++n}`, refresh_after: 240 }) });
  const seen = watch(client);
  await settle();
  const first = FakeSocket.last;
  first.open();
  await pass(227_999); // 240 s less up to a tenth
  assert.equal(n, 1);
  await pass(1);
  const second = FakeSocket.last;
  assert.deepEqual([n, FakeSocket.all.length, second.protocols], [2, 2, ["chat", "ticket.t2"]]);
  first.receive("to the first");
  client.send("over the first");
  second.open();
  second.receive("to the second"); // else 100 ms
  client.send("over the second");
  assert.deepEqual([first.sent, second.sent], [["hello 1", "over the first"], ["hello 2", "over the second"]]);
  assert.deepEqual(first.closedWith, { code: 1000, reason: "renewed" });
  await settle();
  first.receive("a ghost");
  await pass(10_000);
  assert.deepEqual(seen.messages, ["to the first", "to the second"]);
  assert.deepEqual(seen.states, [{ state: "open" }, { state: "open", renewed: true }]);
  await client.close();
});

test("a renewal that fails is tried again, while the first connection lives", async (t) => {
  const pass = fakeTime(t);
  const client = open({ protocols: "chat", ticket: async () => ({ ticket: "t", refresh_after: 100 }) });
  const seen = watch(client);
  await settle();
  FakeSocket.last.open();
  await pass(95_000);
  FakeSocket.last.end(1006);
  await pass(500);
  FakeSocket.last.open();
  FakeSocket.last.end(1013, "later"); // readable, before it took over
  await pass(1_000);
  assert.equal(FakeSocket.all.length, 4);
  FakeSocket.last.open();
  await pass(100);
  assert.deepEqual(seen.states, [{ state: "open" }, { state: "open", renewed: true }]);
  assert.equal(FakeSocket.most, 1);
  await client.close();
});

test("a connection that ends during its renewal is followed by that dial, and no other", async (t) => {
  for (const outcome of ["opens", "fails"]) {
    const pass = fakeTime(t);
    const client = open({ protocols: "chat", ticket: async () => ({ ticket: "t", refresh_after: 100 }) });
    const seen = watch(client);
    await settle();
    FakeSocket.last.open();
    await pass(95_000);
    FakeSocket.all[0].end(1006);
    client.send("waits");
    await pass(3_000);
    assert.deepEqual([client.state, FakeSocket.all.length], ["connecting", 2]);
    if (outcome === "opens") {
      FakeSocket.last.open();
      await pass(200);
      assert.deepEqual([client.state, FakeSocket.last.sent], ["open", ["waits"]]);
    } else {
      FakeSocket.last.end(1006);
      await pass(4_000);
      assert.equal(FakeSocket.all.length, 3);
    }
    assert.equal(FakeSocket.most, 1);
    await client.close();
    assert.equal(seen.states.at(-1).state, "closed");
    t.mock.restoreAll();
    t.mock.timers.reset();
  }
});

test("close() during a renewal ends both", async (t) => {
  const pass = fakeTime(t);
  const client = open({ protocols: "chat", ticket: async () => ({ ticket: "t", refresh_after: 100 }) });
  await settle();
  FakeSocket.last.open();
  await pass(95_000);
  const closed = client.close();
  await pass(0);
  assert.equal((await closed).code, 1000);
  assert.deepEqual(FakeSocket.all.map((s) => s.readyState), [3, 3]);
  await pass(3_600_000);
  assert.equal(FakeSocket.all.length, 2);
});

test("a renewal leaves the connection alone while there is no better ticket", async (t) => {
  const pass = fakeTime(t);
  const answers = [
    { ticket: "t1", refresh_after: 100 },
    new TicketError(503),
    { ticket: "t2", refresh_after: 20 }, // the same credential, and less is left of it
  ];
  const client = open({
    protocols: "chat",
    ticket: async () => {
      const a = answers.shift();
      if (a instanceof Error) throw a;
      return a;
    },
  });
  await settle();
  FakeSocket.last.open();
  await pass(95_000);
  await pass(500);
  assert.equal(answers.length, 0);
  assert.equal(client.state, "open");
  assert.equal(FakeSocket.all.length, 1);
  await client.close();
});

test("close() ends every state, and nothing follows", async (t) => {
  for (const until of ["connecting", "open", "waiting"]) {
    const pass = fakeTime(t);
    const client = open();
    await settle();
    if (until !== "connecting") FakeSocket.last.open();
    if (until === "waiting") FakeSocket.last.end(1006);
    await settle();
    assert.equal(client.state, until);
    const { code, next } = await client.close(4001, "bye");
    assert.deepEqual([client.state, code, next], ["closed", 4001, "stop"]);
    await pass(3_600_000);
    assert.equal(FakeSocket.all.length, 1);
    t.mock.restoreAll();
    t.mock.timers.reset();
  }
});

test("close() before the first attempt: no ticket is asked for", async (t) => {
  const pass = fakeTime(t);
  let asked = 0;
  const client = open({ protocols: "chat", ticket: async () => `t${++asked}` });
  assert.equal((await client.close()).code, 1000);
  await pass(3_600_000);
  assert.deepEqual([asked, FakeSocket.all.length], [0, 0]);
});

test("a peer that does not answer the close frame is left after 2 s", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.answersClose = false;
  void client.close();
  await pass(1_999);
  assert.equal(client.state, "open");
  await pass(1);
  assert.equal(client.state, "closed");
});

test("a server that selects what was not asked for is not spoken to", async (t) => {
  for (const selected of ["", "other", "ticket.t"]) {
    const pass = fakeTime(t);
    const client = open({ protocols: "chat", ticket: async () => "t" });
    await settle();
    FakeSocket.last.open(selected);
    await pass(1000);
    assert.deepEqual(FakeSocket.last.closedWith, { code: 4002, reason: "protocol" });
    assert.equal((await client.closed).next, "stop");
    t.mock.restoreAll();
    t.mock.timers.reset();
  }
});

test("close() while a renewal fetches its ticket: nothing is dialled any more", async (t) => {
  const pass = fakeTime(t);
  let give;
  const answers = [Promise.resolve({ ticket: "t1", refresh_after: 100 }), new Promise((resolve) => (give = resolve))];
  const client = open({ protocols: "chat", ticket: () => answers.shift() });
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.answersClose = false;
  await pass(95_000);
  assert.equal(answers.length, 0);
  void client.close();
  give({ ticket: "t2", refresh_after: 100 });
  await pass(2_000);
  assert.deepEqual([client.state, FakeSocket.all.length], ["closed", 1]);
});

test("close() in a listener of waiting ends the client at once", async (t) => {
  fakeTime(t);
  const client = open({ protocols: "chat", ticket: async () => { throw new TicketError(503, "", 200_000); } });
  client.addEventListener("state", ({ detail }) => detail.state === "waiting" && client.close());
  await settle();
  assert.equal(client.state, "closed");
});

test("retry() in a listener of waiting ends the wait", async (t) => {
  const pass = fakeTime(t);
  const client = open();
  client.addEventListener("state", ({ detail }) => detail.state === "waiting" && client.retry());
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.end(1012);
  await pass(1);
  assert.equal(FakeSocket.all.length, 2);
  await client.close();
});

test("close() in the constructor of the WebSocket class ends that dial", async (t) => {
  const pass = fakeTime(t);
  class Closing extends FakeSocket {
    constructor(...to) {
      super(...to);
      client.close();
    }
  }
  const client = open({ WebSocket: Closing });
  await pass(0);
  assert.deepEqual([client.state, FakeSocket.last.readyState], ["closed", 3]);
});

test("a socket that can be terminated is, where it does not answer the close frame", async (t) => {
  const pass = fakeTime(t);
  let terminated = 0;
  const client = open({ WebSocket: class extends FakeSocket { terminate() { terminated++; } } });
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.answersClose = false;
  void client.close();
  await pass(1_999);
  assert.equal(terminated, 0);
  await pass(1);
  assert.equal(terminated, 1);
});

for (const [code, reason, next] of cases) {
  if (next === "retry" || next === "renew") continue;
  test(`${code} ${reason} while the renewal dials: ${next}`, async (t) => {
    const pass = fakeTime(t);
    const client = open({ protocols: "chat", ticket: async () => ({ ticket: "t", refresh_after: 100 }) });
    await settle();
    const first = FakeSocket.last;
    first.open();
    await pass(95_000);
    first.end(code, reason);
    await settle();
    assert.deepEqual(FakeSocket.all.map((s) => s.readyState), [3, 3]);
    assert.equal(client.state, "closed");
    assert.deepEqual([(await client.closed).code, (await client.closed).next], [code, next]);
  });
}

test("a renewal's Retry-After holds when its connection is lost", async (t) => {
  const pass = fakeTime(t);
  let asked = 0;
  const client = open({
    protocols: "chat",
    ticket: async () => {
      if (++asked === 2) throw new TicketError(429, "", 60_000);
      return { ticket: "t", refresh_after: 100 };
    },
  });
  const seen = watch(client);
  await settle();
  FakeSocket.last.open();
  await pass(95_000);
  FakeSocket.last.end(1006);
  await settle();
  client.retry();
  await pass(59_999);
  assert.deepEqual([asked, delays(seen)], [2, [64_000]]);
  await pass(1);
  assert.equal(asked, 3);
  await client.close();
});

test("renew is told until a ticket has been given, and no longer", async (t) => {
  const pass = fakeTime(t);
  const asked = [];
  const client = open({
    protocols: "chat",
    ticket: async ({ renew }) => {
      if (asked.push(renew) === 2) throw new TicketError(503);
      return "t";
    },
  });
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.end(3000, "expired");
  await pass(250);
  await pass(250);
  FakeSocket.last.open();
  FakeSocket.last.end(1006);
  await pass(8_000);
  assert.deepEqual(asked, [false, true, true, false]);
  FakeSocket.last.open();
  FakeSocket.last.end(3000, "expired"); // nothing has been stable since the first
  await settle();
  assert.equal((await client.closed).next, "sign-in");
});
