// Exponential back-off with full jitter: a random delay below a bound that doubles.

import type { Ending } from "./api.js";

export class Backoff {
  #failures = 0;
  #renewed = false; // since the last credential that was accepted

  constructor(private readonly times: { first: number; longest: number; spread: number }) {}

  /** stable resets the back-off, after a connection that lived long enough. */
  stable(): void {
    this.#failures = 0;
  }

  /** accepted allows another renewal, after a connection that shows that its credential was accepted. */
  accepted(): void {
    this.#renewed = false;
  }

  /** next returns the delay after an end, or undefined if the client must stop. */
  next({ next, status }: Ending, opened: boolean): number | undefined {
    const { first, longest, spread } = this.times;
    if (next === "renew" && (status || !this.#renewed)) { // the ticket route says when, too
      this.#renewed = true;
      return this.soon();
    }
    if (next !== "retry") {
      return undefined;
    }
    // All clients of a failed server lose their connections at the same moment.
    while (opened && first * 2 ** this.#failures < spread) {
      this.#failures++;
    }
    return Math.random() * Math.min(first * 2 ** this.#failures++, longest);
  }

  /** soon returns a short random delay. */
  soon(): number {
    return Math.random() * this.times.first;
  }
}
