import type { Ticket } from "./api.js";
import { read } from "./answer.js";

export const longestRetryAfter = 300_000; // beyond 2^31 a timer would end at once
const longestAnswer = 16 << 10;
const patience = 300; // for the reason of a refusal

// The reasons of the refusals by which the ticket route of a securews server stops a client.
const known = /^(forbidden|(tls|host|origin|fetch|no|multiple|credential|insufficient|method|header)_\w+)$/;

/**
 * A refusal of the ticket route. A TicketSource may throw it too; its status decides the
 * reaction, unless it passes.
 */
export class TicketError extends Error {
  /** The least time to wait in milliseconds (Retry-After), up to 5 minutes. */
  readonly retryAfter: number;

  constructor(
    readonly status: number,
    /** The stable word of the answer's problem+json, or "". */
    readonly reason = "",
    retryAfter = 0,
    /** Whether the answer is not one of the server, but of a router or proxy. */
    readonly passes = false,
  ) {
    super(`securews: ticket: ${status} ${reason}`);
    this.retryAfter = Math.min(Math.max(retryAfter || 0, 0), longestRetryAfter);
  }
}

/** retryAfter parses seconds or a date (RFC 9110 section 10.2.3). */
function retryAfter(header: string): number {
  return /^\d+$/.test(header) ? +header * 1000 : Date.parse(header) - Date.now();
}

/** Fetches a ticket with a POST, without following redirects and without a cache. */
export async function fetchTicket(url: string | URL, init: RequestInit = {}): Promise<Ticket> {
  const answer = await fetch(url, { method: "POST", cache: "no-store", redirect: "manual", ...init });
  const { status, headers } = answer;
  const body = read(answer, longestAnswer, new TicketError(502, "malformed"));
  if (!answer.ok) {
    const late = new Promise<undefined>((resolve) => setTimeout(resolve, patience));
    const said = (await Promise.race([body.catch(() => null), late]))?.reason;
    const reason = typeof said === "string" ? said : "";
    const passes = !/^application\/problem\+json/.test(headers.get("Content-Type")!) || !known.test(reason);
    throw new TicketError(status, reason, retryAfter(headers.get("Retry-After")!), passes);
  }
  return body;
}
