// One ticket for each dial.

import type { Ticket } from "./api.js";
import { protocolOf } from "./credential.js";
import { pause } from "./pause.js";
import type { Settings } from "./settings.js";
import { TicketError } from "./ticket.js";

/** obtain calls the source, and waits no longer than a dial may take. */
export async function obtain(cfg: Settings, signal: AbortSignal, renew: boolean): Promise<Ticket | undefined> {
  if (!cfg.ticket) {
    return undefined;
  }
  signal.throwIfAborted();
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort(), { signal: stop.signal });
  try {
    // The race ends also if the source ignores its signal.
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
 * isLater reports whether the credential of a new ticket outlives that of the last. If it is
 * the same one, less than half of its time remains.
 */
export function isLater(refreshAfter: number | undefined, last: number): boolean {
  return !refreshAfter || refreshAfter > last / 2;
}
