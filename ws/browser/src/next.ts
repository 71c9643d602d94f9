// The reaction to an ending: Ending.next of api.ts says which, and the window when.

import type { Ending } from "./api.js";
import type { SocketEnding } from "./link.js";
import type { Settings } from "./settings.js";

/** History sums up the endings so far. */
export interface History {
  /** In a row, as the back-off counts them. */
  failures: number;
  /** A credential was refused, and none was accepted since. */
  refused?: boolean;
  /** A credential was refused, and neither was there a ticket nor was it accepted since. */
  renew?: boolean;
}

/**
 * follow adds an ending to the history and returns the window, in ms, of the random delay before
 * another attempt; 0: the client stops. end is the ending of the socket, if there was one.
 */
export function follow(
  past: History,
  { next, status }: Ending,
  end: SocketEnding | undefined,
  { first, longest, spread }: Settings["times"],
): number {
  // Without tickets a refused handshake looks like a failed one (1006). After `expired` it is
  // most likely a refusal.
  if (past.renew && end && !end.opened) {
    return 0;
  }
  if (next === "renew") {
    const again = past.refused;
    past.refused = past.renew = true;
    if (!status) {
      return again ? 0 : first; // the end of a credential does not count as a failure
    }
    // the ticket route says when
  } else if (next !== "retry") {
    return 0;
  }
  // All clients of a failed server lose their connections at the same moment.
  while (end?.opened && !end.cut && first * 2 ** past.failures < spread) {
    past.failures++;
  }
  return Math.min(first * 2 ** past.failures++, longest);
}
