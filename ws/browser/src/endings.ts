// The meaning of an end: a text for users, and the reaction.

import type { Ending } from "./api.js";
import type { Ended } from "./link.js";

type Next = Ending["next"];

const known: Record<string, [text: string, next: Next]> = {
  "0": ["No connection can be opened here", "stop"],
  "1001": ["The server is going away", "retry"],
  "1002": ["The server saw a protocol error", "stop"],
  "1003": ["The server takes no such message", "stop"],
  "1006": ["The connection was lost", "retry"],
  "1007": ["The server received text that is not UTF-8", "stop"],
  "1008": ["The server refused a message", "stop"],
  "1008 rate": ["Too many messages at once", "stop"],
  "1009": ["A message was too long", "stop"],
  "1011": ["The server has a problem", "retry"],
  "1012": ["The server is restarting", "retry"],
  "1013": ["The server is busy", "retry"],
  "1013 slow": ["This connection was too slow", "retry"],
  "3000": ["Please sign in", "sign-in"],
  "3000 expired": ["The sign-in has expired", "renew"],
  "3000 reauth": ["The server asks to sign in again", "renew"],
  "3000 revoked": ["Signed out", "sign-in"],
  "3003": ["This account may not be here", "stop"],
  "3008": ["The connection was silent for too long", "retry"],
  "4002": ["The server speaks another protocol", "stop"],
  "4008": ["The encryption could not be trusted", "stop"],
};

/** meaning returns the ending of a socket. */
export function meaning({ code, reason, truncated }: Ended): Ending {
  if (truncated && (code === 1000 || code === 1005)) {
    // An attacker who cut it may have forged the close frame: a normal closure does not count.
    [code, reason] = [1006, "truncated"];
  }
  const said: [string, Next] = ["The connection was closed", "stop"]; // 1000, 1005, and codes of the application
  const [text, next] = known[`${code} ${reason}`] ?? known[code] ?? said;
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
export function refused(status: number, reason: string, retryAfter: number): Ending {
  const [text, next] = answered(status, retryAfter);
  return { code: 0, status, reason, text, next };
}

function answered(status: number, retryAfter: number): [text: string, next: Next] {
  if (status === 401) {
    return known[retryAfter ? "3000 expired" : "3000"]!; // after a while another credential may be good
  }
  if (status === 403) {
    return known["3003"]!;
  }
  if (status === 429 || (status >= 500 && status !== 501 && status !== 505)) {
    return known["1013"]!;
  }
  if (status >= 300 && status !== 408 && status !== 425) {
    return ["The server gives no ticket", "stop"];
  }
  return ["The server could not be reached", "retry"];
}
