// The addresses that may be dialled: encrypted ones, and for development those of this machine.

import { wrong } from "./wrong.js";

const local = /^(localhost|127\.[\d.]+|\[::(1|ffff:7f..:.+)\])$/; // as URL writes them

/** addressOf returns the address to dial: wss: or https:, or relative to a page. */
export function addressOf(what: string, address: string | URL, kind: "ws" | "http", plaintext: unknown): string {
  const page = globalThis.location?.href;
  const url = new URL(address, page && /^http/.test(page) ? page : undefined);
  if (kind === "ws") {
    url.protocol = url.protocol.replace(/^http/, kind);
  }
  const { protocol, username, password, hash, host, hostname, href } = url;
  if (protocol !== `${kind}s:` && !(protocol === `${kind}:` && plaintext && local.test(hostname))) {
    throw wrong(what, `${protocol}//${host} is not ${kind}s:`);
  }
  if (username || password || hash) {
    throw wrong(what, "credentials or a fragment");
  }
  return href;
}
