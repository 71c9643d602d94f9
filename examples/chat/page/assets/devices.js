// The dialog that lists the user's sessions and their connections, any of which can be ended; and
// for the administrator the members.

import * as api from "./api.js";
import { refusal, unreachable } from "./closing.js";
import { avatar, element, say } from "./view.js";

const $ = (id) => document.getElementById(id);

const today = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const earlier = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const by = { ticket: "Page", session: "Cookie", bearer: "Token" };

let hooks = {}; // endOthers signs all others out; gone is called if this session has ended

export function start(given) {
  hooks = given;
  $("account").addEventListener("click", () => {
    $("devices").showModal();
    refresh();
  });
  $("devices-close").addEventListener("click", close);
  $("end-others").addEventListener("click", () => act(hooks.endOthers));
}

export const close = () => $("devices").close();

// act does something about the list, and shows the list anew.
async function act(what) {
  lock(true);
  const answer = await what();
  if (await refresh()) say("devices-error", answer.ok ? "" : problem(answer));
}

async function refresh() {
  lock(true);
  const [list, me] = await Promise.all([api.devices(), api.me()]);
  lock(false);
  if (list.status === 401 || me.status === 401) {
    hooks.gone();
    return false;
  }
  say("devices-error", list.ok ? "" : problem(list));
  if (list.ok) showDevices(list.body);
  if (me.ok) await showMembers(me.body);
  if (!$("devices").contains(document.activeElement)) $("devices-close").focus(); // its button is gone
  return true;
}

function lock(locked) {
  for (const button of $("devices").querySelectorAll("li button, #end-others")) button.disabled = locked;
}

const problem = ({ status, body }) => (status ? refusal(status, body.reason) : unreachable);

function showDevices(list) {
  list.sort((a, b) => b.here - a.here);
  $("end-others").hidden = list.length < 2;
  $("device-list").replaceChildren(...list.map((device) => {
    const head = element("div", "device-head");
    head.append(element("strong", "", device.device));
    if (device.here) head.append(element("span", "badge", "This device"));
    else head.append(button("End", `End the session of ${device.device}`, () => api.endDevice(device.id)));
    const facts = element("p", "facts", together(device.address, `since ${at(device.since)}`, `last seen ${at(device.seen)}`));
    const item = element("li", "device");
    item.append(head, facts, connections(device.connections));
    return item;
  }));
}

function connections(list) {
  const all = element("ul", "connections");
  all.append(...list.map((connection) => {
    const item = document.createElement("li");
    const text = together(by[connection.method] ?? connection.method, connection.address, `since ${at(connection.since)}`);
    item.append(element("span", "", text), button("End", `End the connection, ${text}`, () => api.endConnection(connection.id)));
    return item;
  }));
  return all;
}

async function showMembers({ user, roles }) {
  const admin = roles.includes("admin");
  const answer = admin ? await api.members() : {};
  $("members").hidden = !answer.ok;
  $("member-list").replaceChildren(...(answer.ok ? answer.body : []).map(({ name, member }) => {
    const item = document.createElement("li");
    item.append(avatar(name, "small"), element("span", "", member ? name : `${name}, removed`));
    if (name !== user) item.append(button(member ? "Remove" : "Admit", "", () => api.setMember(name, !member)));
    return item;
  }));
}

function button(text, label, what) {
  const b = element("button", "quiet", text);
  b.type = "button";
  if (label) b.setAttribute("aria-label", label);
  b.addEventListener("click", () => act(what));
  return b;
}

// together returns the facts with breaks only between them.
const together = (...facts) => facts.map((fact) => fact.replaceAll(" ", "\u00a0")).join(" · ");

function at(time) {
  const date = new Date(time);
  return (date.toDateString() === new Date().toDateString() ? today : earlier).format(date);
}
