// What client.js does, in a page: it tells and asks a server of the test's own, which
// goes on while the other is away.

import { connect, fetchTicket } from "securews";
import { seal } from "securews/seal";

const { control, sealed, refresh, ...options } = JSON.parse(document.body.dataset.options);

let told = Promise.resolve();
const tell = (what) => (told = told.then(() => fetch(`${control}/tell`, { method: "POST", body: JSON.stringify(what) })));

document.addEventListener("securitypolicyviolation", (e) => tell({ fault: `${e.violatedDirective} ${e.blockedURI}` }));
window.addEventListener("error", (e) => tell({ fault: e.message }));
window.addEventListener("unhandledrejection", (e) => tell({ fault: String(e.reason) }));

const hex = (buffer) => Array.from(new Uint8Array(buffer), (b) => b.toString(16).padStart(2, "0")).join("");
const bytesOf = (text) => Uint8Array.from(text.match(/../g), (b) => parseInt(b, 16));

// Without the planned reconnect, the server ends what has expired.
const plain = async ({ signal }) => ({ ...(await fetchTicket(options.ticket, { signal })), refresh_after: 0 });
const ticket = refresh === false ? plain : options.ticket;

const client = connect({ ...options, ticket, ...(sealed && { seal: seal(sealed) }) });
client.addEventListener("state", ({ detail }) => tell({ ...detail, sealed: client.sealed, protocol: client.protocol }));
client.addEventListener("message", ({ data }) => tell({ message: typeof data === "string" ? data : hex(data) }));
client.addEventListener("undelivered", ({ detail }) => tell({ undelivered: detail.data, why: detail.why }));

for (;;) {
  const { send, bytes, close, sleep } = await (await fetch(`${control}/todo`)).json();
  if (send !== undefined) client.send(send);
  if (bytes !== undefined) client.send(bytesOf(bytes));
  if (close) void client.close();
  if (sleep) {
    // The machine slept for an hour: the clock says so, and the page comes back.
    const now = Date.now;
    Date.now = () => now() + 3_600_000;
    window.dispatchEvent(new Event("pageshow"));
  }
}
