// The two hellos, byte for byte.

import { concat, equal, u16, type Bytes } from "./bytes.js";
import type { PublicKey } from "./keys.js";

const head = 37; // of the ServerHello, including the number of suites
const size = 14; // of an offer: kid, KEM, KDF, AEAD

/** offers returns the encoded offers of a ServerHello, or undefined if it is malformed. */
export function offers(hello: Bytes): Bytes[] | undefined {
  const start = new Uint8Array([1, 1, 0, 0]);
  const count = hello[head - 1] ?? 0;
  if (!equal(hello.subarray(0, 4), start) || count === 0 || hello.length !== head + count * size) {
    return undefined;
  }
  return Array.from({ length: count }, (_, i) => hello.slice(head + i * size, head + (i + 1) * size));
}

/** offerOf encodes a key as an offer. */
export function offerOf({ kid, suite }: PublicKey): Bytes {
  return concat(kid, u16(suite.kem), u16(suite.kdf), u16(suite.aead));
}

export function clientHello(offer: Bytes, enc: Bytes): Bytes {
  return concat(new Uint8Array([2, 1, 0, 0]), offer, u16(enc.length), enc);
}
