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

// note says something about the composer. Said twice, it is announced twice.
export function note(text) {
  $("composer-note").replaceChildren(text);
}

export function showUser(user) {
  $("me").textContent = user;
  dress($("my-avatar"), user);
}

// showState shows the connection. The button to send stays where it is, and keeps the focus.
export function showState(state, text) {
  $("state").dataset.state = state;
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
  $("state").title = text;
  $("composer").querySelector("button").setAttribute("aria-disabled", state !== "connected");
}

export function showPeople(people, me) {
  $("people").replaceChildren(...people.map((name) => {
    const item = document.createElement("li");
    item.append(avatar(name, "small"), element("span", "", name === me ? `${name} (you)` : name));
    return item;
  }));
}

// enterRoom shows a room before its messages are known.
export function enterRoom(name, sealed) {
  $("room-name").textContent = name;
  $("chat").classList.toggle("is-sealed", sealed);
  $("sealed").hidden = !sealed;
  $("text").placeholder = name && `Message #${name}`;
  document.title = name ? `#${name} – Chat` : "Chat";
  last = null;
  $("messages").replaceChildren();
  $("messages").setAttribute("aria-live", "off"); // what was said before is not announced
  $("empty").hidden = true;
  toEnd();
}

// addHistory adds the messages that are not shown yet: after a reconnect those of the meantime. It
// returns them. If none of the history is shown yet, there may have been more than the server keeps.
export function addHistory(history) {
  const shown = new Set([...$("messages").children].map((item) => item.dataset.key));
  const fresh = history.filter((post) => !shown.has(keyOf(post)));
  if (shown.size > 0 && fresh.length > 0 && fresh.length === history.length) appendGap();
  for (const post of fresh) append(post);
  $("empty").hidden = shown.size + fresh.length > 0;
  settle(shown.size > 0 && fresh.length > 0);
  requestAnimationFrame(() => $("messages").setAttribute("aria-live", "polite"));
  return fresh;
}

export function addMessage(post) {
  $("empty").hidden = true;
  append(post);
  settle(true);
}

// following is whether the end of the messages is in view, and is to stay there.
let following = true;

export function watchScroll() {
  $("scroller").addEventListener("scroll", () => {
    const s = $("scroller");
    following = s.scrollHeight - s.scrollTop - s.clientHeight < 60;
    if (following) $("newer").hidden = true;
  });
  new ResizeObserver(() => following && toEnd()).observe($("scroller"));
  $("newer").addEventListener("click", () => {
    toEnd();
    $("scroller").focus();
  });
}

export function toEnd() {
  following = true;
  $("scroller").scrollTop = $("scroller").scrollHeight;
  $("newer").hidden = true;
}

// settle shows the end if it was in view, or says that there is something new.
function settle(news) {
  if (following) toEnd();
  else if (news) $("newer").hidden = false;
}

// keyOf tells messages apart. A server without its memory counts from 1 again.
const keyOf = ({ id, at }) => `${id} ${at}`;

let last = null;

function append(post) {
  const at = new Date(post.at);
  const item = element("li", "message");
  item.dataset.key = keyOf(post);
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

// appendGap marks where messages may be missing. The next one has its own heading.
function appendGap() {
  last = null;
  $("messages").append(element("li", "gap", "Messages that were sent meanwhile may be missing here."));
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
