// The addresses that may be dialled: encrypted ones, and for development those of this machine.

const local = /^(localhost|127\.[\d.]+|\[::(1|ffff:7f..:.+)\])$/; // as URL writes them

function page(): string | undefined {
  const href = globalThis.location?.href;
  return href && /^https?:/.test(href) ? href : undefined;
}

function resolve(what: string, address: string | URL, secure: string, plain: string, plaintext: boolean): URL {
  const url = new URL(address, page());
  const allowed = url.protocol === secure || (url.protocol === plain && plaintext && local.test(url.hostname));
  if (!allowed) {
    throw new TypeError(`securews: ${what}: ${url.protocol}//${url.host} is not ${secure}`);
  }
  if (url.username || url.password || url.hash) {
    throw new TypeError(`securews: ${what}: neither credentials nor a fragment may stand in it`);
  }
  return url;
}

/** socketURL returns the address to dial: wss:, or relative to a page. */
export function socketURL(address: string | URL, plaintext: boolean): string {
  const url = new URL(address, page());
  url.protocol = url.protocol.replace(/^http/, "ws");
  return resolve("url", url, "wss:", "ws:", plaintext).href;
}

/** routeURL returns the address of an HTTP route. */
export function routeURL(what: string, address: string | URL, plaintext: boolean): string {
  return resolve(what, address, "https:", "http:", plaintext).href;
}
