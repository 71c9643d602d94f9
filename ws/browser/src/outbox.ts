// The queue of messages for the next connection: bounded, first in first out.

import type { Data } from "./api.js";

const utf8 = new TextEncoder();

export function sizeOf(data: Data): number {
  const size = typeof data === "string" ? utf8.encode(data).length : data.byteLength;
  if (!(size >= 0)) {
    throw new TypeError("securews: neither text nor bytes");
  }
  return size;
}

/** own copies bytes, so that later changes by the caller have no effect. */
export function own(data: Data): string | Uint8Array<ArrayBuffer> {
  if (typeof data === "string") {
    return data;
  }
  return new Uint8Array(ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : data.slice(0));
}

interface Outlet {
  readonly live: boolean;
  send(data: Data): void;
}

export class Outbox {
  #waiting: Data[] = [];
  #bytes = 0;
  #held: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly messages: number,
    private readonly bytes: number,
  ) {}

  get size(): number {
    return this.#waiting.length;
  }

  /** push reports whether there was room. */
  push(data: Data): boolean {
    const size = sizeOf(data);
    if (this.#waiting.length >= this.messages || this.#bytes + size > this.bytes) {
      return false;
    }
    this.#waiting.push(own(data));
    this.#bytes += size;
    return true;
  }

  /** shift removes and returns the oldest. */
  shift(): Data | undefined {
    const data = this.#waiting.shift();
    if (data !== undefined) {
      this.#bytes -= sizeOf(data);
    }
    return data;
  }

  get held(): boolean {
    return this.#held !== undefined;
  }

  /** hold delays sending for ms, or until release. */
  hold(outlet: Outlet, ms: number): void {
    this.#held = setTimeout(() => this.release(outlet), ms);
  }

  /** keep ends a hold without a release. */
  keep(): void {
    clearTimeout(this.#held);
    this.#held = undefined;
  }

  /** release sends the queue, in order, while the outlet is live. */
  release(outlet: Outlet): void {
    this.keep();
    while (outlet.live && this.size > 0) {
      outlet.send(this.shift()!);
    }
  }
}
