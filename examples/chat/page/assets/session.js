// Signing in and out. A sign-out is over for the page within seconds, whether or not the server
// answers: what the page has is erased in any case, and the user is told what is left.

import * as api from "./api.js";
import { refusal, unreachable } from "./closing.js";
import { say } from "./view.js";

const $ = (id) => document.getElementById(id);

const notEnded = "This page is empty now: messages, drafts and connection are gone. But your session has not ended, " +
  "and its cookie is still in this browser. Do not leave it to others before the sign-out has reached the server.";

const patience = 2_000; // milliseconds for the server to close the socket after it has ended the session

let hooks = {}; // enter(user); leave(why) erases and shows the card; isOver() tells whether that was done
let owed = false; // a sign-out that has not reached the server

export function start(given) {
  hooks = given;
  $("sign-in-form").addEventListener("submit", signIn);
  $("sign-out").addEventListener("click", signOut);
  $("sign-out-again").addEventListener("click", signOut);
  window.addEventListener("online", () => owed && signOut());
}

async function signIn(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector(".primary");
  say("sign-in-error", "");
  button.disabled = true;
  const answer = await api.signIn($("user").value.trim(), $("password").value);
  button.disabled = false;
  if (answer.ok) {
    form.reset();
    owes(false);
    hooks.enter(answer.body.user);
    return;
  }
  say("sign-in-error", answer.status ? refusal(answer.status, answer.body.reason) : unreachable);
  $("password").select();
}

async function signOut() {
  const left = owed; // the page is empty already
  lock(true);
  const answer = await api.signOut(); // at most some seconds
  lock(false);
  owes(!answer.ok && answer.status !== 401);
  if (owed) {
    const why = answer.status ? refusal(answer.status, answer.body.reason) : unreachable;
    hooks.leave(`${why} ${notEnded}`);
    $("sign-out-again").focus();
  } else if (answer.status === 401 || left) {
    hooks.leave("You are signed out.");
  } else {
    // The server closes the sockets of this session in every tab, and that shows the card.
    setTimeout(() => hooks.isOver() || hooks.leave("You are signed out."), patience);
  }
}

function owes(is) {
  owed = is;
  $("sign-out-again").hidden = !is;
}

function lock(locked) {
  for (const id of ["sign-out", "sign-out-again"]) $(id).disabled = locked;
}
