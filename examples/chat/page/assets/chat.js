// The page: ties the forms, the connection and the view together.

import * as api from "./api.js";
import { refusal } from "./closing.js";
import { Connection } from "./connection.js";
import * as view from "./view.js";

const $ = (id) => document.getElementById(id);

const connection = new Connection(document.body.dataset.subprotocol);
let user = document.body.dataset.user; // filled in by the server, "" when signed out
let rooms = [];
let room = sessionStorage.getItem("room") ?? "lobby";

function enter(name) {
  user = name;
  view.showUser(user);
  view.say("notice", "");
  view.showBanner("");
  view.show("chat");
  connection.open();
}

function leave(why) {
  user = "";
  connection.close();
  view.showRoom("", []);
  view.say("notice", why);
  view.show("sign-in");
}

// Connection

connection.addEventListener("state", async ({ detail }) => {
  switch (detail.state) {
    case "connecting":
      view.showState("connecting", "Connecting…");
      break;
    case "connected":
      view.showState("connected", "Connected");
      view.showBanner("");
      break;
    case "closed":
      await closed(detail);
  }
});

async function closed({ code, text, then, delay, wasOpen }) {
  if (!user) return;
  view.showState("closed", text);
  if (then === "sign-in") {
    leave(`${text}.`);
    return;
  }
  const next = then === "retry" ? ` Trying again in ${Math.max(1, Math.round(delay / 1000))} s.` : "";
  view.showBanner(`${text}.${next}`);
  if (code !== 1006 || wasOpen) return;
  // A refused handshake tells a page nothing: ask a route that can.
  const me = await api.whoAmI();
  if (!user || $("state").dataset.state !== "closed") return; // it has gone on meanwhile
  if (me.status === 401) leave(refusal(401, me.body.reason));
  else if (!me.ok) view.showBanner((me.status ? refusal(me.status, me.body.reason) : "The server cannot be reached.") + next);
}

connection.addEventListener("message", ({ detail: event }) => {
  switch (event.type) {
    case "welcome":
      rooms = event.rooms;
      connection.send({ type: "join", room });
      break;
    case "rooms":
      rooms = event.rooms;
      view.showRooms(rooms, room, join);
      break;
    case "joined":
      room = event.room;
      sessionStorage.setItem("room", room);
      view.showRooms(rooms, room, join);
      view.showRoom(room, event.history);
      view.showPeople(event.people, user);
      $("text").focus();
      break;
    case "people":
      if (event.room === room) view.showPeople(event.people, user);
      break;
    case "said":
      if (event.room === room) view.addMessage(event);
      break;
    case "refused":
      view.showBanner(event.reason === "too_many_rooms" ? "There are too many rooms already." : `Not done: ${event.reason}.`);
  }
});

function join(name) {
  connection.send({ type: "join", room: name });
}

// Forms

$("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector("button");
  view.say("sign-in-error", "");
  button.disabled = true;
  const answer = await api.signIn($("user").value.trim(), $("password").value);
  button.disabled = false;
  if (answer.ok) {
    form.reset();
    enter(answer.body.user);
    return;
  }
  view.say("sign-in-error", answer.status ? refusal(answer.status, answer.body.reason) : "The server cannot be reached.");
  $("password").select();
});

$("sign-out").addEventListener("click", async () => {
  $("sign-out").disabled = true;
  const answer = await api.signOut();
  $("sign-out").disabled = false;
  // The server closes the sockets of this session in every tab, this one included;
  // that is what brings the sign-in card back. Where it does not, say so.
  if (answer.status === 401) leave("You are signed out.");
  else if (!answer.ok) view.showBanner(answer.status ? refusal(answer.status, answer.body.reason) : "The server cannot be reached: you are still signed in.");
  else if (user && $("state").dataset.state !== "connected") leave("You are signed out.");
});

$("new-room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  join($("new-room").value);
  event.currentTarget.reset();
});

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (text && connection.send({ type: "say", text })) {
    $("text").value = "";
    view.toEnd();
  }
});

$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});

$("reconnect").addEventListener("click", () => connection.open());
$("newer").addEventListener("click", view.toEnd);
$("scroller").addEventListener("scroll", () => { if (view.atEnd()) $("newer").hidden = true; });

if (user) enter(user);
else view.show("sign-in");
