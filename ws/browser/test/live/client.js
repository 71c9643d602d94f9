// A client that reports its events on stdout, as lines of JSON, and reads commands from stdin.
// Its options are the first argument; those that JSON cannot represent are created here.

import { createInterface } from "node:readline";
import WebSocket from "ws";
import { seal } from "../../dist/seal.js";
import { connect, fetchTicket } from "../../dist/securews.js";
import { obey, report } from "./orders.js";

const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const { origin, ticket, tickets = [], token, refresh = true, sealed, hello, ...options } = JSON.parse(process.argv[2]);
const headers = { Origin: origin, Authorization: "Bearer of the test" };

class Dialler extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { origin });
  }
}

async function fetchOne({ signal, renew }) {
  const canned = tickets.shift();
  if (canned) return canned;
  if (token) headers.Authorization = `Bearer ${await (await fetch(token, { signal })).text()}`;
  const got = await fetchTicket(ticket, { headers, signal });
  tell({ ticket: got.cid, renew });
  return refresh ? got : { ...got, refresh_after: 0 };
}

// The client checks for a sleep every 10 s; here also on command.
let look;
const { setInterval } = globalThis;
globalThis.setInterval = (run, ms) => setInterval((look = run), ms);

const client = connect({
  ...options,
  WebSocket: Dialler,
  ...(ticket && { ticket: fetchOne }),
  ...(sealed && { seal: seal({ origin, ...sealed }) }),
  ...(hello && { hello: () => hello }),
});
report(client, tell);

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => obey(client, JSON.parse(line), look, tell));
await client.closed;
lines.close();
process.stdin.destroy();
