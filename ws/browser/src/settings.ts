// The options, validated and with their defaults.

import type { Data, Heartbeat, Options, Sealing, Socket, Ticket } from "./api.js";
import { routeURL, socketURL } from "./address.js";
import { sizeOf } from "./outbox.js";
import { fetchTicket } from "./ticket.js";

export interface Settings {
  WebSocket: new (url: string, protocols: string[]) => Socket;
  url: string;
  offer: string[];
  ticket: ((how: { signal: AbortSignal; renew: boolean }) => Promise<Ticket | string>) | undefined;
  seal: Sealing | undefined;
  hello: () => readonly Data[];
  heartbeat: Required<Heartbeat> | undefined;
  queue: { messages: number; bytes: number };
  inbox: number;
  retryCodes: readonly number[];
  retryStatuses: readonly number[];
  times: { first: number; longest: number; spread: number; stable: number; connect: number; close: number; sleep: number };
}

const defaultTimes = {
  first: 500,
  longest: 30_000,
  spread: 8_000,
  stable: 10_000,
  connect: 15_000,
  close: 2_000,
  sleep: 90_000,
};

const token = /^[\w!#$%&'*+.^`|~-]+$/; // RFC 9110 section 5.6.2

function protocolsOf(protocols: string | readonly string[]): string[] {
  const list = typeof protocols === "string" ? [protocols] : [...protocols];
  for (const [i, p] of list.entries()) {
    if (!token.test(p) || p.startsWith("ticket.") || list.indexOf(p) !== i) {
      throw new TypeError(`securews: protocols: ${JSON.stringify(p)} cannot be one`);
    }
  }
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
      throw new TypeError(`securews: ${what}.${name}: ${value}`);
    }
    all[name] = value;
  }
  return all as T;
}

/** codes returns a list of numbers, each of which must match. */
function codes(what: string, given: readonly number[] = [], form: RegExp): readonly number[] {
  if (!given.every((code) => form.test(`${code}`))) {
    throw new TypeError(`securews: ${what}: ${given}`);
  }
  return [...given];
}

function callable(what: string, given: unknown): void {
  if (typeof given !== "function") {
    throw new TypeError(`securews: ${what}: ${given}`);
  }
}

function heartbeatOf({ ping, ...times }: Heartbeat): Required<Heartbeat> {
  callable("ping", ping);
  return { ping, ...numbers("heartbeat", times, { every: 25_000, timeout: 10_000 }) };
}

function ticketSource(o: Options): Settings["ticket"] {
  if (o.ticket === undefined || typeof o.ticket === "function") {
    return o.ticket as Settings["ticket"];
  }
  const route = routeURL("ticket", o.ticket, !!o.dangerouslyAllowPlaintext);
  return ({ signal }) => fetchTicket(route, { signal, credentials: o.credentials ?? "same-origin" });
}

function hello(o: Options): readonly Data[] {
  try {
    const first = [o.hello?.() ?? []].flat() as Data[];
    first.forEach(sizeOf); // throws if one is not Data
    return first;
  } catch (err) {
    queueMicrotask(() => {
      throw err; // reported like an error of a listener
    });
    return [];
  }
}

const names =
  "url protocols ticket credentials seal hello heartbeat queue inbox times retryCodes retryStatuses WebSocket dangerouslyAllowPlaintext".split(" ");

export function settings(o: Options): Settings {
  const unknown = Object.keys(o).find((name) => !names.includes(name));
  if (unknown) {
    throw new TypeError(`securews: ${unknown}: no such option`);
  }
  const WebSocket = o.WebSocket ?? (globalThis.WebSocket as unknown as Settings["WebSocket"] | undefined);
  if (!WebSocket) {
    throw new TypeError("securews: WebSocket: there is none here, give one");
  }
  callable("hello", o.hello ?? hello);
  const protocols = protocolsOf(o.protocols ?? []);
  const offer = o.seal?.offer(protocols) ?? protocols;
  if (o.ticket !== undefined && offer.length === 0) {
    throw new TypeError("securews: protocols: a ticket needs a real subprotocol beside it");
  }
  return {
    WebSocket,
    url: socketURL(o.url, !!o.dangerouslyAllowPlaintext),
    offer,
    ticket: ticketSource(o),
    seal: o.seal,
    hello: () => hello(o),
    heartbeat: o.heartbeat && heartbeatOf(o.heartbeat),
    queue: numbers("queue", o.queue, { messages: 256, bytes: 1 << 20 }),
    ...numbers("options", { inbox: o.inbox }, { inbox: 1024 }),
    retryCodes: codes("retryCodes", o.retryCodes, /^(1000|1005|1008|4\d{3})$/),
    retryStatuses: codes("retryStatuses", o.retryStatuses, /^[45]\d\d$/),
    times: numbers("times", o.times, defaultTimes),
  };
}
