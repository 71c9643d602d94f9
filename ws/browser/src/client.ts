// The client. It is one loop, so that there is never more than one dial in flight. A renewal
// dials beside an open connection, and the loop waits for both.

import type { Client, Data, Ending, Message, State, StateChange, Undelivered } from "./api.js";
import { backoffOf, type Backoff } from "./backoff.js";
import { connectionOf, type Connection } from "./connection.js";
import { obtain } from "./credential.js";
import { closedHere, lapsed, meaning, named, refused } from "./ending.js";
import { inboxesOf, type Inboxes } from "./inbox.js";
import type { SocketEnding } from "./link.js";
import { sizeOf } from "./message.js";
import { follow, type History } from "./next.js";
import { outboxOf, type Outbox } from "./outbox.js";
import type { Settings } from "./settings.js";
import { watch } from "./watch.js";

export class Reconnecting extends EventTarget implements Client {
  state: State = "connecting";
  readonly closed: Promise<Ending>;

  #stop = new AbortController(); // aborted by close(), or when the client ends by itself
  #closing: Ending | undefined; // set by close()
  #backoff: Backoff;
  #outbox: Outbox;
  #inboxes: Inboxes;
  #connection: Connection;

  constructor(private readonly cfg: Settings) {
    super();
    const past: History = { failures: 0 };
    const undelivered = (data: Data, why: Undelivered["why"]): void => this.#tell("undelivered", { data, why });
    const backoff = (this.#backoff = backoffOf(cfg.times));
    this.#inboxes = inboxesOf(cfg.inbox);
    this.#outbox = outboxOf(cfg, this.#stop.signal, undelivered);
    const connection = (this.#connection = connectionOf(cfg, past, backoff, this.#outbox, {
      undelivered,
      change: (detail) => this.#change(detail),
      message: (data) => {
        this.#inboxes.push(data);
        this.dispatchEvent(new MessageEvent("message", { data }));
      },
    }));
    watch(cfg.times.sleep, this.#stop.signal, {
      // Asks on a connection that may be dead, and brings the next attempt forward: also the one after
      // an attempt under way, or after a connection whose end the browser has yet to report.
      woke: (lost) => {
        backoff.aside = false;
        backoff.hasten(Math.random() * cfg.times.first);
        if (connection.ask() === false && lost) {
          connection.link!.cut(); // after a sleep or a change of network, the server has ended it
        }
      },
      // An open connection would keep the page out of the back-forward cache.
      aside: () => {
        backoff.aside = true;
        connection.away();
      },
    });
    this.closed = this.#run(past);
  }

  get protocol(): string {
    return this.state === "open" ? this.#connection.link!.protocol : "";
  }

  get sealed(): boolean {
    return this.state === "open" && this.#connection.link!.sealed;
  }

  send(data: Data): boolean {
    return this.#outbox.send(data);
  }

  get bufferedAmount(): number {
    return this.#outbox.bytes;
  }

  room(bytes?: number): Promise<boolean> {
    return this.#outbox.room(bytes);
  }

  retry(): void {
    this.#backoff.hasten(0);
  }

  close(code = 1000, reason = ""): Promise<Ending> {
    if (!/^(1000|[34]\d{3})$/.test(`${code}`) || sizeOf(reason) > 123) {
      throw new RangeError(`securews: close: ${code} ${reason}`);
    }
    if (!this.#closing) {
      this.#closing = closedHere(code, reason);
      this.#stop.abort();
      this.#backoff.notBefore = 0;
      this.#backoff.hasten(0);
      this.#connection.close(this.#closing);
    }
    return this.closed;
  }

  [Symbol.asyncIterator](): AsyncIterator<Message> {
    return this.#inboxes.open();
  }

  async #run(past: History): Promise<Ending> {
    await undefined; // the caller of connect() can add listeners first
    for (;;) {
      const [how, end] = await this.#attempt(past);
      const window = !this.#closing && follow(past, how, end, this.cfg.times);
      if (window) {
        this.#change({ state: "waiting", ending: how, delay: this.#backoff.begin(window) });
        await this.#backoff.wait();
      }
      if (!window || this.#closing) {
        const ending = this.#closing ?? lapsed(how);
        this.#stop.abort();
        this.#change({ state: "closed", ending });
        this.#outbox.end();
        this.#inboxes.end(ending);
        return ending;
      }
    }
  }

  /** #attempt fetches a ticket, dials, and waits for the end of the connection. */
  async #attempt(past: History): Promise<[how: Ending, end?: SocketEnding]> {
    if (this.state !== "connecting") {
      this.#change({ state: "connecting" });
    }
    const { cfg } = this;
    let how: Ending;
    let end: SocketEnding | undefined;
    try {
      const credential = await obtain(cfg, this.#stop.signal, !!past.renew);
      past.renew &&= !cfg.ticket;
      if (this.#closing) {
        return [this.#closing];
      }
      end = await this.#connection.run(credential);
      how = meaning(end, cfg);
    } catch (err) {
      how = refused(err, cfg, this.#backoff);
    }
    return [await named(how, cfg, end), end];
  }

  #change(detail: StateChange): void {
    this.state = detail.state;
    this.#tell("state", detail);
  }

  #tell(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
