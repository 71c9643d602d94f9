// The delay before the next attempt, and the wait until it is over. The back-off is exponential
// with full jitter: a random delay below a bound that doubles.

import { pause } from "./pause.js";
import type { Settings } from "./settings.js";
import { longestRetryAfter } from "./ticket.js";
import { offline } from "./watch.js";

export interface Backoff {
  /** The page is put aside. */
  aside: boolean;
  /** The end of a Retry-After; 0: there is none. */
  notBefore: number;
  /**
   * Begins the wait before the next attempt, and returns it in ms: a random part of the window, or the
   * time that hasten was given not long ago; after a Retry-After.
   */
  begin(window: number): number;
  /** Resolves when the next attempt is due. */
  wait(): Promise<void>;
  /**
   * Ends the wait in ms at the latest, but not before a Retry-After is over. An overdue timer was
   * stopped by a sleep, and is restarted. Without a wait, the next one ends in ms, once.
   */
  hasten(ms: number): void;
  /** Returns the rest of Retry-After. */
  held(): number;
}

// An attempt under way ends within this time, by default, and so does a lost connection that the
// browser has yet to report.
const recent = 10_000;

export function backoffOf({ longest }: Settings["times"]): Backoff {
  let due = 0; // when the wait ends or, if there is none, when hasten wants the next one to end
  let waiting: AbortController | undefined; // aborted when due has changed

  const backoff: Backoff = {
    aside: false,
    notBefore: 0,

    begin(window) {
      const early = due - Date.now();
      const delay =
        Math.max(backoff.aside || offline() ? longest : 0, early + recent > 0 ? early : Math.random() * window) + backoff.held();
      due = Date.now() + delay;
      return delay;
    },

    async wait() {
      while (due > Date.now()) {
        waiting = new AbortController();
        await pause(due - Date.now(), waiting.signal);
      }
      due = 0;
    },

    hasten(ms) {
      const at = Date.now() + Math.max(ms, backoff.held());
      if (at < due || due < Date.now()) {
        due = at;
        waiting?.abort();
      }
    },

    held() {
      backoff.notBefore = Math.min(backoff.notBefore, Date.now() + longestRetryAfter); // the clock may have been set back
      return Math.max(0, backoff.notBefore - Date.now());
    },
  };
  return backoff;
}
