/** A message to send: text or bytes. */
export type Data = string | ArrayBuffer | ArrayBufferView;

/** A received message: text or bytes. */
export type Message = string | ArrayBuffer;

export type State = "connecting" | "open" | "waiting" | "closed";

/** The end of a connection, or of an attempt at one. */
export interface Ending {
  /** The close code (RFC 6455 section 7.4); 0 if no WebSocket was created. */
  code: number;
  /** The stable word of the close frame or of the ticket route. */
  reason: string;
  /** The cause in a sentence for users. */
  text: string;
  /** The status of the ticket route, if its request failed. */
  status?: number;
  /**
   * The reaction. retry: the client reconnects after a delay. renew: it does so with a new
   * credential, once, and again whenever the ticket route says when. sign-in: the user must sign in. stop: a reconnect would not help.
   */
  next: "retry" | "renew" | "sign-in" | "stop";
  /** A sealed connection ended without the peer's close record: code and reason are not authenticated. */
  truncated?: boolean;
}

/** The detail of a "state" event. */
export interface StateChange {
  state: State;
  /** The end of the last connection or attempt, for waiting and closed. */
  ending?: Ending;
  /** For waiting: the milliseconds until the next attempt. */
  delay?: number;
  /** For open: it replaced a connection whose credential was about to end. */
  renewed?: boolean;
}

/** The detail of an "undelivered" event. */
export interface Undelivered {
  data: Data;
  /**
   * full: beyond queue.bytes or queue.messages. too_big: beyond outgoing, or the limit
   * that the server has named. closed: the client ended first. unconfirmed: it was sent, and the
   * connection ended before the server showed that it had read it; it may have arrived.
   */
  why: "full" | "too_big" | "closed" | "unconfirmed";
}

/** The answer of the ticket route. Times are in seconds. */
export interface Ticket {
  ticket: string;
  /** The subprotocol to offer; default "ticket." and the ticket. */
  subprotocol?: string | undefined;
  expires_in?: number | undefined;
  /** When to open another connection, before the credential of this one ends. */
  refresh_after?: number | undefined;
  cid?: string | undefined;
}

/**
 * Called before every attempt. signal is aborted once the result is not needed. renew is
 * true if the credential behind the last ticket has expired, until a ticket is returned.
 */
export type TicketSource = (how: { signal: AbortSignal; renew: boolean }) => Promise<Ticket | string>;

/** The part of the WebSocket interface that is used; npm's ws implements it too. */
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
  /** Cuts a connection whose peer does not answer close, if available (npm's ws). */
  terminate?(): void;
}

export interface Heartbeat {
  /** Milliseconds without a message before the server is asked, less up to a fifth; default 25,000. */
  every?: number | undefined;
  /** Milliseconds within which any message must arrive; default 10,000. */
  timeout?: number | undefined;
  /** For other servers than those of this module: returns a message that the server answers. */
  ping?: (() => Data) | undefined;
}

export interface Options {
  /** wss:, or relative to the page. */
  url: string | URL;
  /** The subprotocols of the application; required with a ticket. */
  protocols?: string | readonly string[] | undefined;
  /** The route to POST to for a ticket, or a function that fetches one, before every attempt. */
  ticket?: string | URL | TicketSource | undefined;
  /** Whether cookies are sent to the ticket route; default "same-origin". */
  credentials?: "omit" | "same-origin" | "include" | undefined;
  /** The result of seal() of securews/seal. */
  seal?: Sealing | undefined;
  /**
   * Returns the messages that are sent first on every connection, before the queue. If it
   * throws, or returns a value that is not Data, that is reported as an uncaught error, and the
   * connection continues without a hello.
   */
  hello?: (() => Data | readonly Data[] | undefined) | undefined;
  /** When the server is asked whether it is there. A server of this module answers by itself. */
  heartbeat?: Heartbeat | undefined;
  /**
   * The bounds of the queue; default 1,024 messages and 1 MiB. bytes also bounds the messages
   * that an open connection has yet to put on the wire: a larger message cannot be sent.
   */
  queue?: { messages?: number | undefined; bytes?: number | undefined } | undefined;
  /** Bytes of the largest message to send, which the server accepts (ws.Limits.Message); default 65,536. */
  outgoing?: number | undefined;
  /** The number of unread messages that an iterator holds; default 1,024. */
  inbox?: number | undefined;
  /** Milliseconds; the defaults are in brackets. */
  times?: {
    /** The upper bound of the first delay (500). It doubles with every failure. */
    first?: number | undefined;
    /** The longest delay (30,000). */
    longest?: number | undefined;
    /** The first bound after an open connection was lost, since all clients may have lost theirs (8,000). */
    spread?: number | undefined;
    /** The age at which a connection counts as a success (10,000). */
    stable?: number | undefined;
    /** For the ticket, and again for the handshake after it (10,000). */
    connect?: number | undefined;
    /** For the peer to answer a close frame (2,000). */
    close?: number | undefined;
    /** The standstill of all timers that counts as a sleep (90,000). */
    sleep?: number | undefined;
  } | undefined;
  /** Further close codes after which to reconnect: 1000, 1005, 1008 and the application's 4000-4999. */
  retryCodes?: readonly number[] | undefined;
  /** Further statuses of the ticket route after which to reconnect, 400-599: for refusals that pass. */
  retryStatuses?: readonly number[] | undefined;
  /** A WebSocket class, if the platform has none or to set its options (Node). */
  WebSocket?: (new (url: string, protocols: string[]) => Socket) | undefined;
  /** Allows ws: and http:, to localhost and loopback addresses (127.0.0.0/8, ::1) only. */
  dangerouslyAllowLocalHTTP?: boolean | undefined;
}

export interface ClientEvents {
  state: CustomEvent<StateChange>;
  message: MessageEvent<Message>;
  undelivered: CustomEvent<Undelivered>;
}

/** A connection that reconnects automatically, until close() or until that would not help. */
export interface Client extends EventTarget, AsyncIterable<Message> {
  readonly state: State;
  /** The subprotocol of the open connection, else "". */
  readonly protocol: string;
  /** Whether messages sent now are encrypted inside TLS. */
  readonly sealed: boolean;
  /** Resolves when the client has ended for good. */
  readonly closed: Promise<Ending>;
  /**
   * Passes data to the connection or, while there is none, to the queue. Returns false if that
   * is full (queue) or the client has ended; an "undelivered" event reports the same.
   */
  send(data: Data): boolean;
  /** The bytes that wait to be sent. */
  readonly bufferedAmount: number;
  /** Waits until send() would take a message of so many bytes; false if the client has ended. */
  room(bytes?: number): Promise<boolean>;
  /** Ends the wait before the next attempt, but not before a Retry-After of the server. */
  retry(): void;
  /** Ends the client. Queued messages are reported as undelivered. */
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

/** The connection, as a sealing layer sees it. */
export interface Wire {
  url: string;
  protocol: string;
  send(frame: Uint8Array<ArrayBuffer>): void;
  deliver(message: Message): void;
  ready(): void;
  /** Ends the connection for good: it cannot be trusted. */
  fail(): void;
  /** Cuts the connection; the client may reconnect. */
  cut(): void;
  /** The peer has sent its close record: no message follows, and none is sent. */
  peerClosed(): void;
}

/** One connection's sealing layer. */
export interface Sealed {
  /** Called with every message of the socket. */
  receive(frame: Message): void;
  send(data: Data): void;
  /** The number of bytes that wait to be sealed. */
  readonly buffered: number;
  /** Sends a close record, after the messages before it. */
  finish(): Promise<void>;
  /** Waits for the received messages, erases the keys, and reports whether the peer's close record arrived. */
  drained(): Promise<boolean>;
}

/** The result of seal() of securews/seal. */
export interface Sealing {
  /** The subprotocols to offer for those of the application. */
  offer(protocols: readonly string[]): string[];
  /** Called when the socket opens. undefined: the connection is not sealed; false: it must be closed. */
  start(wire: Wire): Sealed | undefined | false;
}
