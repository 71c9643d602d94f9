// The messages to send: to the connection or, while there is none, to a bounded queue.

import type { Data, Undelivered } from "./api.js";
import type { Link } from "./link.js";
import { own, sizeOf } from "./message.js";
import { pause } from "./pause.js";
import type { Settings } from "./settings.js";

// A server may open a connection only to close it with a readable reason. The queue is held for
// this time, or until a message arrives.
export const holdTime = 100;

const roomCheck = 50;

export interface Outbox {
  /** The bytes that wait to be sent. */
  readonly bytes: number;
  readonly empty: boolean;
  send(data: Data): boolean;
  room(size?: number): Promise<boolean>;
  /** Has messages sent to a connection after release, which follows in holdTime. */
  open(link: Link): void;
  /** Ends a hold without a release. */
  endHold(): void;
  /** Sends the queue to the connection, oldest first. */
  release(): void;
  end(): void;
}

/** outboxOf returns an empty queue; over is aborted when the client ends. */
export function outboxOf(cfg: Settings, over: AbortSignal, undelivered: (data: Data, why: Undelivered["why"]) => void): Outbox {
  const queue: Data[] = [];
  let bytes = 0;
  let link: Link | undefined; // the last that was opened
  let hold: ReturnType<typeof setTimeout> | undefined;

  const next = (): Data => {
    const data = queue.shift()!;
    bytes -= sizeOf(data);
    return data;
  };

  const tooBig = (size: number): boolean => size > (link?.serverLimit || cfg.outgoing);

  const fits = (size: number): boolean =>
    queue.length + (link?.unconfirmed.length ?? 0) < cfg.queue.messages && outbox.bytes + size <= cfg.queue.bytes;

  const outbox: Outbox = {
    get bytes() {
      return bytes + (link?.buffered ?? 0);
    },

    get empty() {
      return queue.length === 0;
    },

    send(data) {
      const size = sizeOf(data);
      const why = over.aborted ? "closed" : tooBig(size) ? "too_big" : fits(size) ? undefined : "full";
      if (why) {
        undelivered(data, why);
      } else if (link?.live && !hold) {
        link.send(data);
      } else {
        queue.push(own(data));
        bytes += size;
      }
      return !why;
    },

    async room(size = 0) {
      while (!over.aborted && !fits(size)) {
        await pause(roomCheck, over);
      }
      return !over.aborted;
    },

    open(opened) {
      outbox.endHold();
      link = opened;
      hold = setTimeout(outbox.release, holdTime);
    },

    endHold() {
      clearTimeout(hold);
      hold = undefined;
    },

    release() {
      outbox.endHold();
      while (!outbox.empty && link!.live) {
        const data = next();
        if (tooBig(sizeOf(data))) {
          undelivered(data, "too_big");
        } else {
          link!.send(data);
        }
      }
    },

    end() {
      while (!outbox.empty) {
        undelivered(next(), "closed");
      }
    },
  };
  return outbox;
}
