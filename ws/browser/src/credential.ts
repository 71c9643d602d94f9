// A ticket as it is offered, and what a source's failure says.

import type { Ticket } from "./api.js";
import { TicketError } from "./ticket.js";

/** protocolOf is what to offer for a ticket; it must be base64url, or no browser dials. */
export function protocolOf(ticket: Ticket): string {
  const protocol = ticket.subprotocol ?? (ticket.ticket && `ticket.${ticket.ticket}`);
  if (!/^ticket\.[\w-]+$/.test(protocol)) {
    throw new TicketError(502, "malformed");
  }
  return protocol;
}

/** refusal reads what a source has thrown; anything else than a TicketError is no answer. */
export function refusal(err: unknown): TicketError {
  // Not instanceof: the page may have loaded this module twice.
  const { status, reason, retryAfter } = (err ?? {}) as Partial<TicketError>;
  return typeof status === "number" ? new TicketError(status, reason, retryAfter) : new TicketError(0, "unreachable");
}
