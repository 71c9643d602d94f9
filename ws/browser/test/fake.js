// A WebSocket and a clock that are controlled by the test.

import assert from "node:assert/strict";
import { afterEach } from "node:test";

export class FakeSocket {
  static all = [];
  static inFlight = 0;
  static most = 0;
  static late = []; // what was sent on a socket that was ending: browsers write an error to the console

  readyState = 0;
  bufferedAmount = 0;
  protocol = "";
  sent = [];
  closedWith = undefined;
  answersClose = true;

  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.all.push(this);
    FakeSocket.most = Math.max(FakeSocket.most, ++FakeSocket.inFlight);
  }

  static reset() {
    FakeSocket.all = [];
    FakeSocket.inFlight = FakeSocket.most = 0;
  }

  static get last() {
    return FakeSocket.all.at(-1);
  }

  #dialled() {
    if (this.readyState === 0) FakeSocket.inFlight--;
  }

  open(protocol = this.protocols[0] ?? "") {
    this.#dialled();
    this.readyState = 1;
    this.protocol = protocol;
    this.onopen?.({});
  }

  receive(data) {
    this.onmessage?.({ data });
  }

  // pulse is what the client sends as a ping, and gets back.
  get pulse() {
    return /securews=\d+$/.exec(this.url)[0];
  }

  // serve opens the socket as a server of this module does.
  serve(limit = 65_536) {
    this.open();
    this.receive(`${this.pulse} ${limit}`);
  }

  answer() {
    this.receive(this.pulse);
  }

  // The messages that were sent, and "ping" for each ping.
  get frames() {
    return this.sent.map((data) => (data === this.pulse ? "ping" : data));
  }

  end(code, reason = "") {
    this.#dialled();
    this.readyState = 3;
    this.onerror?.({});
    this.onclose?.({ code, reason });
  }

  send(data) {
    if (this.readyState === 0) throw new Error("InvalidStateError");
    (this.readyState === 1 ? this.sent : FakeSocket.late).push(data);
  }

  close(code, reason) {
    if (this.readyState >= 2) return;
    this.closedWith = { code, reason };
    const dialling = this.readyState === 0;
    this.#dialled();
    this.readyState = 2;
    if (this.answersClose) queueMicrotask(() => this.end(dialling ? 1006 : code, reason));
  }
}

afterEach(() => assert.deepEqual(FakeSocket.late.splice(0), [], "sent on a socket that was ending"));

// settle runs pending promises without advancing the timers.
export async function settle() {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

const step = 10_000;

// fakeTime moves timers and Date together.
export function fakeTime(t, random = 0.5) {
  FakeSocket.reset();
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
  t.mock.method(Math, "random", () => random);
  return async (ms) => {
    await settle();
    // In steps: a tick moves the clock first, and a long one would look like a sleep.
    for (; ms > step; ms -= step) {
      t.mock.timers.tick(step);
      await settle();
    }
    t.mock.timers.tick(ms);
    await settle();
  };
}

// watch records a client's states and messages.
export function watch(client) {
  const seen = { states: [], messages: [], undelivered: [] };
  client.addEventListener("state", ({ detail }) => seen.states.push(detail));
  client.addEventListener("message", ({ data }) => seen.messages.push(data));
  client.addEventListener("undelivered", ({ detail }) => seen.undelivered.push([detail.data, detail.why]));
  return seen;
}

// endless is a response that never ends; it records how much of it was read.
export function endless(status) {
  const read = { bytes: 0, cancelled: false };
  const spaces = new Uint8Array(1024).fill(32);
  const body = new ReadableStream({
    pull: (to) => ((read.bytes += spaces.length), to.enqueue(spaces)),
    cancel: () => void (read.cancelled = true),
  });
  return { read, answer: new Response(body, { status, headers: { "Retry-After": "7" } }) };
}
