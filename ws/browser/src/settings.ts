// The options, validated and with their defaults.

import type { Data, Heartbeat, Options, Sealing, Socket, Ticket } from "./api.js";
import { addressOf } from "./address.js";
import { sizeOf } from "./message.js";
import { fetchTicket } from "./ticket.js";
import { wrong } from "./wrong.js";

export interface Settings {
  WebSocket: new (url: string, protocols: string[]) => Socket;
  url: string;
  offer: string[];
  ticket: ((how: { signal: AbortSignal; renew: boolean }) => Promise<Ticket | string>) | undefined;
  seal: Sealing | undefined;
  hello: () => readonly Data[];
  heartbeat: { ping?: Heartbeat["ping"]; every: number; timeout: number };
  queue: { messages: number; bytes: number };
  inbox: number;
  outgoing: number;
  retryCodes: readonly number[];
  retryStatuses: readonly number[];
  times: { first: number; longest: number; spread: number; stable: number; connect: number; close: number; sleep: number };
}

const defaultTimes = {
  first: 500,
  longest: 30_000,
  spread: 8_000,
  stable: 10_000,
  connect: 10_000,
  close: 2_000,
  sleep: 90_000,
};

const token = /^[\w!#$%&'*+.^`|~-]+$/; // RFC 9110 section 5.6.2

function protocolsOf(protocols: string | readonly string[]): string[] {
  const list = [protocols].flat() as string[];
  list.forEach((p, i) => {
    if (!token.test(p) || p.startsWith("ticket.") || list.indexOf(p) !== i) {
      throw wrong("protocols", p);
    }
  });
  return list;
}

/** numbers fills in the defaults; each value must be a number above zero. */
function numbers<T extends Record<string, number>>(what: string, given: Partial<T> | undefined, defaults: T): T {
  const all: Record<string, number> = { ...defaults };
  for (const [name, value] of Object.entries(given ?? {})) {
    if (value === undefined) {
      continue;
    }
    if (!(name in defaults) || typeof value !== "number" || !(value > 0) || value > 2 ** 31 - 1) {
      throw wrong(`${what}.${name}`, value);
    }
    all[name] = value;
  }
  return all as T;
}

/** codes returns a list of numbers, each of which must match. */
function codes(what: string, given: readonly number[] = [], form: RegExp): readonly number[] {
  if (!given.every((code) => form.test(`${code}`))) {
    throw wrong(what, given);
  }
  return [...given];
}

function callable(what: string, given: unknown): void {
  if (typeof given !== "function") {
    throw wrong(what, given);
  }
}

function heartbeatOf({ ping, ...times }: Partial<Heartbeat>): Settings["heartbeat"] {
  callable("ping", ping ?? heartbeatOf);
  return { ping, ...numbers("heartbeat", times, { every: 25_000, timeout: 10_000 }) };
}

function first(hello: NonNullable<Options["hello"]>): readonly Data[] {
  try {
    const messages = [hello() ?? []].flat() as Data[];
    messages.forEach(sizeOf); // throws if one is not Data
    return messages;
  } catch (err) {
    queueMicrotask(() => {
      throw err; // reported like an error of a listener
    });
    return [];
  }
}

export function settings({
    url, protocols = [], ticket, credentials, seal, hello = () => [], heartbeat = {}, queue, inbox, outgoing, times,
    retryCodes, retryStatuses, WebSocket = globalThis.WebSocket as unknown as Settings["WebSocket"] | undefined,
    dangerouslyAllowLocalHTTP: plaintext, ...unknown
  }: Options): Settings {
  for (const name in unknown) {
    throw wrong(name, "unknown");
  }
  callable("WebSocket", WebSocket);
  callable("hello", hello);
  const real = protocolsOf(protocols);
  const offer = seal?.offer(real) ?? real;
  if (ticket !== undefined && offer.length === 0) {
    throw wrong("protocols", offer);
  }
  const route = ticket === undefined || typeof ticket === "function" ? "" : addressOf("ticket", ticket, "http", plaintext);
  return {
    WebSocket: WebSocket!,
    url: addressOf("url", url, "ws", plaintext),
    offer,
    ticket: route ? ({ signal }) => fetchTicket(route, { signal, credentials }) : (ticket as Settings["ticket"]),
    seal,
    hello: () => first(hello),
    heartbeat: heartbeatOf(heartbeat),
    queue: numbers("queue", queue, { messages: 1024, bytes: 1_048_576 }),
    ...numbers("options", { inbox, outgoing }, { inbox: 1024, outgoing: 65_536 }),
    retryCodes: codes("retryCodes", retryCodes, /^(1000|1005|1008|4\d{3})$/),
    retryStatuses: codes("retryStatuses", retryStatuses, /^[45]\d\d$/),
    times: numbers("times", times, defaultTimes),
  };
}
