// The messages of an application: text or bytes.

import type { Data } from "./api.js";
import { wrong } from "./wrong.js";

const utf8 = new TextEncoder();

export function sizeOf(data: Data): number {
  const size = typeof data === "string" ? utf8.encode(data).length : data.byteLength;
  if (!(size >= 0)) {
    throw wrong("data", data);
  }
  return size;
}

/** own copies bytes, so that later changes by the caller have no effect. */
export function own(data: Data): string | Uint8Array<ArrayBuffer> {
  if (typeof data === "string") {
    return data;
  }
  return new Uint8Array(ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : data.slice(0));
}
