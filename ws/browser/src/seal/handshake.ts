// From a ServerHello to the ClientHello and the secrets of both directions.

import { concat, encode, equal, hmac, sha256, u16, type Bytes } from "./bytes.js";
import { clientHello, offerOf, offers } from "./hello.js";
import type { PublicKey } from "./keys.js";
import { Direction } from "./record.js";

/** The parameters that both ends must agree on, beside the hellos. */
export interface Binding {
  audience: string;
  origin: string;
  subprotocol: string;
  principal: string;
}

/** choose returns the key of the server's first offer that is known, or undefined. */
export function choose(hello: Bytes, keys: readonly PublicKey[]): PublicKey | undefined {
  const now = Date.now();
  const known = keys.filter((k) => !k.notAfter || now < k.notAfter);
  for (const offer of offers(hello) ?? []) {
    const key = known.find((k) => equal(offerOf(k), offer));
    if (key) {
      return key;
    }
  }
  return undefined;
}

async function info(serverHello: Bytes, b: Binding): Promise<Bytes> {
  const parts = [b.audience, b.origin, b.subprotocol, b.principal].map(encode);
  const prefixed = parts.map((p) => concat(u16(p.length), p));
  return concat(encode("wss-hpke/1\0"), await sha256(serverHello), ...prefixed);
}

/** shake answers a ServerHello. ekm makes the answer reproducible, for test vectors only. */
export async function shake(
  serverHello: Bytes,
  key: PublicKey,
  binding: Binding,
  psk: Bytes | undefined,
  ekm?: Bytes,
): Promise<{ hello: Bytes; c2s: Direction; s2c: Direction }> {
  const { hpke, keySize } = key.suite;
  const context = await hpke.createSenderContext({
    recipientPublicKey: await hpke.kem.deserializePublicKey(key.pk),
    info: await info(serverHello, binding),
    ...(ekm && { ekm }),
  });
  const hello = clientHello(offerOf(key), new Uint8Array(context.enc));
  const th = await sha256(serverHello, hello);
  const direction = async (label: string): Promise<Direction> => {
    const exported = new Uint8Array(await context.export(concat(encode(label), th), 32));
    return Direction.make(psk ? await hmac(psk, exported) : exported, keySize);
  };
  return { hello, c2s: await direction("wss-hpke/1 c2s"), s2c: await direction("wss-hpke/1 s2c") };
}
