// The timers of an open connection: the one after which it is stable, the renewal, the
// heartbeat.

import type { Link } from "./link.js";
import { Pulse } from "./pulse.js";
import type { Settings } from "./settings.js";

const longestTimer = 2 ** 31 - 1;
const acceptedAfter = 1_000;

export interface LifeEvents {
  /** The connection has lived long enough to show that its credential was accepted. */
  accepted(): void;
  stable(): void;
  /** The credential should be renewed; after is the number of seconds it was valid. */
  renew(after: number): void;
}

export class Life {
  readonly pulse: Pulse | undefined;
  #over = new AbortController();
  #timers: ReturnType<typeof setTimeout>[];

  constructor(cfg: Settings, link: Link, refreshAfter: number, events: LifeEvents) {
    const { stable } = cfg.times;
    this.#timers = [setTimeout(() => events.accepted(), Math.min(stable, acceptedAfter)), setTimeout(() => events.stable(), stable)];
    if (refreshAfter > 0) {
      // Not before the connection counts as a success, so that no answer causes a tight loop.
      const ms = Math.min(Math.max(stable, refreshAfter * 1000 * (1 - Math.random() / 10)), longestTimer);
      this.#timers.push(setTimeout(() => events.renew(refreshAfter), ms));
    }
    if (cfg.heartbeat) {
      this.pulse = new Pulse(cfg.heartbeat, (ping) => link.send(ping), () => link.cut());
    }
  }

  /** over is aborted when the connection ends. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  end(): void {
    this.#timers.forEach(clearTimeout);
    this.pulse?.stop();
    this.#over.abort();
  }
}
