// One dial, and the life of its socket.

import type { Data, Message, Sealed, Socket } from "./api.js";
import { own } from "./outbox.js";
import type { Settings } from "./settings.js";

/** JavaScript may send 1000 and 3000-4999 only: 4002 stands for 1002, 4008 for 1008. */
export const closeProtocol = 4002;
export const closePolicy = 4008;

export interface Ended {
  code: number;
  reason: string;
  opened: boolean;
  truncated?: boolean;
  dropped?: boolean; // by drop: nobody else has lost anything
}

export interface LinkEvents {
  opened(): void;
  message(data: Message): void;
  ended(how: Ended): void;
}

export class Link {
  #socket: Socket;
  #sealed: Sealed | undefined;
  #state: "dialling" | "open" | "goodbye" | "closing" | "ended" = "dialling";
  #opened = false;
  #dropped = false;
  #local: { code: number; reason: string } | undefined; // how this side ended it
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
    this.#timer = setTimeout(() => this.#state === "dialling" && this.#lost(), cfg.times.connect);
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  get sealed(): boolean {
    return this.#sealed !== undefined;
  }

  /** live reports whether what is sent still goes out. */
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

  /** close ends in good order: after everything that was sent. */
  async close(code: number, reason: string): Promise<void> {
    if (this.#state === "closing") {
      return;
    }
    if (this.#state === "open" && this.#sealed) {
      this.#leave(code, reason);
      try {
        await this.#sealed.finish();
      } catch {} // without a sealed goodbye, then
    }
    this.#end(code, reason);
  }

  /** drop ends a connection that is taken for dead, without waiting for it. */
  drop(): void {
    this.#dropped = true;
    this.#lost();
    this.#ended();
  }

  #handshake(): void {
    const { protocol } = this.#socket;
    const { offer, seal, url } = this.cfg;
    if (this.#state !== "dialling") {
      return;
    }
    // Firefox opens where nothing was selected.
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
      lost: () => this.#lost(),
      goodbye: () => this.#goodbye(),
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

  /** #goodbye is the last that is sealed; the end of the socket follows, or else it is lost. */
  #goodbye(): void {
    if (this.#state === "open") {
      this.#state = "goodbye";
      this.#within(() => this.drop());
    }
  }

  /** #lost is the end of what is taken for dead. */
  #lost(): void {
    this.#end(3008, "timeout", 1006);
  }

  /** #end closes the socket; local is the code this side goes by. */
  #end(code: number, reason: string, local = code): void {
    if (this.#state !== "ended") {
      this.#leave(code, reason, local);
      this.#socket.close(code, reason);
    }
  }

  /** #leave begins the end. It is over in closeTime, whatever peer and sealing layer do. */
  #leave(code: number, reason: string, local = code): void {
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

  /** #closed follows the end of the socket. What came before it may still be sealed. */
  async #closed(code: number, reason: string): Promise<void> {
    const ended = (truncated: boolean): void => this.#ended({ code, reason, truncated });
    if (!this.#local) {
      this.#within(() => ended(true));
    }
    try {
      const goodbye = (await this.#sealed?.drained()) ?? true;
      ended(!goodbye && this.#opened);
    } catch {
      ended(true);
    }
  }

  #ended(theirs?: Pick<Ended, "code" | "reason" | "truncated">): void {
    if (this.#state === "ended") {
      return;
    }
    this.#socket.onopen = this.#socket.onmessage = null; // but onclose: see drained
    clearTimeout(this.#timer);
    this.#state = "ended";
    this.events.ended({
      ...(this.#local ?? theirs!),
      opened: this.#opened,
      ...(this.#dropped && { dropped: true }),
    });
  }
}
