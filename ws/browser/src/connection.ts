// The connection, and the dial that renews it.

import type { Data, Ending, Message, StateChange, Undelivered } from "./api.js";
import { obtain, type Credential } from "./credential.js";
import { pause } from "./delay.js";
import { comesBack, meaning, refused } from "./endings.js";
import { begin, type Life } from "./life.js";
import { dial, type Ended, type Link } from "./link.js";
import { holdTime, type Outbox } from "./outbox.js";
import type { Pace } from "./pace.js";
import type { Settings } from "./settings.js";

export interface Events {
  change(detail: StateChange): void;
  message(data: Message): void;
  undelivered(data: Data, why: Undelivered["why"]): void;
}

export interface Connection {
  /** The current dial or connection. */
  link?: Link | undefined;
  /** Dials, and resolves with the end of that or of the connection. */
  run(credential: Credential): Promise<Ended>;
  close(how: Ending): void;
  /** Closes the connection of a page that is put aside. */
  away(): void;
  /** Asks the server whether it is there. */
  ask(): boolean | undefined;
}

export function connectionOf(cfg: Settings, pace: Pace, outbox: Outbox, events: Events): Connection {
  let life: Life | undefined; // of the connection
  let next: Link | undefined; // the dial of a renewal; the connection stays until it has opened, or for holdTime longer
  let orphaned: Ended | undefined; // the end of the connection, if that ended during the dial of next
  let ended: (how: Ended) => void;
  let closing: Ending | undefined;

  const endLife = (): void => {
    outbox.keep();
    life?.end();
    life = undefined;
  };

  /** opened makes a dial the connection, and closes the one that it renews. */
  const opened = (link: Link, refreshAfter: number): void => {
    const old = link === next && !orphaned ? connection.link : undefined;
    next = orphaned = undefined;
    endLife();
    connection.link = link;
    pace.opened();
    life = begin(cfg, link, pace, refreshAfter, renew);
    outbox.open(link); // before hello(), which may call send()
    cfg.hello().forEach((data) => link.send(data, true));
    if (old || link.sealed || outbox.empty) {
      outbox.release();
    }
    events.change({ state: "open", ...(old && { renewed: true }) });
    void old?.close(1000, "renewed");
  };

  /** lost handles the end of an open connection, or of one that was renewed. */
  const lost = (link: Link, how: Ended): void => {
    const sent = link.sent.splice(0);
    if (!how.answered) {
      sent.forEach((data) => events.undelivered(data, "unconfirmed"));
    }
    if (link !== connection.link) {
      return;
    }
    endLife();
    if (!next) {
      return ended(how);
    }
    orphaned = how;
    if (comesBack(meaning(how, cfg))) {
      events.change({ state: "connecting" });
    } else {
      void next.close(1000, "");
    }
  };

  /** attempt calls failed only if the dial did not become the connection. */
  const attempt = ({ protocols, refreshAfter }: Credential, failed: (how: Ended) => void): Link | undefined => {
    try {
      const open = (): void => opened(link, refreshAfter);
      const heard = (answered?: boolean): void => {
        if (link === next) {
          open();
        }
        if (link === connection.link) {
          life?.beat(answered);
          outbox.release();
        }
      };
      const link: Link = dial(cfg, protocols, {
        opened() {
          if (link !== next || link.sealed || orphaned) {
            return open();
          }
          setTimeout(() => link === next && link.live && open(), holdTime);
        },
        message(data) {
          heard();
          if (link === connection.link) {
            events.message(data);
          }
        },
        control: (answered) => link.live && heard(answered),
        ended: (how) => (how.opened && link !== next ? lost(link, how) : failed(how)),
      });
      if (closing) {
        void link.close(closing.code, closing.reason); // close() was called by the WebSocket class
      }
      return link;
    } catch (err) {
      failed({ code: 0, reason: `${err}`, opened: false }); // the browser refuses to dial
      return undefined;
    }
  };

  /** renew opens a second connection with a new credential; the first stays open until then. */
  const renew = async (after: number): Promise<void> => {
    const { over } = life!;
    for (let failures = 0; !over.aborted; failures++) {
      const { first, longest } = cfg.times;
      let delay = Math.min(longest, first * 2 ** failures) * (0.5 + Math.random() / 2);
      try {
        const credential = await obtain(cfg, over, false);
        // If it is the same as before, less than half of its time remains.
        if (over.aborted || (credential.refreshAfter && credential.refreshAfter <= after / 2)) {
          return;
        }
        next = attempt(credential, () => {
          const how = orphaned;
          next = orphaned = undefined;
          if (how) {
            ended(how);
          }
        });
      } catch (err) {
        if (refused(err, cfg, pace).next !== "retry") {
          return; // the connection lasts until the server ends it
        }
        delay = Math.max(pace.held(), delay);
      }
      do {
        await pause(delay, over);
      } while (next && !over.aborted);
    }
  };

  const connection: Connection = {
    run: (credential) =>
      new Promise((resolve) => {
        ended = resolve;
        connection.link = attempt(credential, resolve);
      }),

    close(how) {
      closing = how;
      endLife();
      void connection.link?.close(how.code, how.reason);
      void next?.close(how.code, how.reason);
    },

    away() {
      next?.away();
      connection.link?.away();
    },

    ask: () => life?.ask(),
  };
  return connection;
}
