// The panel that shows the security at work: the frames of this page (wire.js), how connections
// ended here and in other tabs, who is connected from where, and a restart under load.

import * as api from "./api.js";
import { refusal, unreachable } from "./closing.js";
import { element, say } from "./view.js";

const $ = (id) => document.getElementById(id);

const every = 2_000; // milliseconds between two looks at the connections
const often = 400; // at a restart that is under way
const most = 8; // ends that are shown

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });

let timer = 0;
let admin = false;

export function start() {
  $("panel-toggle").addEventListener("click", () => open($("panel").hidden));
  $("panel-close").addEventListener("click", close);
  $("panel").addEventListener("keydown", ({ key }) => key === "Escape" && close());
  $("storm").addEventListener("click", storm);
}

function close() {
  open(false);
  $("panel-toggle").focus();
}

function open(is) {
  $("panel").hidden = !is;
  $("panel-toggle").setAttribute("aria-expanded", is);
  document.body.classList.toggle("with-panel", is);
  clearInterval(timer);
  if (!is) return;
  $("panel-close").focus();
  timer = setInterval(look, every);
  look();
}

// enter is called with a user, and with "" when there is none: the ends stay.
export async function enter(user) {
  for (const part of document.querySelectorAll("#panel .of-user")) part.hidden = !user;
  $("connections").replaceChildren();
  say("storm-report", "");
  $("storm-part").hidden = true;
  if (!user) return;
  $("ends").replaceChildren();
  $("ends-none").hidden = false;
  const { ok, body } = await api.me();
  admin = ok && body.roles.includes("admin");
  $("storm-part").hidden = !(admin && "storm" in document.body.dataset);
  if (!$("panel").hidden) look();
}

// ended shows the end of a connection of this tab, or of another one.
export function ended(who, text, at) {
  const item = element("li");
  item.append(element("b", "", who), " ", element("code", "", text), ` at ${clock.format(at)}`);
  $("ends").prepend(item);
  $("ends-none").hidden = true;
  while ($("ends").childElementCount > most) $("ends").lastElementChild.remove();
}

async function look() {
  if ($("panel").querySelector(".of-user").hidden || document.visibilityState === "hidden") return;
  const { ok, body } = await api.connections();
  if (ok) showConnections(body);
}

// showConnections counts what differs only in time.
function showConnections(list) {
  const groups = new Map();
  for (const { user, method, address } of list) {
    const text = `${user}, ${method}, from ${address || "an unknown address"}`;
    groups.set(text, (groups.get(text) ?? 0) + 1);
  }
  const texts = [...groups].map(([text, count]) => (count > 1 ? `${text} × ${count}` : text));
  if (texts.join("\n") === [...$("connections").children].map((item) => item.textContent).join("\n")) return;
  $("connections").replaceChildren(...texts.map((text) => element("li", "", text)));
}

async function storm() {
  $("storm").disabled = true;
  const answer = await api.startStorm();
  if (answer.ok) await follow();
  else say("storm-report", answer.status ? refusal(answer.status, answer.body.reason) : unreachable);
  $("storm").disabled = false;
}

// follow shows the restart until it is over. In between the server does not answer.
async function follow() {
  for (let until = Date.now() + 60_000; Date.now() < until;) {
    const { ok, status, body } = await api.storm();
    if (ok) say("storm-report", told(body));
    if (status === 401 || (ok && (body.phase === "done" || body.phase === "failed"))) return;
    await new Promise((done) => setTimeout(done, often));
  }
}

function told({ phase, sockets, open, ends, back, longest }) {
  const list = Object.entries(ends).map(([end, count]) => `${count} ended with ${end}`).join(", ");
  const seconds = (longest / 1000).toFixed(1);
  switch (phase) {
    case "opening": return `Opening ${sockets} sockets: ${open} are open.`;
    case "failed": return `Not all came back: ${back} of ${sockets}. ${list}.`;
    case "done": return `Restarted. ${list}. All ${back} are back, each with a new token, the last one after ${seconds} s.`;
  }
  return `Restarting under ${sockets} sockets. ${list ? `${list}. ` : ""}${back} are back.`;
}
