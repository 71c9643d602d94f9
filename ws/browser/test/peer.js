// The server's side of a sealed connection, over a FakeSocket.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { FakeSocket } from "./fake.js";
import { hex, internals } from "./internals.js";

const { concat, encode, sha256, u16, Direction, suiteOf } = internals;
const file = new URL("../../seal/testdata/vectors.json", import.meta.url);
const v = JSON.parse(readFileSync(file, "utf8")).sessions[1]; // X25519
export const pinned = { suite: "X25519", pk: hex(v.server_public) };
export const binding = { audience: "chat.example", origin: "", subprotocol: "hpke1.chat", principal: "alice" };

// until waits for a condition that depends on WebCrypto.
export async function until(what) {
  for (const end = performance.now() + 20_000; performance.now() < end; ) {
    const got = what();
    if (got) return got;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`waited in vain for ${what}`);
}

const buffer = (bytes) => bytes.slice().buffer;

export class Peer {
  constructor(socket = FakeSocket.last) {
    this.socket = socket;
    this.taken = 0;
  }

  // frame returns the next frame that the client sent.
  async frame() {
    await until(() => this.socket.sent.length > this.taken || this.socket.readyState === 3);
    assert.ok(this.socket.sent.length > this.taken, "the socket ended without another frame");
    return this.socket.sent[this.taken++];
  }

  // shake sends the hello and derives the keys; the caller sends ready.
  async shake({ bound = {}, offers = [hex(v.kid)], subprotocol = "hpke1.chat" } = {}) {
    const b = { ...binding, ...bound };
    const suite = suiteOf(v.kem);
    const each = offers.map((kid) => concat(kid, u16(suite.kem), u16(suite.kdf), u16(suite.aead)));
    const first = concat(new Uint8Array([1, 1, 0, 0]), new Uint8Array(32).fill(7), new Uint8Array([each.length]), ...each);
    this.socket.open(subprotocol);
    this.send(first);
    const second = await this.frame();
    const words = [b.audience, b.origin, b.subprotocol, b.principal].map(encode);
    const context = await suite.hpke.createRecipientContext({
      recipientKey: await suite.hpke.kem.deserializePrivateKey(hex(v.server_private)),
      enc: second.slice(20),
      info: concat(encode("wss-hpke/1\0"), await sha256(first), ...words.map((w) => concat(u16(w.length), w))),
    });
    const th = await sha256(first, second);
    const way = async (label) =>
      Direction.make(new Uint8Array(await context.export(concat(encode(label), th), 32)), suite.keySize);
    this.in = await way("wss-hpke/1 c2s");
    this.out = await way("wss-hpke/1 s2c");
  }

  async ready() {
    await this.record(0x12, '{"t":"ready","cid":"C"}');
  }

  seal(kind, text) {
    return this.out.seal(kind, encode(text));
  }

  async record(kind, text) {
    this.send(await this.seal(kind, text));
  }

  send(bytes) {
    this.socket.receive(buffer(bytes));
  }

  async read() {
    const { kind, payload } = await this.in.open(await this.frame());
    return [kind, Buffer.from(payload).toString()];
  }
}
