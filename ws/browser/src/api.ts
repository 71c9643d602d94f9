/** What can be sent: text, or bytes. */
export type Data = string | ArrayBuffer | ArrayBufferView;

/** What arrives: text, or bytes. */
export type Message = string | ArrayBuffer;

export type State = "connecting" | "open" | "waiting" | "closed";

/** How a connection, or an attempt at one, ended. */
export interface Ending {
  /** The close code (RFC 6455 section 7.4); 0 where it did not come to a WebSocket. */
  code: number;
  /** The stable word of the close frame or of the ticket route. */
  reason: string;
  /** The same for people. */
  text: string;
  /** The status of the ticket route, where that is what failed. */
  status?: number;
  /**
   * What follows. retry: the client comes back after a delay. renew: it does so once, with
   * a new credential. sign-in: a person must sign in. stop: coming back would not help.
   */
  next: "retry" | "renew" | "sign-in" | "stop";
  /** A sealed connection ended without the peer's sealed goodbye: code and reason are hearsay. */
  truncated?: boolean;
}

/** The detail of a "state" event. */
export interface StateChange {
  state: State;
  /** How the last connection or attempt ended, for waiting and closed. */
  ending?: Ending;
  /** For waiting: the milliseconds until the next attempt. */
  delay?: number;
  /** For open: it took the place of one whose credential was about to end. */
  renewed?: boolean;
}

/** The detail of an "undelivered" event. */
export interface Undelivered {
  data: Data;
  /** full: beyond queue.bytes or queue.messages. closed: the client ended first. */
  why: "full" | "closed";
}

/** What the ticket route answers. Times are in seconds. */
export interface Ticket {
  ticket: string;
  /** What to offer for it; "ticket." and the ticket unless given. */
  subprotocol?: string;
  expires_in?: number;
  /** When to open another connection, before the credential behind this one ends. */
  refresh_after?: number;
  cid?: string;
}

/**
 * Asked before every attempt. signal is aborted when the answer is no longer waited for.
 * renew: the credential behind the last ticket has expired, and there was none since.
 */
export type TicketSource = (how: { signal: AbortSignal; renew: boolean }) => Promise<Ticket | string>;

/** The part of the WebSocket interface that is used; npm's ws has it too. */
export interface Socket {
  binaryType: string;
  readonly protocol: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(data: string | ArrayBuffer | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  /** Ends at once what does not answer close, where there is such a thing (npm's ws). */
  terminate?(): void;
}

export interface Heartbeat {
  /** Milliseconds without a message before ping is sent. */
  every: number;
  /** Milliseconds in which any message must follow; default 10,000. */
  timeout?: number;
  /** The message that the server answers. */
  ping: () => Data;
}

export interface Options {
  /** wss:, or relative to the page. */
  url: string | URL;
  /** The subprotocols the application speaks; required with a ticket. */
  protocols?: string | readonly string[];
  /** Where to POST for a ticket, or what fetches one, before every attempt. */
  ticket?: string | URL | TicketSource;
  /** Whether cookies go along to the ticket route; default "same-origin". */
  credentials?: "omit" | "same-origin" | "include";
  /** What seal() of securews/seal returned. */
  seal?: Sealing;
  /**
   * What is sent first on every connection, before anything that waited. Where it throws, or
   * returns what is no Data, that is reported as an uncaught error is, and the connection
   * goes on without a hello.
   */
  hello?: () => Data | readonly Data[] | undefined;
  /** For servers whose pings do not reach this page's code: a ping of the application. */
  heartbeat?: Heartbeat;
  /**
   * What may wait; default 256 messages and 1 MiB. bytes bounds what an open connection has
   * yet to put on the wire, too: nothing larger can be sent at all.
   */
  queue?: { messages?: number; bytes?: number };
  /** How many messages an iterator may be behind; default 1,024. */
  inbox?: number;
  /** Milliseconds; the defaults are in brackets. */
  times?: {
    /** The first delay's upper bound (500). It doubles with every failure. */
    first?: number;
    /** The longest delay (30,000). */
    longest?: number;
    /** The first bound after an open connection was lost, as everybody's may have been (8,000). */
    spread?: number;
    /** How long a connection lives before its attempt was a success (10,000). */
    stable?: number;
    /** For the ticket, and for the handshakes that follow it (15,000). */
    connect?: number;
    /** For the peer to answer a close frame (2,000). */
    close?: number;
    /** A standstill of all timers that is taken for a sleep (90,000). */
    sleep?: number;
  };
  /** A WebSocket class, for where there is none or to give it options (Node). */
  WebSocket?: new (url: string, protocols: string[]) => Socket;
  /** Allows ws: and http:, to localhost and loopback addresses (127.0.0.0/8, ::1) only. */
  dangerouslyAllowPlaintext?: boolean;
}

export interface ClientEvents {
  state: CustomEvent<StateChange>;
  message: MessageEvent<Message>;
  undelivered: CustomEvent<Undelivered>;
}

/** A connection that comes back by itself, until close() or until that would not help. */
export interface Client extends EventTarget, AsyncIterable<Message> {
  readonly state: State;
  /** The subprotocol of the open connection, else "". */
  readonly protocol: string;
  /** Whether what is sent now is encrypted beyond TLS. */
  readonly sealed: boolean;
  /** Resolves when the client has ended for good. */
  readonly closed: Promise<Ending>;
  /**
   * Hands data to the connection, or to the queue while there is none. false: either had no
   * room for it (queue), or the client has ended; an "undelivered" event tells the same.
   */
  send(data: Data): boolean;
  /** Ends the wait before the next attempt, unless the server named its length. */
  retry(): void;
  /** Ends the client. What still waits is undelivered. */
  close(code?: number, reason?: string): Promise<Ending>;
  addEventListener<K extends keyof ClientEvents>(
    type: K,
    listener: ((event: ClientEvents[K]) => void) | { handleEvent(event: ClientEvents[K]): void } | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof ClientEvents>(
    type: K,
    listener: ((event: ClientEvents[K]) => void) | { handleEvent(event: ClientEvents[K]): void } | null,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** What a sealing layer is given on each connection. */
export interface Wire {
  url: string;
  protocol: string;
  send(frame: Uint8Array<ArrayBuffer>): void;
  deliver(message: Message): void;
  ready(): void;
  /** Ends the connection, which cannot be trusted. */
  fail(): void;
  /** Ends the connection, which may be tried again. */
  lost(): void;
  /** The peer has said its goodbye: nothing follows but the end, and nothing is sent. */
  goodbye(): void;
}

/** One connection's sealing layer. */
export interface Sealed {
  /** Takes every message of the socket. */
  receive(frame: Message): void;
  send(data: Data): void;
  /** The bytes that wait to be sealed. */
  readonly buffered: number;
  /** Sends the goodbye, after everything before it. */
  finish(): Promise<void>;
  /** Waits for what was received, and forgets the keys; whether the peer's goodbye was part of it. */
  drained(): Promise<boolean>;
}

/** Made by seal() of securews/seal. */
export interface Sealing {
  /** The subprotocols to offer for those of the application. */
  offer(protocols: readonly string[]): string[];
  /** Called when the socket opens. undefined: this connection is not sealed; false: it may not be. */
  start(wire: Wire): Sealed | undefined | false;
}
