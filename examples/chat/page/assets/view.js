// Everything that writes into the document. Text of users is inserted only with textContent,
// so that no message is ever interpreted as markup.

const $ = (id) => document.getElementById(id);

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const together = 5 * 60_000; // messages of one user within this time share a heading

export function show(view) {
  document.documentElement.dataset.view = view;
  $("sign-in").hidden = view !== "sign-in";
  $("chat").hidden = view !== "chat";
  if (view === "sign-in") $("user").focus();
}

export function say(id, text) {
  $(id).textContent = text;
  $(id).hidden = !text;
}

export function showUser(user) {
  $("me").textContent = user;
  dress($("my-avatar"), user);
}

export function showState(state, text) {
  $("state").dataset.state = state;
  $("state-text").textContent = text;
  $("state").title = text;
  $("composer").querySelector("button").disabled = state !== "connected";
}

export function showRooms(rooms, current, onJoin) {
  $("rooms").replaceChildren(...rooms.map((name) => {
    const button = element("button", "", name);
    button.type = "button";
    mark(button, name === current);
    button.addEventListener("click", () => onJoin(name));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  mark($("sealed-room"), $("sealed-room").textContent === current);
}

function mark(button, current) {
  if (current) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
}

export function showPeople(people, me) {
  $("people").replaceChildren(...people.map((name) => {
    const item = document.createElement("li");
    item.append(avatar(name, "small"), element("span", "", name === me ? `${name} (you)` : name));
    return item;
  }));
}

export function showRoom(name, history, sealed = false) {
  $("room-name").textContent = name;
  $("chat").classList.toggle("is-sealed", sealed);
  $("sealed").hidden = !sealed;
  $("text").placeholder = `Message #${name}`;
  document.title = `#${name} – Chat`;
  last = null;
  $("messages").replaceChildren();
  for (const post of history) append(post);
  $("empty").hidden = history.length > 0;
  toEnd();
}

export function addMessage(post) {
  const follow = atEnd();
  $("empty").hidden = true;
  append(post);
  if (follow) toEnd();
  else $("newer").hidden = false;
}

export function toEnd() {
  $("scroller").scrollTop = $("scroller").scrollHeight;
  $("newer").hidden = true;
}

export function atEnd() {
  const s = $("scroller");
  return s.scrollHeight - s.scrollTop - s.clientHeight < 60;
}

let last = null;

function append(post) {
  const at = new Date(post.at);
  const item = element("li", "message");
  item.dataset.id = post.id;
  if (last?.from === post.from && at - last.at < together) item.classList.add("again");
  last = { from: post.from, at };
  const head = element("div", "head");
  const time = element("time", "", clock.format(at));
  time.dateTime = post.at;
  time.title = at.toLocaleString();
  head.append(element("span", "name", post.from), time);
  item.append(avatar(post.from), head, element("div", "body", post.text));
  $("messages").append(item);
  while ($("messages").childElementCount > 500) $("messages").firstElementChild.remove();
}

export function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

export function avatar(name, size) {
  const e = element("span", size ? `avatar ${size}` : "avatar");
  e.setAttribute("aria-hidden", "true");
  dress(e, name);
  return e;
}

// dress sets the letter of a name and one of eight colours, with a class, because the page's
// policy forbids style attributes.
function dress(e, name) {
  let sum = 0;
  for (const c of name) sum = (sum * 31 + c.codePointAt(0)) >>> 0;
  e.className = e.className.replace(/ ?hue-\d/, "") + ` hue-${sum % 8}`;
  e.textContent = name.slice(0, 1);
}
