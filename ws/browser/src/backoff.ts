// Exponential back-off with full jitter: a delay anywhere below a bound that doubles.

import type { Ending } from "./api.js";

export class Backoff {
  #failures = 0;
  #renewed = false;

  constructor(
    private readonly first: number,
    private readonly longest: number,
    private readonly spread: number,
  ) {}

  /** stable starts anew: a connection has lived. */
  stable(): void {
    this.#failures = 0;
    this.#renewed = false;
  }

  /** renewing reports whether a new credential was asked for since the last stable connection. */
  get renewing(): boolean {
    return this.#renewed;
  }

  /** next is the delay after an end, or undefined where the client must stop. */
  next({ next, code }: Ending): number | undefined {
    if (next === "renew" && !this.#renewed) {
      this.#renewed = true;
      return Math.random() * this.first;
    }
    if (next !== "retry") {
      return undefined;
    }
    // These hit every client at once, and a server that has just started must not be
    // met by all of them.
    const least = code === 1012 || code === 1013 ? this.spread : this.first;
    const bound = Math.max(least, this.first * 2 ** this.#failures++);
    return Math.random() * Math.min(bound, this.longest);
  }

  /** soon is the delay after a wake: short, and not the same for everybody. */
  soon(): number {
    return Math.random() * this.first;
  }
}
