// The list of rooms, with a sign at each in which something was said since the user was there.

import { element } from "./view.js";

const $ = (id) => document.getElementById(id);
const sealed = $("sealed-room");

const seen = new Map(); // room -> ID of the last message that this page knows of
const unread = new Set();
let current = "";

// show brings the list up to date. Buttons that stay are kept, and with them the focus.
export function show(names, room, onJoin) {
  current = room;
  const old = new Map([...$("rooms").children].map((item) => [item.firstChild.dataset.room, item]));
  $("rooms").replaceChildren(...names.map((name) => old.get(name) ?? entry(name, onJoin)));
  paint();
}

function entry(name, onJoin) {
  const button = element("button", "", name);
  button.type = "button";
  button.dataset.room = name;
  button.addEventListener("click", () => onJoin(name));
  const item = element("li");
  item.append(button);
  return item;
}

// heard compares the last messages of the rooms, which a new connection is told, with what was seen.
export function heard(latest = {}) {
  for (const [room, id] of Object.entries(latest)) {
    if (seen.has(room) && seen.get(room) !== id) unread.add(room);
    else seen.set(room, id);
  }
  paint();
}

export function news(room) {
  unread.add(room);
  paint();
}

// read is called with the last message of the room that the user is in.
export function read(room, id) {
  seen.set(room, id);
  unread.delete(room);
  paint();
}

export function forget() {
  seen.clear();
  unread.clear();
  $("rooms").replaceChildren();
}

function paint() {
  unread.delete(current);
  for (const button of [...$("rooms").querySelectorAll("button"), sealed]) {
    const { room } = button.dataset;
    if (room === current) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    sign(button, unread.has(room));
  }
  sign($("side-toggle"), unread.size > 0);
}

// sign sets or removes the dot at a button, and the words for it.
function sign(button, wanted) {
  const there = button.querySelector(".unread");
  if (!wanted) there?.remove();
  else if (!there) {
    const dot = element("span", "unread");
    dot.append(element("span", "hidden", " (new messages)"));
    button.append(dot);
  }
}
