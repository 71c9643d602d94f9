// The subprotocol of a ticket, and the failures of a source.

import type { Ticket } from "./api.js";
import { TicketError } from "./ticket.js";

/** protocolOf returns the subprotocol of a ticket; it must be base64url, or browsers refuse to dial. */
export function protocolOf(ticket: Ticket): string {
  const protocol = ticket.subprotocol ?? (ticket.ticket && `ticket.${ticket.ticket}`);
  if (!/^ticket\.[\w-]+$/.test(protocol)) {
    throw new TicketError(502, "malformed");
  }
  return protocol;
}

/** refusal returns the error of a source as a TicketError, with status 0 if it is another error. */
export function refusal(err: unknown): TicketError {
  // Not instanceof: the page may have loaded this module twice.
  const { status, reason, retryAfter } = (err ?? {}) as Partial<TicketError>;
  return typeof status === "number" ? new TicketError(status, reason, retryAfter) : new TicketError(0, "unreachable");
}
