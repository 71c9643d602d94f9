// The page: ties the forms, the connection and the view together.

import * as api from "./api.js";
import * as banner from "./banner.js";
import { isIdle, meaning, unable, unreachable } from "./closing.js";
import { open, write } from "./connection.js";
import * as devices from "./devices.js";
import * as drafts from "./drafts.js";
import * as panel from "./panel.js";
import * as pending from "./pending.js";
import * as rooms from "./rooms.js";
import * as session from "./session.js";
import * as tabs from "./tabs.js";
import * as view from "./view.js";
import * as wire from "./wire.js";

const $ = (id) => document.getElementById(id);

const { sealedRoom } = document.body.dataset;
const firstRoom = "lobby";
let user = document.body.dataset.user; // filled in by the server, "" when signed out
let names = []; // of the rooms
let room = ""; // the one that is shown, and joined first on every connection
let here = ""; // the one that the server has this connection in, "" before it says so
let before = firstRoom; // to go back to if the server refuses the other
let moved = false; // the user has asked for this room, so that its composer gets the focus
let client = null;

function enter(name) {
  user = name;
  view.showUser(user);
  panel.enter(user);
  view.say("notice", "");
  view.show("chat");
  show(sessionStorage.getItem("room") ?? firstRoom);
  moved = true;
  dial();
}

// leave erases everything of the user from the page.
function leave(why) {
  user = room = here = "";
  before = firstRoom;
  names = [];
  devices.close();
  hangUp();
  for (const part of [drafts, pending, rooms, wire]) part.forget();
  sessionStorage.removeItem("room");
  view.enterRoom("", false);
  view.showPeople([], "");
  view.showUser("");
  panel.enter("");
  $("new-room-form").reset();
  view.say("notice", why);
  view.show("sign-in");
}

// show changes the room on the page, with its own draft.
function show(name) {
  room = name;
  drafts.enter(name);
  pending.enter(name);
  view.enterRoom(name, name === sealedRoom);
  view.showPeople([], user);
  rooms.show(names, name, join);
}

// Connection

function hangUp() {
  here = "";
  client?.close();
  client = null;
  pending.doubt();
  banner.clear();
}

// dial opens a connection of the kind that the room needs.
async function dial() {
  hangUp();
  view.showState("connecting", "Connecting…");
  const sealed = room === sealedRoom;
  let mine;
  try {
    mine = await open({ sealed, user, hello: () => ({ type: "join", room }) });
  } catch {
    view.showState("closed", "Not connected");
    banner.over(unreachable); // for the module that seals
    return;
  }
  if (!user || client || sealed !== (room === sealedRoom)) { // changed meanwhile
    mine.close();
    return;
  }
  client = mine;
  mine.addEventListener("state", ({ detail }) => mine === client && changed(detail));
  mine.addEventListener("message", ({ data }) => {
    if (mine !== client) return;
    wire.plain("in", data);
    heard(JSON.parse(data));
  });
  mine.addEventListener("undelivered", () => mine === client && pending.doubt());
}

function changed({ state, ending, delay, renewed }) {
  if (renewed) return; // the room is joined already
  here = "";
  if (state === "waiting" || state === "closed") pending.doubt();
  if (ending?.code && state !== "connecting") tellEnd(ending);
  switch (state) {
    case "connecting":
      view.showState("connecting", "Connecting…");
      banner.trying();
      break;
    case "waiting":
      if (isIdle(ending)) client.close().then(() => banner.over(meaning(ending)));
      else banner.waiting(meaning(ending), delay);
      showConnection("waiting");
      break;
    case "closed":
      view.showState("closed", "Not connected");
      if (tabs.isRenewing()) banner.over("Signing the other devices out…");
      else if (ending.next === "sign-in") leave(meaning(ending));
      else banner.over(meaning(ending));
  }
}

// tellEnd shows an end in the panels of all tabs.
function tellEnd({ code, reason }) {
  const text = `${code} ${reason}`.trim();
  panel.ended("This tab", text, Date.now());
  tabs.end(text, Date.now());
}

// showConnection shows that there is one, if there is also a network.
function showConnection(otherwise) {
  if (!navigator.onLine) view.showState("waiting", "Offline");
  else if (canSend()) view.showState("connected", client.sealed ? "Connected, sealed" : "Connected");
  else view.showState(otherwise, otherwise === "waiting" ? "Not connected" : "Connecting…");
}

// canSend is whether what is typed would go to the room that it is typed in.
const canSend = () => client?.state === "open" && here !== "" && here === room && navigator.onLine;

function heard(event) {
  switch (event.type) {
    case "welcome":
      if (room !== sealedRoom) names = event.rooms;
      rooms.show(names, room, join);
      rooms.heard(event.latest);
      break;
    case "rooms":
      names = event.rooms;
      rooms.show(names, room, join);
      break;
    case "news":
      rooms.news(event.room);
      break;
    case "joined":
      if (event.room === room) joined(event);
      break;
    case "people":
      if (event.room === room) view.showPeople(event.people, user);
      break;
    case "said":
      if (event.room !== room) break;
      view.addMessage(event);
      rooms.read(room, event.id);
      if (event.from === user) pending.arrived(room, event.text);
      break;
    case "refused":
      refused(event.reason);
  }
}

function joined({ history, people }) {
  here = before = room;
  sessionStorage.setItem("room", room);
  for (const post of view.addHistory(history)) if (post.from === user) pending.arrived(room, post.text);
  if (history.length > 0) rooms.read(room, history.at(-1).id);
  view.showPeople(people, user);
  banner.clear();
  view.note("");
  showConnection();
  if (moved) $("text").focus();
  moved = false;
}

function refused(reason) {
  if (here !== room) join(before === room ? firstRoom : before);
  banner.tell(unable(reason));
}

function join(name) {
  moved = true;
  unfold(false);
  if (name === here) {
    $("text").focus();
    return;
  }
  const redial = (name === sealedRoom) !== (room === sealedRoom);
  show(name);
  here = "";
  if (redial) dial();
  else if (client?.state === "open") client.send(write({ type: "join", room: name }));
  showConnection(redial || client?.state === "open" ? "connecting" : "waiting");
}

tabs.start((state) => {
  if (!user || state === "begins") return;
  if (state === "done") dial();
  else if (client?.state === "closed") leave("You are signed out.");
}, (text, at) => panel.ended("Another tab", text, at));

window.addEventListener("offline", () => {
  banner.offline();
  showConnection("waiting");
});
window.addEventListener("online", () => {
  if (canSend()) banner.clear();
  showConnection("waiting");
});

// Forms

session.start({ enter, leave, isOver: () => !user });
devices.start({ endOthers: () => tabs.renew(api.endOthers), gone: () => leave("You are signed out.") });
view.watchScroll();
panel.start();

$("new-room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  join($("new-room").value);
  event.currentTarget.reset();
});

// send returns whether the text is on its way. If not, it stays where it is.
function send(text) {
  if (!canSend() || !client.send(write({ type: "say", text }))) {
    view.note("Not sent, there is no connection now. The text stays here.");
    return false;
  }
  pending.add(room, text);
  view.note("");
  return true;
}

pending.start(send);

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || !send(text)) return;
  drafts.sent();
  view.toEnd();
});

$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});

// unfold shows the rooms on a narrow screen, where they have no place of their own.
function unfold(open) {
  $("side-toggle").setAttribute("aria-expanded", open);
  $("side").classList.toggle("is-open", open);
}

$("side-toggle").addEventListener("click", () => unfold($("side-toggle").getAttribute("aria-expanded") !== "true"));
$("side").addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || $("side-toggle").offsetParent === null) return;
  unfold(false);
  $("side-toggle").focus();
});
$("sealed-room").addEventListener("click", () => join(sealedRoom));
$("reconnect").addEventListener("click", () => {
  if (client?.state === "waiting") client.retry();
  else dial();
});

if (user) enter(user);
else view.show("sign-in");
