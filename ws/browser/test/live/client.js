// A client that tells on stdout, a line of JSON each, what it sees, and does what stdin
// says. Its options are the first argument; what JSON cannot say is made here.

import { createInterface } from "node:readline";
import WebSocket from "ws";
import { seal } from "../../dist/seal.js";
import { connect, fetchTicket } from "../../dist/securews.js";

const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const { origin, ticket, tickets = [], refresh = true, sealed, hello, ...options } = JSON.parse(process.argv[2]);
const headers = { Origin: origin, Authorization: "Bearer of the test" };

class Dialler extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { origin });
  }
}

async function fetchOne({ signal, renew }) {
  const canned = tickets.shift();
  if (canned) return canned;
  const got = await fetchTicket(ticket, { headers, signal });
  tell({ ticket: got.cid, renew });
  return refresh ? got : { ...got, refresh_after: 0 };
}

const client = connect({
  ...options,
  WebSocket: Dialler,
  ...(ticket && { ticket: fetchOne }),
  ...(sealed && { seal: seal({ origin, ...sealed }) }),
  ...(hello && { hello: () => hello }),
});
client.addEventListener("state", ({ detail }) => tell({ ...detail, sealed: client.sealed, protocol: client.protocol }));
client.addEventListener("message", ({ data }) => tell({ message: typeof data === "string" ? data : Buffer.from(data).toString("hex") }));
client.addEventListener("undelivered", ({ detail }) => tell({ undelivered: detail.data, why: detail.why }));

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { send, bytes, close } = JSON.parse(line);
  if (send !== undefined) client.send(send);
  if (bytes !== undefined) client.send(Buffer.from(bytes, "hex"));
  if (close) void client.close();
});
await client.closed;
lines.close();
process.stdin.destroy();
