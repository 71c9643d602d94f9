// Exponential back-off with full jitter: a delay anywhere below a bound that doubles.

import type { Ending } from "./api.js";

export class Backoff {
  #failures = 0;
  #renewed = false; // since the last stable connection

  constructor(private readonly times: { first: number; longest: number; spread: number }) {}

  /** stable starts anew: a connection has lived. */
  stable(): void {
    this.#failures = 0;
    this.#renewed = false;
  }

  /** next is the delay after an end, or undefined where the client must stop. */
  next({ next }: Ending, lost: boolean): number | undefined {
    const { first, longest, spread } = this.times;
    if (next === "renew" && !this.#renewed) {
      this.#renewed = true;
      return this.soon();
    }
    if (next !== "retry") {
      return undefined;
    }
    // Whoever loses a server does so together with everybody else.
    while (lost && first * 2 ** this.#failures < spread) {
      this.#failures++;
    }
    return Math.random() * Math.min(first * 2 ** this.#failures++, longest);
  }

  /** soon is short, and not the same for everybody. */
  soon(): number {
    return Math.random() * this.times.first;
  }
}
