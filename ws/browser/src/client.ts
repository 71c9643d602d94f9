// The life of a client: one loop, so that there is never more than one dial in flight.

import type { Client, ClientEvents, Data, Ending, Message, State, Ticket, Undelivered } from "./api.js";
import { Backoff } from "./backoff.js";
import { protocolOf, refusal } from "./credential.js";
import { closedHere, lapsed, meaning, refused } from "./endings.js";
import { Inbox } from "./inbox.js";
import { Link, type Ended } from "./link.js";
import { Outbox, sizeOf } from "./outbox.js";
import { pause } from "./pause.js";
import { Pulse } from "./pulse.js";
import type { Settings } from "./settings.js";
import { TicketError } from "./ticket.js";
import { offline, watch, type Wake } from "./wake.js";

const longestTimer = 2 ** 31 - 1;

// A server may open a connection only to close it with a readable reason. What waited
// stays here until a message has come, or this long.
const holdTime = 100;

/**
 * isLater reports whether a new ticket's credential outlives that of the last: where it is
 * the same one, what is left of it is less than half.
 */
function isLater(refreshAfter: number | undefined, last: number): boolean {
  return !refreshAfter || refreshAfter > last / 2;
}

export class Reconnecting extends EventTarget implements Client {
  state: State = "connecting";
  readonly closed: Promise<Ending>;

  #link: Link | undefined; // the dial or connection at hand
  #outbox: Outbox;
  #inboxes = new Set<Inbox>();
  #backoff: Backoff;
  #pulse: Pulse | undefined;
  #closing: { code: number; reason: string } | undefined; // what close() was given
  #stop = new AbortController(); // ends what close() must not wait for
  #planned: Ticket | undefined; // of a planned reconnect
  #notBefore = 0; // what Retry-After said
  #hold: ReturnType<typeof setTimeout> | undefined; // until the queue may go out
  #resume: ((delay?: number) => void) | undefined; // of the wait at hand

  constructor(private readonly cfg: Settings) {
    super();
    const { first, longest, spread, sleep } = cfg.times;
    this.#backoff = new Backoff(first, longest, spread);
    this.#outbox = new Outbox(cfg.queue.messages, cfg.queue.bytes);
    const unwatch = watch(sleep, (why) => this.#woke(why));
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
    if (this.state !== "open" || !this.#link!.live || this.#hold) {
      return this.#outbox.push(data) || this.#undelivered(data, "full");
    }
    if (this.#link!.buffered + sizeOf(data) > this.cfg.queue.bytes) {
      return this.#undelivered(data, "full");
    }
    this.#link!.send(data);
    return true;
  }

  retry(): void {
    this.#resume?.(0);
  }

  close(code = 1000, reason = ""): Promise<Ending> {
    if (code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new RangeError(`securews: close: ${code} may not be sent`);
    }
    if (!this.#closing) {
      this.#closing = { code, reason };
      this.#stop.abort();
      this.#resume?.();
      void this.#link?.close(code, reason);
    }
    return this.closed;
  }

  [Symbol.asyncIterator](): AsyncIterator<Message> {
    const inbox = new Inbox(this.cfg.inbox, (done) => this.#inboxes.delete(done));
    this.#inboxes.add(inbox);
    if (this.state === "closed") {
      void this.closed.then((how) => inbox.end(how));
    }
    return inbox;
  }

  async #run(): Promise<Ending> {
    await undefined; // whoever connects can listen first
    for (;;) {
      const { how, opened } = await this.#attempt();
      this.#link = undefined;
      if (this.#planned && !this.#closing) {
        continue;
      }
      const delay = this.#delay(how, opened);
      if (delay === undefined) {
        return this.#finish(how);
      }
      this.#change("waiting", { ending: how, delay });
      await this.#wait(delay);
      if (this.#closing) {
        return this.#finish(this.#closed());
      }
    }
  }

  /** #attempt is a ticket, a dial, and the connection to its end. */
  async #attempt(): Promise<{ how: Ending; opened: boolean }> {
    this.#change("connecting", {});
    let ticket: Ticket | undefined;
    try {
      ticket = this.#planned ?? (await this.#ticket(this.#stop.signal));
    } catch (err) {
      return { how: this.#noTicket(err), opened: false };
    } finally {
      this.#planned = undefined;
    }
    if (this.#closing) {
      return { how: this.#closed(), opened: false };
    }
    const end = await this.#live(ticket);
    return { how: this.#closing ? this.#closed() : meaning(end), opened: end.opened };
  }

  async #ticket(signal: AbortSignal): Promise<Ticket | undefined> {
    if (!this.cfg.ticket) {
      return undefined;
    }
    // A source that does not heed its signal is not waited for.
    const stop = new AbortController();
    const gaveUp = new Promise<never>((_, reject) => {
      stop.signal.addEventListener("abort", () => reject(new TicketError(0, "timeout")));
    });
    gaveUp.catch(() => {});
    const abort = (): void => stop.abort();
    const timer = setTimeout(abort, this.cfg.times.connect);
    signal.addEventListener("abort", abort);
    if (signal.aborted) {
      abort();
    }
    try {
      const asked = this.cfg.ticket({ signal: stop.signal, renew: this.#backoff.renewing });
      const got = await Promise.race([asked, gaveUp]);
      const ticket = typeof got === "string" ? { ticket: got } : got;
      protocolOf(ticket);
      return ticket;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }

  #noTicket(err: unknown): Ending {
    if (this.#closing) {
      return this.#closed();
    }
    const { status, reason, retryAfter } = refusal(err);
    if (retryAfter) {
      this.#notBefore = Date.now() + retryAfter;
    }
    return refused(status, reason);
  }

  /** #live resolves when the socket has ended, and with it all that hangs on it. */
  async #live(ticket: Ticket | undefined): Promise<Ended> {
    const { times } = this.cfg;
    const timers: ReturnType<typeof setTimeout>[] = [];
    const gone = new AbortController();
    try {
      return await new Promise<Ended>((resolve) => {
        const link = new Link(
          { ...this.cfg, ticket: ticket ? [protocolOf(ticket)] : [], connectTime: times.connect, closeTime: times.close },
          {
            opened: () => {
              timers.push(setTimeout(() => this.#backoff.stable(), times.stable));
              const after = ticket?.refresh_after ?? 0;
              if (after > 0) {
                const ms = Math.min(after * 1000 * (1 - Math.random() / 10), longestTimer);
                timers.push(setTimeout(() => void this.#replace(link, after, gone.signal), ms));
              }
              this.#opened(link);
            },
            message: (data) => this.#message(data),
            ended: resolve,
          },
        );
        this.#link = link;
      });
    } catch (err) {
      return { code: 0, reason: String(err), opened: false }; // the browser would not dial
    } finally {
      timers.forEach(clearTimeout);
      gone.abort();
      clearTimeout(this.#hold);
      this.#hold = undefined;
      this.#pulse?.stop();
      this.#pulse = undefined;
    }
  }

  #opened(link: Link): void {
    this.#notBefore = 0;
    this.#greet(link);
    if (this.#outbox.size > 0 && !link.sealed) {
      this.#hold = setTimeout(() => this.#flush(), holdTime);
    } else {
      this.#flush();
    }
    if (this.cfg.heartbeat) {
      this.#pulse = new Pulse(this.cfg.heartbeat, (ping) => link.send(ping), () => link.drop());
    }
    this.#change("open", {});
  }

  #flush(): void {
    clearTimeout(this.#hold);
    this.#hold = undefined;
    while (this.#link?.live && this.#outbox.size > 0) {
      this.#link.send(this.#outbox.shift()!);
    }
  }

  #greet(link: Link): void {
    try {
      this.cfg.hello().forEach((data) => link.send(data));
    } catch (err) {
      queueMicrotask(() => {
        throw err; // hello's own mistake, reported like that of a listener
      });
    }
  }

  #message(data: Message): void {
    this.#pulse?.beat();
    if (this.#hold) {
      this.#flush();
    }
    for (const inbox of this.#inboxes) {
      inbox.push(data);
    }
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  /** #replace ends a connection before its credential does, once a new one is there. */
  async #replace(link: Link, after: number, gone: AbortSignal): Promise<void> {
    for (let failures = 0; !gone.aborted; failures++) {
      try {
        const ticket = await this.#ticket(gone);
        if (link.live && !this.#closing && isLater(ticket?.refresh_after, after)) {
          this.#planned = ticket;
          this.#change("connecting", {});
          await link.close(1000, "renewing");
        }
        return;
      } catch (err) {
        const { status, reason, retryAfter } = refusal(err);
        if (refused(status, reason).next !== "retry") {
          return; // the connection lives as long as the server lets it
        }
        const { first, longest } = this.cfg.times;
        const delay = Math.max(retryAfter || 0, Math.min(longest, first * 2 ** failures) * (0.5 + Math.random() / 2));
        await pause(delay, gone);
      }
    }
  }

  /** #delay is how long to wait, or undefined where the client ends. */
  #delay(how: Ending, opened: boolean): number | undefined {
    // Without tickets a refused handshake looks like a lost one (1006). After `expired`
    // it is taken for what it most likely is.
    if (this.#closing || (this.#backoff.renewing && !opened && !this.cfg.ticket)) {
      return undefined;
    }
    const delay = this.#backoff.next(how);
    if (delay === undefined) {
      return undefined;
    }
    return delay + Math.max(0, this.#notBefore - Date.now());
  }

  /** #wait ends after the delay, sooner if something wakes it, never before #notBefore. */
  #wait(delay: number): Promise<void> {
    if (offline()) {
      delay = Math.max(delay, this.cfg.times.longest);
    }
    let due = Date.now() + delay;
    return new Promise((resolve) => {
      let timer: ReturnType<typeof setTimeout>;
      const done = (): void => {
        this.#resume = undefined;
        resolve();
      };
      timer = setTimeout(done, delay);
      this.#resume = (sooner) => {
        if (sooner === undefined || this.#closing) {
          clearTimeout(timer);
          return done();
        }
        const at = Math.max(Date.now() + sooner, this.#notBefore);
        if (at < due) {
          due = at;
          clearTimeout(timer);
          timer = setTimeout(done, at - Date.now());
        }
      };
    });
  }

  /** #woke looks after a connection that may be dead, or hastens the next one. */
  #woke(why: Wake): void {
    this.#resume?.(this.#backoff.soon());
    if (this.state !== "open") {
      return;
    }
    if (this.#pulse) {
      this.#pulse.ask();
    } else if (why !== "visible") {
      this.#link!.drop(); // whoever slept, or changed networks, was given up by the server
    }
  }

  #closed(): Ending {
    return closedHere(this.#closing!.code, this.#closing!.reason);
  }

  #finish(how: Ending): Ending {
    const last = lapsed(how);
    this.#change("closed", { ending: last });
    while (this.#outbox.size > 0) {
      this.#undelivered(this.#outbox.shift()!, "closed");
    }
    for (const inbox of [...this.#inboxes]) {
      inbox.end(last);
    }
    return last;
  }

  #undelivered(data: Data, why: Undelivered["why"]): false {
    this.#tell("undelivered", { data, why });
    return false;
  }

  #change(state: State, more: Omit<ClientEvents["state"]["detail"], "state">): void {
    if (state !== this.state || state === "waiting") {
      this.state = state;
      this.#tell("state", { state, ...more });
    }
  }

  #tell(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
