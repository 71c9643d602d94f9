// The timers of an open connection: the one after which it is stable, the renewal, and the
// heartbeat. A server of this module answers a ping after it has read the messages before it,
// which are thereby confirmed. Any message shows that the peer is alive.

import type { Link } from "./link.js";
import type { History } from "./next.js";
import type { Settings } from "./settings.js";

type Timer = ReturnType<typeof setTimeout> | undefined;

const longestTimer = 2 ** 31 - 1;
const acceptedAfter = 1_000;
const confirmAfter = 250;

export interface Lifetime {
  /** Aborted when the connection ends. */
  readonly over: AbortSignal;
  /** Restarts the interval: the peer is alive. answered: it has confirmed the messages before the last ping. */
  beat(answered?: boolean): void;
  /** Sends a ping now, unless one is under way; false if the server would not answer one. */
  ask(): boolean;
  end(): void;
}

/** begin calls renew when the credential should be renewed; its argument is the number of seconds it was valid. */
export function begin(cfg: Settings, link: Link, past: History, refreshAfter: number, renew: (after: number) => void): Lifetime {
  const { stable } = cfg.times;
  const { every, timeout, ping } = cfg.heartbeat;
  const { unconfirmed } = link;
  const over = new AbortController();
  let silence: Timer; // until the server is asked
  let soon: Timer; // the same, to confirm messages
  let patience: Timer; // until a server that was asked is taken for dead
  let asked: number | undefined; // messages that the next answer confirms

  const beat = (answered?: boolean): void => {
    clearTimeout(silence);
    clearTimeout(patience);
    patience = undefined;
    silence = setTimeout(ask, every * (1 - Math.random() / 5));
    if (answered) {
      unconfirmed.splice(0, asked);
      asked = undefined;
    }
    if (unconfirmed.length > 0) {
      link.sending!();
    }
  };

  const ask = (): boolean => {
    clearTimeout(silence);
    clearTimeout(soon);
    soon = undefined;
    if (link.serverLimit) {
      if (asked === undefined) {
        asked = unconfirmed.length;
        link.ping();
      }
    } else if (ping) {
      link.send(ping(), true);
    } else {
      return false;
    }
    patience ??= setTimeout(link.cut, timeout);
    return true;
  };

  const accepted = (): void => {
    past.refused = past.renew = false;
    link.foreign();
  };
  // No renewal before the connection counts as a success, so that no answer causes a tight loop.
  const renewal = Math.min(Math.max(stable, refreshAfter * 1000 * (1 - Math.random() / 10)), longestTimer);
  const timers: Timer[] = [
    setTimeout(accepted, Math.min(stable, acceptedAfter)),
    setTimeout(() => (past.failures = 0), stable),
    refreshAfter > 0 ? setTimeout(() => renew(refreshAfter), renewal) : undefined,
  ];
  link.sending = () => {
    if (link.serverLimit) {
      soon ??= setTimeout(ask, confirmAfter);
    }
  };
  beat();

  return {
    over: over.signal,
    beat,
    ask,
    end() {
      link.sending = undefined;
      [...timers, silence, soon, patience].forEach(clearTimeout);
      over.abort();
    },
  };
}
