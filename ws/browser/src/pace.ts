// When the next attempt follows an end, and whether one does. The back-off is exponential with
// full jitter: a random delay below a bound that doubles.

import type { Ending } from "./api.js";
import { pause } from "./delay.js";
import type { Ended } from "./link.js";
import { longestRetryAfter } from "./ticket.js";
import type { Settings } from "./settings.js";
import { offline } from "./wake.js";

export interface Pace {
  /** The credential has expired, and neither was there a ticket nor was it accepted since. */
  expired: boolean;
  /** The page is put aside. */
  aside: boolean;
  /** Ends the time of a Retry-After. */
  opened(): void;
  /** Follows a connection that shows that its credential was accepted. */
  accepted(): void;
  /** Resets the back-off, after a connection that lived long enough. */
  stable(): void;
  /** Follows a Retry-After of ms. */
  refused(ms: number): void;
  /** Begins the wait after an end and returns it in ms, or undefined if the client stops. */
  after(how: Ending, end?: Ended): number | undefined;
  /** Resolves when the next attempt is due. */
  wait(): Promise<void>;
  /**
   * Ends the wait in ms at the latest, but not before a Retry-After is over. An overdue timer was
   * stopped by a sleep, and is restarted.
   */
  hasten(ms: number): void;
  /** Returns the rest of Retry-After. */
  held(): number;
  /** Returns a short random delay. */
  soon(): number;
}

export function paceOf({ first, longest, spread }: Settings["times"]): Pace {
  let failures = 0;
  let renewed = false; // since the last credential that was accepted
  let notBefore = 0; // set by Retry-After
  let due = 0;
  let waiting: AbortController | undefined; // aborted when due has changed

  const pace: Pace = {
    expired: false,
    aside: false,

    opened() {
      notBefore = 0;
    },

    accepted() {
      renewed = pace.expired = false;
    },

    stable() {
      failures = 0;
    },

    refused(ms) {
      notBefore = Date.now() + ms;
    },

    after({ next, status }, end) {
      // Without tickets a refused handshake looks like a failed one (1006). After `expired` it
      // is most likely a refusal.
      if (pace.expired && end && !end.opened) {
        return undefined;
      }
      pace.expired ||= next === "renew";
      let delay = pace.soon();
      if (next === "renew" && (status || !renewed)) { // the ticket route says when, too
        renewed = true;
      } else if (next === "retry") {
        // All clients of a failed server lose their connections at the same moment.
        while (end?.opened && !end.cut && first * 2 ** failures < spread) {
          failures++;
        }
        delay = Math.random() * Math.min(first * 2 ** failures++, longest);
      } else {
        return undefined;
      }
      delay = Math.max(offline() || pace.aside ? longest : 0, delay + pace.held());
      due = Date.now() + delay;
      return delay;
    },

    async wait() {
      for (let left; (left = due - Date.now()) > 0; ) {
        waiting = new AbortController();
        await pause(left, waiting.signal);
      }
    },

    hasten(ms) {
      const at = Date.now() + Math.max(ms, pace.held());
      if (at < due || due < Date.now()) {
        due = at;
        waiting?.abort();
      }
    },

    held() {
      notBefore = Math.min(notBefore, Date.now() + longestRetryAfter); // the clock may have been set back
      return Math.max(0, notBefore - Date.now());
    },

    soon: () => Math.random() * first,
  };
  return pace;
}
