// The connection, and the dial that renews it.

import type { Data, Ending, Message, StateChange, Undelivered } from "./api.js";
import { obtain, type Credential } from "./credential.js";
import type { Backoff } from "./backoff.js";
import { comesBack, meaning, refused } from "./ending.js";
import { begin, type Lifetime } from "./lifetime.js";
import { dial, type Link, type SocketEnding } from "./link.js";
import type { History } from "./next.js";
import { holdTime, type Outbox } from "./outbox.js";
import { pause } from "./pause.js";
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
  run(credential: Credential): Promise<SocketEnding>;
  close(how: Ending): void;
  /** Closes the connection of a page that is put aside. */
  away(): void;
  /** Asks the server whether it is there. */
  ask(): boolean | undefined;
}

export function connectionOf(cfg: Settings, past: History, backoff: Backoff, outbox: Outbox, events: Events): Connection {
  let lifetime: Lifetime | undefined; // of the connection
  let next: Link | undefined; // the dial of a renewal; the connection stays until it has opened, or for holdTime longer
  let endedFirst: SocketEnding | undefined; // the end of the connection, if that ended during the dial of next
  let resolveRun: (how: SocketEnding) => void;
  let closing: Ending | undefined;

  const endLifetime = (): void => {
    outbox.endHold();
    lifetime?.end();
    lifetime = undefined;
  };

  /** opened makes a dial the connection, and closes the one that it renews. */
  const opened = (link: Link, refreshAfter: number): void => {
    const old = link === next && !endedFirst ? connection.link : undefined;
    next = endedFirst = undefined;
    endLifetime();
    connection.link = link;
    backoff.notBefore = 0;
    lifetime = begin(cfg, link, past, refreshAfter, renew);
    outbox.open(link); // before hello(), which may call send()
    cfg.hello().forEach((data) => link.send(data, true));
    if (old || link.sealed || outbox.empty) {
      outbox.release();
    }
    events.change({ state: "open", ...(old && { renewed: true }) });
    void old?.close(1000, "renewed");
  };

  /** linkEnded handles the end of an open connection, or of one that was renewed. */
  const linkEnded = (link: Link, how: SocketEnding): void => {
    const unconfirmed = link.unconfirmed.splice(0);
    if (!how.answered) {
      unconfirmed.forEach((data) => events.undelivered(data, "unconfirmed"));
    }
    if (link !== connection.link) {
      return;
    }
    endLifetime();
    if (!next) {
      return resolveRun(how);
    }
    endedFirst = how;
    if (comesBack(meaning(how, cfg))) {
      events.change({ state: "connecting" });
    } else {
      void next.close(1000, "");
    }
  };

  /** connect calls failed only if the dial did not become the connection. */
  const connect = ({ protocols, refreshAfter }: Credential, failed: (how: SocketEnding) => void): Link | undefined => {
    try {
      const open = (): void => opened(link, refreshAfter);
      const heard = (answered?: boolean): void => {
        if (link === next) {
          open();
        }
        if (link === connection.link) {
          lifetime?.beat(answered);
          outbox.release();
        }
      };
      const link: Link = dial(cfg, protocols, {
        opened() {
          if (link !== next || link.sealed || endedFirst) {
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
        ended: (how) => (how.opened && link !== next ? linkEnded(link, how) : failed(how)),
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
    const { over } = lifetime!;
    for (let failures = 0; !over.aborted; failures++) {
      const { first, longest } = cfg.times;
      let delay = Math.min(longest, first * 2 ** failures) * (0.5 + Math.random() / 2);
      try {
        const credential = await obtain(cfg, over, false);
        // If it is the same as before, less than half of its time remains.
        if (over.aborted || (credential.refreshAfter && credential.refreshAfter <= after / 2)) {
          return;
        }
        next = connect(credential, () => {
          const how = endedFirst;
          next = endedFirst = undefined;
          if (how) {
            resolveRun(how);
          }
        });
      } catch (err) {
        if (refused(err, cfg, backoff).next !== "retry") {
          return; // the connection lasts until the server ends it
        }
        delay = Math.max(backoff.held(), delay);
      }
      do {
        await pause(delay, over);
      } while (next && !over.aborted);
    }
  };

  const connection: Connection = {
    run: (credential) =>
      new Promise((resolve) => {
        resolveRun = resolve;
        connection.link = connect(credential, resolve);
      }),

    close(how) {
      closing = how;
      endLifetime();
      void connection.link?.close(how.code, how.reason);
      void next?.close(how.code, how.reason);
    },

    away() {
      next?.away();
      connection.link?.away();
    },

    ask: () => lifetime?.ask(),
  };
  return connection;
}
