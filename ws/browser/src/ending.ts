// How a connection, or an attempt at one, ended: the cause, its text for users, and the reaction.

import type { Ending } from "./api.js";
import type { Backoff } from "./backoff.js";
import { refusalOf } from "./credential.js";
import type { SocketEnding } from "./link.js";
import type { Settings } from "./settings.js";

// By close code and reason; the first that matches holds.
const known: readonly [RegExp, text: string, next: Ending["next"]][] = [
  [/^10(01|12)/, "The server is restarting", "retry"],
  [/^(1006|3008)/, "The connection was lost", "retry"],
  [/^1014/, "The server could not be reached", "retry"],
  [/^101[13]/, "The server is busy", "retry"],
  [/^10(0[237-9]|10)/, "The server refused a message", "stop"],
  [/^3000 (expired|reauth)$/, "The sign-in has expired", "renew"],
  [/^3000 revoked$/, "Signed out", "sign-in"],
  [/^3000/, "Please sign in", "sign-in"],
  [/^3003/, "Not allowed here", "stop"],
  [/^/, "The connection was closed", "stop"],
];

/** ending completes an ending that means the same as a code and reason, with another attempt if the options list it. */
function ending(how: Omit<Ending, "text" | "next">, like: string, { retryCodes, retryStatuses }: Settings): Ending {
  const [, text, next] = known.find(([form]) => form.test(like))!;
  const listed = how.code ? retryCodes.includes(how.code) : retryStatuses.includes(how.status!);
  return { ...how, text, next: listed && next !== "renew" ? "retry" : next };
}

/** meaning returns the ending of a socket. */
export function meaning({ code, reason, truncated }: SocketEnding, cfg: Settings): Ending {
  if (truncated && (code === 1000 || code === 1005)) {
    // An attacker who cut it may have forged the close frame: a normal closure does not count.
    [code, reason] = [1006, "truncated"];
  }
  return ending({ code, reason, ...(truncated && { truncated }) }, `${code} ${reason}`, cfg);
}

/** refused returns the ending of an attempt that got no ticket, whose Retry-After the back-off follows. */
export function refused(err: unknown, cfg: Settings, backoff: Backoff): Ending {
  const { status, reason, retryAfter, passes } = refusalOf(err);
  backoff.notBefore = Date.now() + retryAfter;
  let like = status === 403 ? "3003" : "1000";
  if (status === 429 || (status >= 500 && (passes || (status !== 501 && status !== 505)))) {
    like = "1013";
  } else if (passes || status < 300 || status === 408 || status === 425) {
    like = "1014";
  } else if (status === 401) {
    like = retryAfter ? "3000 expired" : "3000"; // after a while another credential may be good
  }
  return ending({ code: 0, status, reason }, like, cfg);
}

/**
 * named returns the ending of an attempt that failed, with its likely cause if the browser tells that:
 * the page was denied the local network (Local Network Access). The page's own host is always allowed.
 */
export async function named(how: Ending, { url }: Settings, end?: SocketEnding): Promise<Ending> {
  if (how.next === "retry" && !how.status && !end?.opened) {
    try {
      const { state } = await navigator.permissions.query({ name: "local-network-access" as PermissionName });
      if (state === "denied" && new URL(url).host !== location.host) {
        return { ...how, reason: "local_network" };
      }
    } catch {} // another browser, or none
  }
  return how;
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
