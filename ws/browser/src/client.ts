// The client. It is one loop, so that there is never more than one dial in flight. A renewal
// dials beside an open connection, and the loop waits for both.

import type { Client, Data, Ending, Message, State, StateChange, Undelivered } from "./api.js";
import { connectionOf, type Connection } from "./connection.js";
import { obtain } from "./credential.js";
import { closedHere, lapsed, meaning, named, refused } from "./endings.js";
import { inboxesOf, type Inboxes } from "./inbox.js";
import type { Ended } from "./link.js";
import { outboxOf, sizeOf, type Outbox } from "./outbox.js";
import { paceOf, type Pace } from "./pace.js";
import type { Settings } from "./settings.js";
import { watch } from "./wake.js";

export class Reconnecting extends EventTarget implements Client {
  state: State = "connecting";
  readonly closed: Promise<Ending>;

  #stop = new AbortController(); // aborted by close(), or when the client ends by itself
  #closing: Ending | undefined; // set by close()
  #pace: Pace;
  #outbox: Outbox;
  #inboxes: Inboxes;
  #connection: Connection;

  constructor(private readonly cfg: Settings) {
    super();
    const undelivered = (data: Data, why: Undelivered["why"]): void => this.#tell("undelivered", { data, why });
    this.#pace = paceOf(cfg.times);
    this.#inboxes = inboxesOf(cfg.inbox);
    this.#outbox = outboxOf(cfg, this.#stop.signal, undelivered);
    this.#connection = connectionOf(cfg, this.#pace, this.#outbox, {
      undelivered,
      change: (detail) => this.#change(detail),
      message: (data) => {
        this.#inboxes.push(data);
        this.dispatchEvent(new MessageEvent("message", { data }));
      },
    });
    watch(cfg.times.sleep, this.#stop.signal, (lost) => this.#woke(lost), () => this.#aside());
    this.closed = this.#run();
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
    this.#pace.hasten(0);
  }

  close(code = 1000, reason = ""): Promise<Ending> {
    if (!/^(1000|[34]\d{3})$/.test(`${code}`) || sizeOf(reason) > 123) {
      throw new RangeError(`securews: close: ${code} ${reason}`);
    }
    if (!this.#closing) {
      this.#closing = closedHere(code, reason);
      this.#stop.abort();
      this.#pace.opened();
      this.#pace.hasten(0);
      this.#connection.close(this.#closing);
    }
    return this.closed;
  }

  [Symbol.asyncIterator](): AsyncIterator<Message> {
    return this.#inboxes.open();
  }

  async #run(): Promise<Ending> {
    await undefined; // the caller of connect() can add listeners first
    for (;;) {
      const [how, end] = await this.#attempt();
      const delay = this.#closing ? undefined : this.#pace.after(how, end);
      if (delay !== undefined) {
        this.#change({ state: "waiting", ending: how, delay });
        await this.#pace.wait();
      }
      if (delay === undefined || this.#closing) {
        return this.#finish(this.#closing ?? lapsed(how));
      }
    }
  }

  /** #attempt fetches a ticket, dials, and waits for the end of the connection. */
  async #attempt(): Promise<[how: Ending, end?: Ended]> {
    if (this.state !== "connecting") {
      this.#change({ state: "connecting" });
    }
    const pace = this.#pace;
    try {
      const credential = await obtain(this.cfg, this.#stop.signal, pace.expired);
      pace.expired &&= !this.cfg.ticket;
      if (this.#closing) {
        return [this.#closing];
      }
      const end = await this.#connection.run(credential);
      return [await named(meaning(end, this.cfg), this.cfg, end.opened), end];
    } catch (err) {
      return [await named(refused(err, this.cfg, pace), this.cfg)];
    }
  }

  /** #woke asks on a connection that may be dead, or brings the next attempt forward. */
  #woke(lost: boolean): void {
    const pace = this.#pace;
    pace.aside = false;
    pace.hasten(pace.soon());
    if (this.#connection.ask() === false && lost) {
      this.#connection.link!.cut(); // after a sleep or a change of network, the server has ended it
    }
  }

  /** #aside closes the connection: an open one would keep the page out of the back-forward cache. */
  #aside(): void {
    this.#pace.aside = true;
    this.#connection.away();
  }

  #finish(how: Ending): Ending {
    this.#stop.abort();
    this.#change({ state: "closed", ending: how });
    this.#outbox.end();
    this.#inboxes.end(how);
    return how;
  }

  #change(detail: StateChange): void {
    this.state = detail.state;
    this.#tell("state", detail);
  }

  #tell(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
