// What client.js does, in a page: it tells and asks a server of the test's own, which
// goes on while the other is away.

import { connect, fetchTicket } from "securews";
import { seal } from "securews/seal";
import { obey, report } from "./orders.js";

const { control, sealed, refresh, ...options } = JSON.parse(document.body.dataset.options);

// What is to be told while something is goes along next time, all of it at once.
let untold = [];
let telling = false;
async function tell(what) {
  untold.push(what);
  if (telling) return;
  telling = true;
  while (untold.length > 0) await fetch(`${control}/tell`, { method: "POST", body: JSON.stringify(untold.splice(0)) });
  telling = false;
}

document.addEventListener("securitypolicyviolation", (e) => tell({ fault: `${e.violatedDirective} ${e.blockedURI}` }));
window.addEventListener("error", (e) => tell({ fault: e.message }));
window.addEventListener("unhandledrejection", (e) => tell({ fault: String(e.reason) }));

// Without the planned reconnect, the server ends what has expired.
const plain = async ({ signal }) => ({ ...(await fetchTicket(options.ticket, { signal })), refresh_after: 0 });
const ticket = refresh === false ? plain : options.ticket;

// The timers under way are what a client could still come back by.
const timers = new Set();
const { setTimeout, clearTimeout, setInterval, clearInterval } = window;
const started = (timer) => (timers.add(timer), timer);
const stopped = (timer) => (timers.delete(timer), timer);
window.setTimeout = (run, ...how) => {
  const timer = started(setTimeout((...args) => (stopped(timer), run(...args)), ...how));
  return timer;
};
window.setInterval = (...how) => started(setInterval(...how));
window.clearTimeout = (timer) => clearTimeout(stopped(timer));
window.clearInterval = (timer) => clearInterval(stopped(timer));

const client = connect({ ...options, ticket, ...(sealed && { seal: seal(sealed) }) });
report(client, tell);
client.closed.then(() => tell({ over: true, timers: timers.size }));

for (;;) {
  const order = await (await fetch(`${control}/todo`)).json();
  obey(client, order, () => window.dispatchEvent(new Event("pageshow")));
}
