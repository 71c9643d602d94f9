// The same as client.js, in a page: it sends reports to and gets commands from a separate
// server of the test, which continues while the other is down.

import { connect, fetchTicket } from "securews";
import { seal } from "securews/seal";
import { obey, report } from "./orders.js";

const { control, sealed, refresh, first, ...options } = JSON.parse(document.body.dataset.options);
const { setTimeout, clearTimeout, setInterval, clearInterval } = window;

// ask makes a request until it succeeds: the browser may be offline. It does not wait for the body
// of the response: if that arrives as Chromium freezes the page, its end never comes.
async function ask(path, init) {
  for (;;) {
    try {
      return await fetch(control + path, init);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

// Reports made during a request are sent together in the next one.
let untold = [];
let telling;
function tell(what) {
  untold.push(what);
  telling ??= tellAll();
}

async function tellAll() {
  while (untold.length > 0) await ask("/tell", { method: "POST", body: JSON.stringify(untold.splice(0)) });
  telling = undefined;
}

document.addEventListener("securitypolicyviolation", (e) => tell({ fault: `${e.violatedDirective} ${e.blockedURI}` }));
window.addEventListener("error", (e) => tell({ fault: e.message }));
window.addEventListener("unhandledrejection", (e) => tell({ fault: String(e.reason) }));
window.addEventListener("pageshow", (e) => {
  const [navigation] = performance.getEntriesByType("navigation");
  tell({ shown: e.persisted ? "again" : "anew", why: JSON.stringify(navigation?.notRestoredReasons) });
});

// Without the planned reconnect, the server ends connections that have expired.
const plain = async ({ signal }) => ({ ...(await fetchTicket(options.ticket, { signal })), refresh_after: 0 });
const ticket = refresh === false ? plain : options.ticket;

// A client that has running timers could still reconnect.
const timers = new Set();
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

window.client = client;
window.frozen = new Promise((resolve) => document.addEventListener("freeze", () => resolve(), { once: true }));

// Resolves once the client has a state, for a test whose page can send no report.
window.reached = async (state) => {
  while (client.state !== state) await new Promise((resolve) => client.addEventListener("state", resolve, { once: true }));
};

for (;;) {
  const order = await (await ask("/todo")).json();
  if (order.leave) {
    // A request under way would keep the page out of the back-forward cache.
    await telling;
    const shown = new Promise((resolve) => window.addEventListener("pageshow", resolve, { once: true }));
    location.href = "/away";
    await shown;
  } else {
    obey(client, order, () => window.dispatchEvent(new Event("pageshow")), tell);
  }
}
