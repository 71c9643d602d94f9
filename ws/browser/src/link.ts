// One dial, and the life of its socket.

import type { Data, Message, Sealed, Sealing, Socket } from "./api.js";
import { own } from "./outbox.js";

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

export interface LinkConfig {
  WebSocket: new (url: string, protocols: string[]) => Socket;
  url: string;
  offer: string[]; // the application's, those of the sealing layer included
  ticket: string[]; // offered beside them, never to be selected
  seal: Sealing | undefined;
  connectTime: number;
  closeTime: number;
}

export class Link {
  #socket: Socket;
  #sealed: Sealed | undefined;
  #state: "dialling" | "open" | "closing" | "ended" = "dialling";
  #opened = false;
  #dropped = false;
  #local: { code: number; reason: string } | undefined; // how this side ended it
  #timer: ReturnType<typeof setTimeout>;

  constructor(
    private readonly cfg: LinkConfig,
    private readonly events: LinkEvents,
  ) {
    const socket = new cfg.WebSocket(cfg.url, [...cfg.offer, ...cfg.ticket]);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onerror = () => {}; // the close event follows
    socket.onopen = () => this.#handshake();
    socket.onmessage = (event: { data: Message }) => this.#receive(event.data);
    socket.onclose = (event: { code: number; reason: string }) => void this.#closed(event.code, event.reason);
    this.#timer = setTimeout(() => this.#end(3008, "timeout", 1006), cfg.connectTime);
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
    return this.#socket.bufferedAmount;
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
    const sealed = this.#state === "open" ? this.#sealed : undefined;
    if (sealed) {
      this.#timer = setTimeout(() => this.#abandon(), this.cfg.closeTime);
      this.#state = "closing";
      this.#local = { code, reason };
      await sealed.finish();
      clearTimeout(this.#timer);
    }
    this.#end(code, reason, code);
  }

  /** drop ends a connection that is taken for dead, without waiting for it. */
  drop(): void {
    this.#dropped = true;
    this.#end(3008, "timeout", 1006);
    this.#abandon();
  }

  #handshake(): void {
    const { protocol } = this.#socket;
    const { offer, seal, url } = this.cfg;
    if (this.#state !== "dialling") {
      return;
    }
    // Firefox opens where nothing was selected.
    if (offer.length > 0 ? !offer.includes(protocol) : protocol !== "") {
      return this.#end(closeProtocol, "protocol", closeProtocol);
    }
    const sealed = seal?.start({
      url,
      protocol,
      send: (frame) => this.#socket.send(frame),
      deliver: (message) => this.#deliver(message),
      ready: () => this.#open(),
      fail: () => this.#end(closePolicy, "decrypt", closePolicy),
      lost: () => this.#end(3008, "timeout", 1006),
    });
    if (sealed === false) {
      return this.#end(closePolicy, "not_sealed", closePolicy);
    }
    this.#sealed = sealed;
    if (!sealed) {
      this.#open();
    }
  }

  #open(): void {
    if (this.#state === "dialling") {
      clearTimeout(this.#timer);
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

  /** #end closes the socket; local is the code this side goes by. */
  #end(code: number, reason: string, local: number): void {
    if (this.#state === "ended") {
      return;
    }
    clearTimeout(this.#timer);
    this.#state = "closing";
    this.#local ??= { code: local, reason };
    this.#timer = setTimeout(() => this.#abandon(), this.cfg.closeTime);
    this.#socket.close(code, reason);
  }

  /** #abandon leaves a socket whose peer does not answer. */
  #abandon(): void {
    void this.#closed(1006, "");
  }

  async #closed(code: number, reason: string): Promise<void> {
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    const goodbye = (await this.#sealed?.drained()) ?? true;
    if (this.#state === "ended") {
      return;
    }
    clearTimeout(this.#timer);
    this.#state = "ended";
    const how = this.#local ?? { code, reason };
    const truncated = !this.#local && !goodbye && this.#opened;
    this.events.ended({
      ...how,
      opened: this.#opened,
      ...(truncated && { truncated }),
      ...(this.#dropped && { dropped: true }),
    });
  }
}
