// The server's public keys: pinned, or from its directory.

import { read } from "../answer.js";
import { encode, equal, fromBase64url, sha256, u16, type Bytes } from "./bytes.js";
import { suiteOf, type Suite } from "./suite.js";

export interface PublicKey {
  suite: Suite;
  kid: Bytes;
  pk: Bytes;
  notAfter: number; // milliseconds since 1970; 0: unknown
}

const maxDirectory = 64 << 10;
const maxKeys = 32;
const longestFetch = 10_000; // every connection waits for it

export async function publicKey(suite: Suite, pk: Bytes, notAfter: number): Promise<PublicKey> {
  if (pk.length !== suite.publicSize) {
    throw new TypeError(`securews: key: ${pk.length} bytes; one of ${suite.name} has ${suite.publicSize}`);
  }
  const kid = (await sha256(encode("wss-kid/1"), u16(suite.kem), pk)).slice(0, 8);
  return { suite, kid, pk, notAfter };
}

/** keysOf skips the keys of unknown suites; a mistake in any other key is an error. */
export async function keysOf({ keys }: { keys?: unknown }): Promise<PublicKey[]> {
  if (!Array.isArray(keys) || keys.length > maxKeys) {
    throw new TypeError("securews: directory: keys");
  }
  const known: PublicKey[] = [];
  for (const { kem, kid, pk, not_after } of keys) {
    const suite = suiteOf(kem);
    if (!suite) {
      continue;
    }
    if (!(not_after > 0)) {
      throw new TypeError("securews: directory: not_after");
    }
    const key = await publicKey(suite, fromBase64url(pk), not_after * 1000);
    if (!equal(key.kid, fromBase64url(kid))) {
      throw new TypeError("securews: directory: kid is not that of pk");
    }
    known.push(key);
  }
  return known;
}

export async function fetchDirectory(url: string): Promise<PublicKey[]> {
  const signal = AbortSignal.timeout(longestFetch);
  const answer = await fetch(url, { redirect: "error", credentials: "omit", cache: "no-cache", signal });
  if (!answer.ok) {
    throw new TypeError(`securews: directory: answered ${answer.status}`);
  }
  return keysOf(await read(answer, maxDirectory, new TypeError("securews: directory: too long")));
}

/** Directory caches the keys of an address. */
export class Directory {
  #keys: Promise<PublicKey[]> | undefined;
  #fetched = 0;

  constructor(private readonly url: string) {}

  /** keys fetches again if its keys are older than maxAge milliseconds, or the clock was set back. */
  keys(maxAge: number): Promise<PublicKey[]> {
    if (!this.#keys || Math.abs(Date.now() - this.#fetched) > maxAge) {
      this.#fetched = Date.now();
      const fetched = fetchDirectory(this.url);
      this.#keys = fetched;
      fetched.catch(() => {
        if (this.#keys === fetched) {
          this.#keys = undefined;
        }
      });
    }
    return this.#keys;
  }
}
