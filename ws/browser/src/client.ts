// The client. It is one loop, so that there is never more than one dial in flight. A renewal
// dials beside an open connection, and the loop waits for both.

import type { Client, Data, Ending, Message, State, StateChange, Ticket, Undelivered } from "./api.js";
import { Backoff } from "./backoff.js";
import { isLater, obtain, protocolOf, refusal } from "./credential.js";
import { Delay, pause } from "./delay.js";
import { closedHere, comesBack, lapsed, meaning, refused, unless } from "./endings.js";
import { Inboxes } from "./inbox.js";
import { Life } from "./life.js";
import { Link, type Ended } from "./link.js";
import { Outbox, sizeOf } from "./outbox.js";
import type { Settings } from "./settings.js";
import { longestRetryAfter } from "./ticket.js";
import { offline, watch, type Wake } from "./wake.js";

// A server may open a connection only to close it with a readable reason. Until a message
// arrives, or for this time, the queue is held and a connection to be renewed stays open.
const holdTime = 100;

export class Reconnecting extends EventTarget implements Client {
  state: State = "connecting";
  readonly closed: Promise<Ending>;

  #link: Link | undefined; // the current dial or connection
  #life: Life | undefined; // of the connection
  #next: Link | undefined; // the dial of a renewal
  #orphaned: Ended | undefined; // the end of the connection, if that ended during the dial of #next
  #ended!: (how: Ended) => void; // tells the loop
  #outbox: Outbox;
  #inboxes: Inboxes;
  #backoff: Backoff;
  #delay: Delay | undefined;
  #notBefore = 0; // set by Retry-After
  #expired = false; // the credential has, and neither was there a ticket nor was it accepted since
  #closing: Ending | undefined; // set by close()
  #stop = new AbortController(); // aborted by close()

  constructor(private readonly cfg: Settings) {
    super();
    this.#backoff = new Backoff(cfg.times);
    this.#inboxes = new Inboxes(cfg.inbox);
    this.#outbox = new Outbox(cfg.queue.messages, cfg.queue.bytes);
    const unwatch = watch(cfg.times.sleep, (why) => this.#woke(why));
    this.closed = this.#run().finally(unwatch);
  }

  get protocol(): string {
    return this.state === "open" ? this.#link!.protocol : "";
  }

  get sealed(): boolean {
    return this.state === "open" && this.#link!.sealed;
  }

  send(data: Data): boolean {
    if (this.state === "closed" || this.#closing) {
      return this.#undelivered(data, "closed");
    }
    if (sizeOf(data) > this.cfg.outgoing) {
      return this.#undelivered(data, "too_big");
    }
    if (this.state !== "open" || !this.#link!.live || this.#outbox.held) {
      return this.#outbox.push(data) || this.#undelivered(data, "full");
    }
    if (this.#link!.buffered + sizeOf(data) > this.cfg.queue.bytes) {
      return this.#undelivered(data, "full");
    }
    this.#link!.send(data);
    return true;
  }

  retry(): void {
    this.#delay?.hasten(this.#held());
  }

  close(code = 1000, reason = ""): Promise<Ending> {
    if (!/^(1000|[34]\d{3})$/.test(`${code}`) || sizeOf(reason) > 123) {
      throw new RangeError(`securews: close: ${code}, or a reason of more than 123 bytes, cannot be sent`);
    }
    if (!this.#closing) {
      this.#closing = closedHere(code, reason);
      this.#stop.abort();
      this.#delay?.end();
      this.#life?.end();
      void this.#link?.close(code, reason);
      void this.#next?.close(code, reason);
    }
    return this.closed;
  }

  [Symbol.asyncIterator](): AsyncIterator<Message> {
    return this.#inboxes.open();
  }

  async #run(): Promise<Ending> {
    await undefined; // the caller of connect() can add listeners first
    for (;;) {
      const { how, end } = await this.#attempt();
      const delay = this.#closing ? undefined : this.#after(how, end);
      if (delay === undefined) {
        return this.#finish(how);
      }
      this.#delay = new Delay(delay); // before listeners are called, which may end it
      this.#change({ state: "waiting", ending: how, delay });
      await this.#delay.over;
      this.#delay = undefined;
      if (this.#closing) {
        return this.#finish(this.#closing);
      }
    }
  }

  /** #attempt fetches a ticket, dials, and waits for the end of the connection. */
  async #attempt(): Promise<{ how: Ending; end?: Ended }> {
    if (this.state !== "connecting") {
      this.#change({ state: "connecting" });
    }
    let ticket: Ticket | undefined;
    try {
      ticket = await obtain(this.cfg, this.#stop.signal, this.#expired);
      this.#expired &&= !ticket;
    } catch (err) {
      return { how: this.#closing ?? this.#noTicket(err) };
    }
    if (this.#closing) {
      return { how: this.#closing };
    }
    const end = await new Promise<Ended>((resolve) => {
      this.#ended = resolve;
      this.#link = this.#dial(ticket, resolve);
    });
    return { how: this.#closing ?? this.#meaning(end), end };
  }

  #meaning(end: Ended): Ending {
    return unless(meaning(end), this.cfg);
  }

  #noTicket(err: unknown): Ending {
    const error = refusal(err);
    this.#notBefore = Date.now() + error.retryAfter;
    return unless(refused(error), this.cfg);
  }

  /** #dial calls failed only if the dial did not become the connection. */
  #dial(ticket: Ticket | undefined, failed: (how: Ended) => void): Link | undefined {
    try {
      const open = (): void => this.#opened(link, ticket?.refresh_after ?? 0);
      const link: Link = new Link(this.cfg, ticket ? [protocolOf(ticket)] : [], {
        opened: () => {
          if (link !== this.#next || link.sealed || this.#orphaned) {
            return open();
          }
          setTimeout(() => link === this.#next && link.live && open(), holdTime);
        },
        message: (data) => {
          if (link === this.#next) {
            open();
          }
          if (link === this.#link) {
            this.#message(data);
          }
        },
        ended: (how) => (how.opened && link !== this.#next ? this.#linkEnded(link, how) : failed(how)),
      });
      if (this.#closing) {
        void link.close(this.#closing.code, this.#closing.reason); // close() was called by the WebSocket class
      }
      return link;
    } catch (err) {
      failed({ code: 0, reason: String(err), opened: false }); // the browser refuses to dial
      return undefined;
    }
  }

  /** #opened makes a dial the connection, and closes the one that it renews. */
  #opened(link: Link, refreshAfter: number): void {
    const old = link === this.#next && !this.#orphaned ? this.#link : undefined;
    this.#next = this.#orphaned = undefined;
    this.#life?.end();
    this.#link = link;
    this.#notBefore = 0;
    this.#life = new Life(this.cfg, link, refreshAfter, {
      accepted: () => {
        this.#backoff.accepted();
        this.#expired = false;
      },
      stable: () => this.#backoff.stable(),
      renew: (after) => void this.#renew(after),
    });
    this.#outbox.hold(link, holdTime); // before hello(), which may call send()
    this.cfg.hello().forEach((data) => link.send(data));
    if (old || link.sealed || this.#outbox.size === 0) {
      this.#outbox.release(link);
    }
    this.#change({ state: "open", ...(old && { renewed: true }) });
    void old?.close(1000, "renewed");
  }

  /** #linkEnded handles the end of an open connection, or of one that was renewed. */
  #linkEnded(link: Link, how: Ended): void {
    if (link !== this.#link) {
      return;
    }
    this.#life?.end();
    this.#outbox.keep();
    if (!this.#next) {
      return this.#ended(how);
    }
    this.#orphaned = how;
    if (comesBack(this.#meaning(how))) {
      this.#change({ state: "connecting" });
    } else {
      void this.#next.close(1000, "");
    }
  }

  /** #renew opens a second connection with a new credential; the first stays open until then. */
  async #renew(after: number): Promise<void> {
    const { over } = this.#life!;
    for (let failures = 0; !over.aborted; failures++) {
      const { first, longest } = this.cfg.times;
      let delay = Math.min(longest, first * 2 ** failures) * (0.5 + Math.random() / 2);
      try {
        const ticket = await obtain(this.cfg, over, false);
        if (over.aborted || !isLater(ticket?.refresh_after, after)) {
          return;
        }
        this.#next = this.#dial(ticket, () => this.#notRenewed());
      } catch (err) {
        if (this.#noTicket(err).next !== "retry") {
          return; // the connection lasts until the server ends it
        }
        delay = Math.max(this.#held(), delay);
      }
      do {
        await pause(delay, over);
      } while (this.#next && !over.aborted);
    }
  }

  #notRenewed(): void {
    const how = this.#orphaned;
    this.#next = this.#orphaned = undefined;
    if (how) {
      this.#ended(how);
    }
  }

  #message(data: Message): void {
    this.#life?.pulse?.beat();
    if (this.#outbox.held) {
      this.#outbox.release(this.#link!);
    }
    this.#inboxes.push(data);
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  /** #after returns the delay after an end, or undefined if the client stops. */
  #after(how: Ending, end: Ended | undefined): number | undefined {
    // Without tickets a refused handshake looks like a failed one (1006). After `expired` it
    // is most likely a refusal.
    if (this.#expired && end && !end.opened) {
      return undefined;
    }
    this.#expired ||= how.next === "renew";
    const delay = this.#backoff.next(how, !!end?.opened && !end.cut);
    return delay === undefined ? delay : Math.max(offline() ? this.cfg.times.longest : 0, delay + this.#held());
  }

  /** #held returns the rest of Retry-After, capped because the clock may have been set back. */
  #held(): number {
    const now = Date.now();
    this.#notBefore = Math.min(this.#notBefore, now + longestRetryAfter);
    return Math.max(0, this.#notBefore - now);
  }

  /** #woke replaces a connection that may be dead, or brings the next attempt forward. */
  #woke(why: Wake): void {
    this.#delay?.hasten(Math.max(this.#backoff.soon(), this.#held()));
    if (this.state !== "open") {
      return;
    }
    if (this.#life?.pulse) {
      this.#life.pulse.ask();
    } else if (why !== "visible") {
      this.#link!.cut(); // after a sleep or a change of network, the server has ended it
    }
  }

  #finish(how: Ending): Ending {
    const last = lapsed(how);
    this.#change({ state: "closed", ending: last });
    while (this.#outbox.size > 0) {
      this.#undelivered(this.#outbox.shift()!, "closed");
    }
    this.#inboxes.end(last);
    return last;
  }

  #undelivered(data: Data, why: Undelivered["why"]): false {
    this.dispatchEvent(new CustomEvent("undelivered", { detail: { data, why } }));
    return false;
  }

  #change(detail: StateChange): void {
    this.state = detail.state;
    this.dispatchEvent(new CustomEvent("state", { detail }));
  }
}
