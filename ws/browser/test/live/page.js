// The same as client.js, in a page: it sends reports to and gets commands from a separate
// server of the test, which continues while the other is down.

import { connect, fetchTicket } from "securews";
import { seal } from "securews/seal";
import { obey, report } from "./orders.js";

const { control, sealed, refresh, first, ...options } = JSON.parse(document.body.dataset.options);

// Reports made during a request are sent together in the next one.
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

// Without the planned reconnect, the server ends connections that have expired.
const plain = async ({ signal }) => ({ ...(await fetchTicket(options.ticket, { signal })), refresh_after: 0 });
const ticket = refresh === false ? plain : options.ticket;

// A client that has running timers could still reconnect.
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
if (first) obey(client, first); // before the server can have answered
client.closed.then(() => tell({ over: true, timers: timers.size }));

for (;;) {
  const order = await (await fetch(`${control}/todo`)).json();
  obey(client, order, () => window.dispatchEvent(new Event("pageshow")), tell);
}
