import type { Sealing } from "../api.js";
import { addressOf } from "../address.js";
import { fromBase64url, type Bytes } from "./bytes.js";
import { Directory, publicKey, type PublicKey } from "./keys.js";
import { Session } from "./session.js";
import { suites, type Suite } from "./suite.js";

/** A public key of the server that the page knows in advance. */
export interface PinnedKey {
  suite: "X-Wing" | "X25519" | "P-256";
  /** base64url without padding, or the bytes. */
  pk: string | Uint8Array;
}

export interface SealOptions {
  /** The configured name of the server; not taken from its address. */
  audience: string;
  /** A connection that is not sealed is closed if required (the default), and used if dangerouslyOptional. */
  policy?: "required" | "dangerouslyOptional";
  /** The only trusted keys. */
  keys?: readonly PinnedKey[];
  /** The address of the directory if no key is pinned; default /.well-known/wss-keys at the server. */
  directory?: string | URL;
  /** The accepted suites; default all three. The server's order applies. */
  suites?: readonly PinnedKey["suite"][];
  /** The name of the user that the server binds the keys to; default "". */
  principal?: string | (() => string);
  /** The Origin of the handshake; default that of the page, "" without a page. */
  origin?: string;
  /** A pre-shared key of 32 bytes. */
  psk?: Uint8Array;
  /** Allows a directory over http:, on localhost and loopback addresses only. */
  dangerouslyAllowLocalHTTP?: boolean;
}

const keep = 600_000; // how long the keys of a directory are used before it is fetched again

const prefix = "hpke1.";

function suiteNamed(name: string): Suite {
  const suite = suites.find((s) => s.name === name);
  if (!suite) {
    throw new TypeError(`securews: seal: ${name}: unknown suite`);
  }
  return suite;
}

/** bytesOf accepts only 8-bit arrays: a number, or wider elements, would become other bytes. */
function bytesOf(what: string, given: unknown): Bytes {
  if (!ArrayBuffer.isView(given) || (given as Uint8Array).length !== given.byteLength) {
    throw new TypeError(`securews: seal: ${what}: not bytes`);
  }
  return new Uint8Array(given as Uint8Array);
}

function pinned(list: readonly PinnedKey[]): () => Promise<PublicKey[]> {
  const bytes = (pk: string | Uint8Array): Bytes => (typeof pk === "string" ? fromBase64url(pk) : bytesOf("pk", pk));
  const keys = list.map(({ suite, pk }) => ({ suite: suiteNamed(suite), pk: bytes(pk) }));
  for (const { suite, pk } of keys) {
    if (pk.length !== suite.publicSize) {
      throw new TypeError(`securews: seal: ${pk.length} bytes; a public key of ${suite.name} has ${suite.publicSize}`);
    }
  }
  return () => Promise.all(keys.map(({ suite, pk }) => publicKey(suite, pk, 0)));
}

function lookup(o: SealOptions): (url: string, fresh: boolean) => Promise<PublicKey[]> {
  if (o.keys !== undefined) {
    return pinned(o.keys);
  }
  const directories = new Map<string, Directory>();
  const at = (server: string): string =>
    addressOf("directory", new URL(o.directory ?? "/.well-known/wss-keys", server), "http", !!o.dangerouslyAllowLocalHTTP);
  at("https://any.example"); // throws if the directory is not valid for any server
  return (socket, fresh) => {
    const url = at(socket.replace(/^ws/, "http"));
    const directory = directories.get(url) ?? new Directory(url);
    directories.set(url, directory);
    return directory.keys(fresh ? 0 : keep);
  };
}

const isText = (given: unknown): boolean => typeof given === "string";
const isFilled = (given: unknown): boolean => Array.isArray(given) && given.length > 0;

/** The rules for the options that are given. An unknown one may be misspelt, and is an error. */
const rules: Record<keyof SealOptions, [must: string, holds: (given: unknown) => boolean]> = {
  audience: ["text", (given) => isText(given) && given !== ""],
  policy: ["required or dangerouslyOptional", (given) => given === "required" || given === "dangerouslyOptional"],
  keys: ["a list with a key in it", isFilled],
  directory: ["an address", (given) => isText(given) || given instanceof URL],
  suites: ["a list with a suite in it", isFilled],
  principal: ["text or a function", (given) => isText(given) || typeof given === "function"],
  origin: ["text", isText],
  psk: ["32 bytes", (given) => bytesOf("psk", given).length === 32],
  dangerouslyAllowLocalHTTP: ["true or false", (given) => typeof given === "boolean"],
};

function check(o: SealOptions): void {
  for (const [name, given] of [["audience", o.audience], ...Object.entries(o)] as [string, unknown][]) {
    if (!Object.hasOwn(rules, name)) {
      throw new TypeError(`securews: seal: ${name}: no such option`);
    }
    const [must, holds] = rules[name as keyof SealOptions];
    if ((given !== undefined || name === "audience") && !holds(given)) {
      throw new TypeError(`securews: seal: ${name}: must be ${must}`);
    }
  }
}

/** Seals the messages of a client of connect(). */
export function seal(options: SealOptions): Sealing {
  check(options);
  const required = options.policy !== "dangerouslyOptional";
  const allowed = options.suites?.map(suiteNamed) ?? suites;
  const keys = lookup(options);
  const psk = options.psk && new Uint8Array(options.psk);
  const { audience, principal = "", origin = globalThis.location?.origin ?? "" } = options;
  return {
    offer(protocols) {
      if (protocols.length === 0) {
        throw new TypeError("securews: seal: protocols: at least one is needed");
      }
      const sealed = protocols.map((p) => prefix + p);
      return required ? sealed : [...sealed, ...protocols];
    },
    start(wire) {
      if (!wire.protocol.startsWith(prefix)) {
        return required ? false : undefined;
      }
      const who = typeof principal === "function" ? principal() : principal;
      return new Session(
        {
          keys: async (fresh) => (await keys(wire.url, fresh)).filter((k) => allowed.includes(k.suite)),
          binding: { audience, origin, subprotocol: wire.protocol, principal: who },
          psk,
        },
        wire,
      );
    },
  };
}
