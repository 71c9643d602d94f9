// What the page's socket carries, as a proxy behind TLS sees it, beside what the page reads in it.
// The latest are kept, in memory, and forgotten with the user.

import { element } from "./view.js";

const list = document.getElementById("frames");

const most = 12;
const bytesShown = 48;
const overhead = 18; // of a sealed record, see docs/encryption.md

// Recorder is a WebSocket whose messages are shown.
export class Recorder extends WebSocket {
  constructor(...how) {
    super(...how);
    this.addEventListener("message", ({ data }) => frame("in", data));
  }

  send(data) {
    frame("out", data);
    super.send(data);
  }
}

let rows = []; // { way, size, item }, the oldest first
let early = []; // { way, text }: read or written by the page before its frame is known

const encoder = new TextEncoder();

// plain is called with each message that the page sends or reads.
export function plain(way, text) {
  const size = encoder.encode(text).length;
  const row = rows.find((r) => r.way === way && !r.read && (r.text === text || r.size === size + overhead));
  if (row) fill(row, text);
  else early = [...early, { way, text, size }].slice(-most);
}

function frame(way, data) {
  const text = typeof data === "string" ? data : "";
  const bytes = text ? encoder.encode(text) : new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
  const row = { way, text, size: bytes.length, read: false, item: element("li", `frame ${way}`) };
  const hex = [...bytes.subarray(0, bytesShown)].map((b) => b.toString(16).padStart(2, "0")).join(" ");
  const seen = text || hex + (bytes.length > bytesShown ? " …" : "");
  row.item.append(
    element("p", "way", `${way === "in" ? "Received" : "Sent"}, ${bytes.length} bytes`),
    line("A proxy reads", seen, text ? "open" : "closed"),
    line("The page reads", text ? "the same" : "a handshake or a sign of life", "read"),
  );
  const known = early.find((e) => e.way === way && (e.text === text || e.size + overhead === row.size));
  if (known) {
    early = early.filter((e) => e !== known);
    fill(row, known.text);
  }
  rows.push(row);
  list.prepend(row.item);
  if (rows.length > most) rows.shift().item.remove();
}

function line(label, text, kind) {
  const p = element("p", kind);
  p.append(element("b", "", label), " ", element("code", "", text));
  return p;
}

function fill(row, text) {
  row.read = true;
  if (!row.text) row.item.querySelector(".read code").textContent = text;
}

export function forget() {
  rows = [];
  early = [];
  list.replaceChildren();
}
