// Bytes, and the three primitives that the rest is built on.

export type Bytes = Uint8Array<ArrayBuffer>;

const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const encode = (text: string): Bytes => utf8.encode(text) as Bytes;

/** decode throws if the bytes are not UTF-8. */
export const decode = (bytes: Bytes): string => strict.decode(bytes);

export function concat(...parts: Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}

export const u16 = (n: number): Bytes => new Uint8Array([n >> 8, n & 0xff]);

export const equal = (a: Bytes, b: Bytes): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** fromBase64url accepts only the canonical encoding, without padding. */
export function fromBase64url(text: string): Bytes {
  if (!/^[\w-]*$/.test(text)) {
    throw new TypeError("securews: not base64url");
  }
  const bytes = Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  if (toBase64url(bytes) !== text) {
    throw new TypeError("securews: not base64url");
  }
  return bytes;
}

export function toBase64url(bytes: Bytes): string {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

export async function sha256(...parts: Uint8Array[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...parts)));
}

export async function hmac(key: Bytes, message: Bytes): Promise<Bytes> {
  const k = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", k, message));
}

/** expand is HKDF-Expand (RFC 5869 section 2.3) for at most one block. */
export async function expand(secret: Bytes, label: string, length: number): Promise<Bytes> {
  return (await hmac(secret, concat(encode(label), new Uint8Array([1])))).slice(0, length);
}
