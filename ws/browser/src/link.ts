// One dial, and its socket.

import type { Data, Message, Sealed } from "./api.js";
import { own } from "./message.js";
import type { Settings } from "./settings.js";

/** JavaScript may send 1000 and 3000-4999 only: 4002 replaces 1002, 4008 replaces 1008. */
export const closeProtocol = 4002;
export const closePolicy = 4008;

/** The ending of a socket. */
export interface SocketEnding {
  code: number;
  reason: string;
  opened: boolean;
  truncated?: boolean;
  cut?: boolean; // by cut() or away(): other clients are not affected
  answered?: boolean; // the peer has answered this side's close frame, after every message
}

export interface LinkEvents {
  opened(): void;
  message(data: Message): void;
  /** The server has answered a ping, or named its limit. */
  control(answered: boolean): void;
  ended(how: SocketEnding): void;
}

export interface Link {
  readonly protocol: string;
  readonly sealed: boolean;
  /** Whether messages can be sent. */
  readonly live: boolean;
  readonly buffered: number;
  /**
   * The limit of a message in bytes, by the server's word: it answers pings. undefined: it may still
   * say so; 0: it is another server.
   */
  serverLimit: number | undefined;
  /** The messages that have not been confirmed, unless the server is another one. */
  readonly unconfirmed: Data[];
  sending?: (() => void) | undefined;
  /** Sends a message, which is unconfirmed until the server answers a later ping, unless that is not needed. */
  send(data: Data, untracked?: boolean): void;
  /** Asks the server for an answer, after the messages that were sent. */
  ping(): void;
  /** Follows a sign that the server is another one, unless it has named its limit. */
  foreign(): void;
  /** Closes normally: after the messages that were sent. */
  close(code: number, reason: string): Promise<void>;
  /** Ends a connection that seems dead, without waiting for the peer. */
  cut(): void;
  /** Closes the connection of a page that is put aside, which returns later. */
  away(): void;
}

const enum Stage {
  Dialling,
  Open,
  PeerClosed,
  Closing,
  Ended,
}

/** dial offers further subprotocols, of a ticket, beside the real ones; they are never selected. */
export function dial(cfg: Settings, protocols: string[], events: LinkEvents): Link {
  // A ping and its answer: see ws/pagepulse.go. No other peer can guess it.
  const pulse = `securews=${crypto.getRandomValues(new Uint32Array(2)).join("0")}`;
  const socket = new cfg.WebSocket(cfg.url + (/\?/.test(cfg.url) ? "&" : "?") + pulse, [...cfg.offer, ...protocols]);
  let stage: Stage = Stage.Dialling;
  let sealed: Sealed | undefined;
  let opened = false;
  let cut = false;
  let sentCode: number | undefined;
  let local: { code: number; reason: string } | undefined; // set if this side ended it
  let timer = setTimeout(() => stage === Stage.Dialling && timedOut(), cfg.times.connect);

  /** transmit sends nothing on a socket that is ending: the browser would only write an error to the console. */
  const transmit = (frame: string | Uint8Array<ArrayBuffer>): void => {
    if (socket.readyState === 1) {
      socket.send(frame);
    }
  };

  const within = (late: () => void): void => {
    clearTimeout(timer);
    timer = setTimeout(late, cfg.times.close);
  };

  const ended = (theirs?: Pick<SocketEnding, "code" | "reason" | "truncated">): void => {
    if (stage === Stage.Ended) {
      return;
    }
    socket.onmessage = null; // onopen does nothing any more, and onclose stays: see drained
    clearTimeout(timer);
    stage = Stage.Ended;
    events.ended({ ...(local ?? theirs!), opened, cut, answered: theirs?.code === sentCode });
  };

  /** beginEnd bounds the end by times.close, regardless of peer and sealing layer; as is the code that this side reports. */
  const beginEnd = (code: number, reason: string, as = code): void => {
    if (stage !== Stage.Closing) {
      stage = Stage.Closing;
      local = { code: as, reason };
      sentCode = code;
      within(() => {
        socket.close(code, reason);
        socket.terminate?.();
        ended();
      });
    }
  };

  const end = (code: number, reason: string, as?: number): void => {
    if (stage !== Stage.Ended) {
      beginEnd(code, reason, as);
      socket.close(code, reason);
    }
  };

  /** timedOut ends a connection that seems dead. */
  const timedOut = (): void => end(3008, "timeout", 1006);

  const open = (): void => {
    if (stage === Stage.Dialling) {
      stage = Stage.Open;
      opened = true;
      events.opened();
    }
  };

  const deliver = (data: Message): void => {
    if (stage === Stage.Open) {
      events.message(data);
    }
  };

  const link: Link = {
    serverLimit: undefined,
    unconfirmed: [],

    get protocol() {
      return socket.protocol;
    },

    get sealed() {
      return !!sealed;
    },

    get live() {
      return stage === Stage.Open && socket.readyState === 1;
    },

    get buffered() {
      return link.live ? socket.bufferedAmount + (sealed?.buffered ?? 0) : 0;
    },

    send(data, untracked) {
      const copy = own(data);
      if (!untracked && link.serverLimit !== 0) {
        link.unconfirmed.push(copy);
        link.sending?.();
      }
      if (sealed) {
        sealed.send(copy);
      } else {
        transmit(copy);
      }
    },

    ping() {
      transmit(pulse);
    },

    foreign() {
      if (!link.serverLimit) {
        link.serverLimit = link.unconfirmed.length = 0;
      }
    },

    async close(code, reason) {
      if (stage === Stage.Closing) {
        return;
      }
      if (stage === Stage.Open && sealed) {
        beginEnd(code, reason);
        try {
          await sealed.finish();
        } catch {} // close without the close record
      }
      end(code, reason);
    },

    cut() {
      cut = true;
      timedOut();
      ended();
    },

    away() {
      cut = true;
      end(1000, "pagehide", 1006);
    },
  };

  socket.binaryType = "arraybuffer";
  socket.onerror = () => {}; // the close event follows

  socket.onopen = () => {
    const { protocol } = socket;
    const { offer, seal, url } = cfg;
    if (stage !== Stage.Dialling) {
      return;
    }
    // Firefox opens a connection even if no subprotocol was selected.
    if (offer.length > 0 ? !offer.includes(protocol) : protocol) {
      return end(closeProtocol, "protocol");
    }
    const layer = seal?.start({
      url,
      protocol,
      deliver,
      send: transmit,
      ready: open,
      fail: () => {
        end(closePolicy, "decrypt");
        ended();
      },
      cut: timedOut,
      // After the peer's close record the socket must end soon, or it is cut.
      peerClosed: () => {
        if (stage === Stage.Open) {
          stage = Stage.PeerClosed;
          within(link.cut);
        }
      },
    });
    if (layer === false) {
      return end(closePolicy, "not_sealed");
    }
    sealed = layer;
    if (!sealed) {
      open();
    }
  };

  socket.onmessage = ({ data }: { data: Message }) => {
    if (`${data}`.startsWith(pulse)) {
      const limit = +(data as string).slice(pulse.length);
      link.serverLimit ||= limit;
      return events.control(!limit);
    }
    link.foreign();
    if (sealed) {
      sealed.receive(data);
    } else {
      deliver(data);
    }
  };

  // Messages before the end of the socket may still have to be opened.
  socket.onclose = async ({ code, reason }: { code: number; reason: string }) => {
    let truncated = true;
    if (!local) {
      within(() => ended({ code, reason, truncated }));
    }
    try {
      truncated = !((await sealed?.drained()) ?? true) && opened;
    } catch {}
    ended({ code, reason, truncated });
  };

  return link;
}
