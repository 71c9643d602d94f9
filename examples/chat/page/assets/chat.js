// The page: ties the forms, the connection and the view together.

import * as api from "./api.js";
import * as banner from "./banner.js";
import { isIdle, meaning, refusal, unable } from "./closing.js";
import { open } from "./connection.js";
import * as devices from "./devices.js";
import * as view from "./view.js";

const $ = (id) => document.getElementById(id);

const { sealedRoom } = document.body.dataset;
let user = document.body.dataset.user; // filled in by the server, "" when signed out
let rooms = [];
let room = ""; // the one that is shown
let wanted = sessionStorage.getItem("room") ?? "lobby"; // joined first on every connection
let client = null;
let renewing = false; // this browser's session is getting a new cookie

function enter(name) {
  user = name;
  view.showUser(user);
  view.say("notice", "");
  view.show("chat");
  dial();
}

function leave(why) {
  user = "";
  devices.close();
  hangUp();
  show("", [], []);
  view.say("notice", why);
  view.show("sign-in");
}

function show(name, history, people) {
  room = name;
  view.showRooms(rooms, room, join);
  view.showRoom(room, history, room === sealedRoom);
  view.showPeople(people, user);
}

// Connection

function hangUp() {
  client?.close();
  client = null;
  banner.clear();
}

// dial opens a connection of the kind that the wanted room needs.
async function dial() {
  hangUp();
  view.showState("connecting", "Connecting…");
  const sealed = wanted === sealedRoom;
  let mine;
  try {
    mine = await open({ sealed, user, hello: () => ({ type: "join", room: wanted }) });
  } catch {
    banner.over("The server cannot be reached."); // for the module that seals
    return;
  }
  if (!user || client || sealed !== (wanted === sealedRoom)) { // changed meanwhile
    mine.close();
    return;
  }
  client = mine;
  mine.addEventListener("state", ({ detail }) => mine === client && changed(detail));
  mine.addEventListener("message", ({ data }) => mine === client && heard(JSON.parse(data)));
}

function changed({ state, ending, delay }) {
  switch (state) {
    case "connecting":
      view.showState("connecting", "Connecting…");
      banner.trying();
      break;
    case "open":
      view.showState("connected", client.sealed ? "Connected, sealed" : "Connected");
      banner.clear();
      break;
    case "waiting":
      view.showState("waiting", "Not connected");
      if (isIdle(ending)) client.close().then(() => banner.over(meaning(ending)));
      else banner.waiting(meaning(ending), delay);
      break;
    case "closed":
      view.showState("closed", "Not connected");
      if (renewing) banner.over("Signing the other devices out…");
      else if (ending.next === "sign-in") leave(meaning(ending));
      else banner.over(meaning(ending));
  }
}

function heard(event) {
  switch (event.type) {
    case "welcome":
      if (wanted !== sealedRoom) rooms = event.rooms;
      break;
    case "rooms":
      rooms = event.rooms;
      view.showRooms(rooms, room, join);
      break;
    case "joined":
      sessionStorage.setItem("room", event.room);
      show(event.room, event.history, event.people);
      $("text").focus();
      break;
    case "people":
      if (event.room === room) view.showPeople(event.people, user);
      break;
    case "said":
      if (event.room === room) view.addMessage(event);
      break;
    case "refused":
      wanted = room || "lobby";
      banner.tell(unable(event.reason));
  }
}

function join(name) {
  const redial = (name === sealedRoom) !== (wanted === sealedRoom);
  wanted = name;
  if (redial) dial();
  else if (client?.state === "open") client.send(JSON.stringify({ type: "join", room: name }));
}

// To sign all others out, the server gives this session another cookie, and closes what
// was opened with the old one: the sockets of every tab of this browser, which then dial again.
const tabs = new BroadcastChannel("session");
tabs.addEventListener("message", ({ data }) => renewal(data));

function renewal(state) {
  renewing = state === "begins";
  if (!user || renewing) return;
  if (state === "done") dial();
  else if (client?.state === "closed") leave("You are signed out.");
}

async function endOthers() {
  const tell = (state) => {
    tabs.postMessage(state);
    renewal(state);
  };
  tell("begins");
  const answer = await api.endOthers();
  tell(answer.ok ? "done" : "failed");
  return answer;
}

window.addEventListener("offline", banner.offline);
window.addEventListener("online", () => client?.state === "open" && banner.clear());

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
  // The server closes the sockets of this session in every tab, including this one, which
  // then shows the sign-in card. If the request fails, say so.
  if (answer.status === 401) leave("You are signed out.");
  else if (!answer.ok) {
    banner.tell(answer.status ? refusal(answer.status, answer.body.reason) : "The server cannot be reached: you are still signed in.");
  }
  else if (user && client?.state !== "open") leave("You are signed out.");
});

devices.start({ endOthers, gone: () => leave("You are signed out.") });

$("new-room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  join($("new-room").value);
  event.currentTarget.reset();
});

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  // While disconnected, the typed text stays in the field.
  if (text && client?.state === "open" && client.send(JSON.stringify({ type: "say", text }))) {
    $("text").value = "";
    view.toEnd();
  }
});

$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});

$("sealed-room").addEventListener("click", () => join(sealedRoom));
$("reconnect").addEventListener("click", () => {
  if (client?.state === "waiting") client.retry();
  else dial();
});
$("newer").addEventListener("click", view.toEnd);
$("scroller").addEventListener("scroll", () => { if (view.atEnd()) $("newer").hidden = true; });

if (user) enter(user);
else view.show("sign-in");
