// One ticket for each dial: its source, its subprotocol, and the failures of the source.

import type { Ticket } from "./api.js";
import { pause } from "./pause.js";
import type { Settings } from "./settings.js";
import { TicketError } from "./ticket.js";

/** protocolOf returns the subprotocol of a ticket; it must be base64url, or browsers refuse to dial. */
function protocolOf(ticket: Ticket): string {
  const protocol = ticket.subprotocol ?? (ticket.ticket && `ticket.${ticket.ticket}`);
  if (!/^ticket\.[\w-]+$/.test(protocol)) {
    throw new TicketError(502, "malformed");
  }
  return protocol;
}

/** refusalOf returns the error of a source as a TicketError, with status 0 if it is another error. */
export function refusalOf(err: unknown): TicketError {
  // Not instanceof: the page may have loaded this module twice.
  const { status, reason, retryAfter, passes } = (err ?? {}) as TicketError;
  return status >= 0 ? new TicketError(status, reason, retryAfter, passes) : new TicketError(0, "unreachable");
}

/** Credential is a ticket; without one, protocols is empty. */
export interface Credential {
  protocols: string[];
  /** The seconds after which to open another connection; 0: none. */
  refreshAfter: number;
}

/** obtain calls the source, and waits no longer than a dial may take. */
export async function obtain(cfg: Settings, signal: AbortSignal, renew: boolean): Promise<Credential> {
  if (!cfg.ticket) {
    return { protocols: [], refreshAfter: 0 };
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
    return { protocols: [protocolOf(ticket)], refreshAfter: ticket.refresh_after ?? 0 };
  } finally {
    stop.abort();
  }
}
