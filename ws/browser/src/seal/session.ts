// One sealed connection. WebCrypto is asynchronous, so each direction is a chain of promises
// that keeps the order of the records.

import type { Data, Message, Sealed, Wire } from "../api.js";
import { decode, encode, type Bytes } from "./bytes.js";
import { choose, shake, type Binding } from "./handshake.js";
import type { PublicKey } from "./keys.js";
import { type, type Direction } from "./record.js";

export interface SessionConfig {
  /** keys returns the accepted keys; with fresh, they are fetched again. */
  keys: (fresh: boolean) => Promise<PublicKey[]>;
  binding: Binding;
  psk: Bytes | undefined;
}

export class Session implements Sealed {
  #in: Promise<void> = Promise.resolve();
  #out: Promise<void> = Promise.resolve();
  #c2s: Direction | undefined;
  #s2c: Direction | undefined;
  #pending = 0;
  #finished = false;
  #state: "hello" | "confirm" | "open" | "peer closed" | "failed" = "hello";

  constructor(
    private readonly cfg: SessionConfig,
    private readonly wire: Wire,
  ) {
    cfg.keys(false).catch(() => {}); // fetched while the hello is in transit
  }

  receive(frame: Message): void {
    this.#in = this.#in.then(() => this.#take(frame)).catch(() => this.#fail());
  }

  send(data: Data): void {
    const kind = typeof data === "string" ? type.text : type.binary;
    this.#write(kind, typeof data === "string" ? encode(data) : copy(data));
  }

  get buffered(): number {
    return this.#pending;
  }

  finish(): Promise<void> {
    this.#write(type.close, new Uint8Array());
    this.#finished = true;
    return this.#out;
  }

  async drained(): Promise<boolean> {
    await this.#in;
    this.#c2s?.erase();
    this.#s2c?.erase();
    return this.#state === "peer closed";
  }

  #write(kind: number, payload: Bytes): void {
    if (this.#finished) {
      return; // no record follows the close record
    }
    this.#pending += payload.length;
    this.#out = this.#out
      .then(async () => {
        if (this.#state !== "open") {
          return;
        }
        if (this.#c2s!.due) {
          this.wire.send(await this.#c2s!.seal(type.update, new Uint8Array()));
          await this.#c2s!.update();
        }
        this.wire.send(await this.#c2s!.seal(kind, payload));
      })
      .catch(() => this.#fail())
      .finally(() => (this.#pending -= payload.length));
  }

  async #take(frame: Message): Promise<void> {
    if (this.#state === "failed") {
      return;
    }
    if (typeof frame === "string" || this.#state === "peer closed") {
      return this.#fail();
    }
    const bytes = new Uint8Array(frame);
    if (this.#state === "hello") {
      return this.#shake(bytes);
    }
    const { kind, payload } = await this.#s2c!.open(bytes);
    if (this.#state === "confirm") {
      return this.#confirm(kind, payload);
    }
    await this.#record(kind, payload);
  }

  async #shake(serverHello: Bytes): Promise<void> {
    const key = await this.#choose(serverHello);
    if (key === "unreachable") {
      this.#state = "failed";
      return this.wire.cut();
    }
    if (!key) {
      return this.#fail();
    }
    const { hello, c2s, s2c } = await shake(serverHello, key, this.cfg.binding, this.cfg.psk);
    this.#c2s = c2s;
    this.#s2c = s2c;
    this.#state = "confirm";
    this.wire.send(hello);
  }

  async #choose(serverHello: Bytes): Promise<PublicKey | undefined | "unreachable"> {
    try {
      return choose(serverHello, await this.cfg.keys(false)) ?? choose(serverHello, await this.cfg.keys(true));
    } catch {
      return "unreachable";
    }
  }

  /** #confirm checks the first record, which proves that the server has the key. */
  #confirm(kind: number, payload: Bytes): void {
    const ready = kind === type.control ? JSON.parse(decode(payload)) : undefined;
    const { t, cid } = ready ?? {};
    if (t !== "ready" || typeof cid !== "string" || cid.length < 1 || cid.length > 128) {
      return this.#fail();
    }
    this.#state = "open";
    this.wire.ready();
  }

  async #record(kind: number, payload: Bytes): Promise<void> {
    if (kind === type.text) {
      this.wire.deliver(decode(payload));
    } else if (kind === type.binary) {
      this.wire.deliver(payload.buffer);
    } else if (kind === type.update && payload.length === 0) {
      await this.#s2c!.update();
    } else if (kind === type.close && payload.length === 0) {
      this.#state = "peer closed";
      this.wire.peerClosed();
    } else {
      this.#fail();
    }
  }

  /** #fail is the same for every error, so that it reveals nothing. */
  #fail(): void {
    if (this.#state !== "failed") {
      this.#state = "failed";
      this.#c2s?.erase();
      this.#s2c?.erase();
      this.wire.fail();
    }
  }
}

const copy = (data: ArrayBuffer | ArrayBufferView): Bytes =>
  ArrayBuffer.isView(data)
    ? new Uint8Array(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    : new Uint8Array(data.slice(0));
