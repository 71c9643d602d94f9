// One dial, and its socket.

import type { Data, Message, Sealed, Socket } from "./api.js";
import { own } from "./outbox.js";
import type { Settings } from "./settings.js";

/** JavaScript may send 1000 and 3000-4999 only: 4002 replaces 1002, 4008 replaces 1008. */
export const closeProtocol = 4002;
export const closePolicy = 4008;

export interface Ended {
  code: number;
  reason: string;
  opened: boolean;
  truncated?: boolean;
  cut?: boolean; // by cut(): other clients are not affected
}

export interface LinkEvents {
  opened(): void;
  message(data: Message): void;
  ended(how: Ended): void;
}

export class Link {
  #socket: Socket;
  #sealed: Sealed | undefined;
  #state: "dialling" | "open" | "peer closed" | "closing" | "ended" = "dialling";
  #opened = false;
  #cut = false;
  #local: { code: number; reason: string } | undefined; // set if this side ended it
  #timer: ReturnType<typeof setTimeout>;

  /** ticket is offered beside the real subprotocols, never to be selected. */
  constructor(
    private readonly cfg: Settings,
    ticket: string[],
    private readonly events: LinkEvents,
  ) {
    const socket = new cfg.WebSocket(cfg.url, [...cfg.offer, ...ticket]);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onerror = () => {}; // the close event follows
    socket.onopen = () => this.#handshake();
    socket.onmessage = (event: { data: Message }) => this.#receive(event.data);
    socket.onclose = (event: { code: number; reason: string }) => void this.#closed(event.code, event.reason);
    this.#timer = setTimeout(() => this.#state === "dialling" && this.#timedOut(), cfg.times.connect);
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  get sealed(): boolean {
    return this.#sealed !== undefined;
  }

  /** live reports whether messages can be sent. */
  get live(): boolean {
    return this.#state === "open" && this.#socket.readyState === 1;
  }

  get buffered(): number {
    return this.#socket.bufferedAmount + (this.#sealed?.buffered ?? 0);
  }

  send(data: Data): void {
    if (this.#sealed) {
      this.#sealed.send(data);
    } else {
      this.#socket.send(own(data));
    }
  }

  /** close closes normally: after the messages that were sent. */
  async close(code: number, reason: string): Promise<void> {
    if (this.#state === "closing") {
      return;
    }
    if (this.#state === "open" && this.#sealed) {
      this.#beginEnd(code, reason);
      try {
        await this.#sealed.finish();
      } catch {} // close without the close record
    }
    this.#end(code, reason);
  }

  /** cut ends a connection that seems dead, without waiting for the peer. */
  cut(): void {
    this.#cut = true;
    this.#timedOut();
    this.#ended();
  }

  #handshake(): void {
    const { protocol } = this.#socket;
    const { offer, seal, url } = this.cfg;
    if (this.#state !== "dialling") {
      return;
    }
    // Firefox opens a connection even if no subprotocol was selected.
    if (offer.length > 0 ? !offer.includes(protocol) : protocol !== "") {
      return this.#end(closeProtocol, "protocol");
    }
    const sealed = seal?.start({
      url,
      protocol,
      send: (frame) => this.#socket.send(frame),
      deliver: (message) => this.#deliver(message),
      ready: () => this.#open(),
      fail: () => {
        this.#end(closePolicy, "decrypt");
        this.#ended();
      },
      cut: () => this.#timedOut(),
      peerClosed: () => this.#peerClosed(),
    });
    if (sealed === false) {
      return this.#end(closePolicy, "not_sealed");
    }
    this.#sealed = sealed;
    if (!sealed) {
      this.#open();
    }
  }

  #open(): void {
    if (this.#state === "dialling") {
      this.#state = "open";
      this.#opened = true;
      this.events.opened();
    }
  }

  #receive(data: Message): void {
    if (this.#sealed) {
      this.#sealed.receive(data);
    } else {
      this.#deliver(data);
    }
  }

  #deliver(data: Message): void {
    if (this.#state === "open") {
      this.events.message(data);
    }
  }

  /** #peerClosed follows the peer's close record; the socket must end soon, or it is cut. */
  #peerClosed(): void {
    if (this.#state === "open") {
      this.#state = "peer closed";
      this.#within(() => this.cut());
    }
  }

  /** #timedOut ends a connection that seems dead. */
  #timedOut(): void {
    this.#end(3008, "timeout", 1006);
  }

  /** #end closes the socket; local is the code that this side reports. */
  #end(code: number, reason: string, local = code): void {
    if (this.#state !== "ended") {
      this.#beginEnd(code, reason, local);
      this.#socket.close(code, reason);
    }
  }

  /** #beginEnd bounds the end by times.close, regardless of peer and sealing layer. */
  #beginEnd(code: number, reason: string, local = code): void {
    if (this.#state !== "closing") {
      this.#state = "closing";
      this.#local = { code: local, reason };
      this.#within(() => {
        this.#socket.close(code, reason);
        this.#socket.terminate?.();
        this.#ended();
      });
    }
  }

  #within(late: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(late, this.cfg.times.close);
  }

  /** #closed follows the end of the socket. Messages before it may still have to be opened. */
  async #closed(code: number, reason: string): Promise<void> {
    const ended = (truncated: boolean): void => this.#ended({ code, reason, truncated });
    if (!this.#local) {
      this.#within(() => ended(true));
    }
    try {
      const complete = (await this.#sealed?.drained()) ?? true;
      ended(!complete && this.#opened);
    } catch {
      ended(true);
    }
  }

  #ended(theirs?: Pick<Ended, "code" | "reason" | "truncated">): void {
    if (this.#state === "ended") {
      return;
    }
    this.#socket.onopen = this.#socket.onmessage = null; // onclose stays: see drained
    clearTimeout(this.#timer);
    this.#state = "ended";
    this.events.ended({
      ...(this.#local ?? theirs!),
      opened: this.#opened,
      ...(this.#cut && { cut: true }),
    });
  }
}
