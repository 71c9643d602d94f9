// The meaning of an end: a text for users, and the reaction.

import type { Ending } from "./api.js";
import type { Ended } from "./link.js";
import type { Settings } from "./settings.js";
import type { TicketError } from "./ticket.js";

type Next = Ending["next"];

const known: Record<string, readonly [text: string, next?: Next]> = {
  "0": ["No connection can be opened here"],
  "1001": ["The server is going away", "retry"],
  "1006": ["The connection was lost", "retry"],
  "1008 rate": ["Too many messages at once"],
  "1009": ["A message was too long"],
  "1011": ["The server has a problem", "retry"],
  "1012": ["The server is restarting", "retry"],
  "1013": ["The server is busy", "retry"],
  "1013 slow": ["The connection was too slow", "retry"],
  "1014": ["The server could not be reached", "retry"],
  "3000": ["Please sign in", "sign-in"],
  "3000 expired": ["The sign-in has expired", "renew"],
  "3000 reauth": ["Please sign in again", "renew"],
  "3000 revoked": ["Signed out", "sign-in"],
  "3003": ["This account may not be here"],
  "3008": ["The connection was silent for too long", "retry"],
  "4002": ["The server speaks another protocol"],
  "4008": ["The encryption could not be trusted"],
};

/** meaning returns the ending of a socket. */
export function meaning({ code, reason, truncated }: Ended): Ending {
  if (truncated && (code === 1000 || code === 1005)) {
    // An attacker who cut it may have forged the close frame: a normal closure does not count.
    [code, reason] = [1006, "truncated"];
  }
  const [text, next = "stop"] = known[`${code} ${reason}`] ?? known[code] ?? (code > 1001 && code < 1011 && code !== 1005 ? ["The server refused a message"] : ["The connection was closed"]);
  return { code, reason, text, next, ...(truncated && { truncated }) };
}

/** closedHere returns the ending of close(). */
export function closedHere(code: number, reason: string): Ending {
  return { code, reason, text: "Closed", next: "stop" };
}

/** comesBack reports whether an attempt may follow. */
export function comesBack({ next }: Ending): boolean {
  return next === "renew" || next === "retry";
}

/** lapsed returns the end of a client that could not renew its credential. */
export function lapsed(how: Ending): Ending {
  return comesBack(how) ? { ...how, text: "Please sign in", next: "sign-in" } : how;
}

/** refused returns the ending of an attempt that failed at the ticket route. */
export function refused({ status, reason, retryAfter, passes }: TicketError): Ending {
  const [text, next = "stop"] = answered(status, retryAfter, passes);
  return { code: 0, status, reason, text, next };
}

/** unless returns the ending with another attempt, if it stops and the options list its code or status. */
export function unless(how: Ending, { retryCodes, retryStatuses }: Settings): Ending {
  const listed = how.code ? retryCodes.includes(how.code) : retryStatuses.includes(how.status!);
  return listed && !comesBack(how) ? { ...how, next: "retry" } : how;
}

function answered(status: number, retryAfter: number, passes: boolean): (typeof known)[string] {
  const says = (key: string): (typeof known)[string] => known[key]!;
  if (status === 429 || (status >= 500 && (passes || (status !== 501 && status !== 505)))) {
    return says("1013");
  }
  if (passes || status < 300 || status === 408 || status === 425) {
    return says("1014");
  }
  if (status === 401) {
    return says(retryAfter ? "3000 expired" : "3000"); // after a while another credential may be good
  }
  return status === 403 ? says("3003") : ["The server gives no ticket"];
}
