// A ticket per dial.

import type { Ticket } from "./api.js";
import { protocolOf } from "./credential.js";
import { pause } from "./pause.js";
import type { Settings } from "./settings.js";
import { TicketError } from "./ticket.js";

/** obtain asks the source, for no longer than the dial may take. */
export async function obtain(cfg: Settings, signal: AbortSignal, renew: boolean): Promise<Ticket | undefined> {
  if (!cfg.ticket) {
    return undefined;
  }
  signal.throwIfAborted();
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort(), { signal: stop.signal });
  try {
    // A source that does not heed its signal is not waited for.
    const got = await Promise.race([
      cfg.ticket({ signal: stop.signal, renew }),
      pause(cfg.times.connect, stop.signal).then(() => {
        throw new TicketError(0, "timeout");
      }),
    ]);
    const ticket = typeof got === "string" ? { ticket: got } : got;
    protocolOf(ticket);
    return ticket;
  } finally {
    stop.abort();
  }
}

/**
 * isLater reports whether a new ticket's credential outlives that of the last: where it is
 * the same one, what is left of it is less than half.
 */
export function isLater(refreshAfter: number | undefined, last: number): boolean {
  return !refreshAfter || refreshAfter > last / 2;
}
