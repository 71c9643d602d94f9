import type { Ticket } from "./api.js";

/** The ticket route refused. A TicketSource may throw it too: the status decides what follows. */
export class TicketError extends Error {
  constructor(
    readonly status: number,
    /** The stable word of the answer's problem+json, or "". */
    readonly reason = "",
    /** Milliseconds to wait at least (Retry-After). */
    readonly retryAfter = 0,
  ) {
    super(`securews: the ticket route answered ${status} ${reason}`);
  }
}

const longestRetryAfter = 300_000;

/** Retry-After is seconds or a date (RFC 9110 section 10.2.3). */
function retryAfter(header: string | null): number {
  if (!header) {
    return 0;
  }
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Math.min(Math.max(ms || 0, 0), longestRetryAfter);
}

async function reasonOf(answer: Response): Promise<string> {
  try {
    const { reason } = JSON.parse((await answer.text()).slice(0, 4096));
    return typeof reason === "string" ? reason : "";
  } catch {
    return "";
  }
}

/** Fetches a ticket: POST, without following redirects, and nothing is kept in a cache. */
export async function fetchTicket(url: string | URL, init: RequestInit = {}): Promise<Ticket> {
  const answer = await fetch(url, { method: "POST", cache: "no-store", redirect: "manual", ...init });
  if (answer.type === "opaqueredirect") {
    throw new TicketError(302, "redirect"); // to a login page, most likely
  }
  if (!answer.ok) {
    throw new TicketError(answer.status, await reasonOf(answer), retryAfter(answer.headers.get("Retry-After")));
  }
  return answer.json();
}
