// Messages that were sent and have not come back from the server. A connection that ends before
// that leaves open whether one has arrived: the user decides whether to send it again.

import { element } from "./view.js";

const $ = (id) => document.getElementById(id);

const patience = 2_000; // milliseconds without an answer after which a message is shown

let list = []; // { room, text, timer, item }
let again = () => false;

// start takes the function that sends a text again; it returns whether it did.
export function start(send) {
  again = send;
}

export function add(room, text) {
  const message = { room, text, item: null, timer: 0 };
  message.timer = setTimeout(() => show(message, "No answer yet"), patience);
  list.push(message);
}

// arrived is called with each of the user's own messages that the server shows.
export function arrived(room, text) {
  const message = list.find((m) => m.room === room && m.text === text);
  if (message) remove(message);
}

// doubt shows what the connection that has ended leaves open.
export function doubt() {
  for (const message of list) show(message, "May not have arrived");
}

// enter shows the messages of a room alone.
export function enter(room) {
  for (const { room: of, item } of list) if (item) item.hidden = of !== room;
}

export function forget() {
  for (const message of [...list]) remove(message);
}

function remove(message) {
  clearTimeout(message.timer);
  message.item?.remove();
  list = list.filter((m) => m !== message);
}

function show(message, state) {
  clearTimeout(message.timer);
  if (message.item) {
    message.item.querySelector(".state").textContent = state;
    return;
  }
  message.item = element("li");
  message.item.append(
    element("span", "body", message.text), element("span", "state", state),
    button("Send again", message, () => again(message.text) && remove(message)),
    button("Discard", message, () => remove(message)),
  );
  $("pending").append(message.item);
  message.item.scrollIntoView({ block: "nearest" });
}

function button(text, message, act) {
  const b = element("button", "quiet", text);
  b.type = "button";
  b.setAttribute("aria-label", `${text}: ${message.text}`);
  b.addEventListener("click", () => {
    act();
    $("text").focus();
  });
  return b;
}
