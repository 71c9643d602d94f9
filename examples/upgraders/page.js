// Opens every connection of the table and shows what it echoes and how it ends.

const $ = (id) => document.getElementById(id);

// Tabs of the same browser tell each other the moment of a click on "Sign out", in
// milliseconds since 1970, and that the user has signed in.
const tabs = new BroadcastChannel("upgraders");
const now = () => performance.timeOrigin + performance.now();

let signedOut = NaN; // the moment of the last click

const show = (element, ...parts) => element.replaceChildren(...parts);

function part(tag, name, text) {
  const e = document.createElement(tag);
  e.className = name;
  e.textContent = text;
  return e;
}

// Row is one connection of the table.
class Row {
  constructor(tr) {
    this.tr = tr;
    this.connect = tr.dataset.kind === "events" ? events : socket;
  }

  get state() { return this.tr.dataset.state; }

  cell(name) { return this.tr.querySelector(`.${name}`); }

  become(state, text) {
    this.tr.dataset.state = state;
    this.cell("pill").textContent = text;
  }

  open() {
    for (const name of ["echo", "end", "after"]) show(this.cell(name));
    this.become("connecting", "connecting");
    this.ended = null;
    this.connect(this);
  }

  echo(text, ms) {
    const took = ms === undefined ? "" : part("span", "took", ms < 1 ? "<1 ms" : `${Math.round(ms)} ms`);
    show(this.cell("echo"), part("span", "text", text), took);
  }

  end(code, reason) {
    this.ended = { code, reason, at: now() };
    this.become("ended", "ended");
    show(this.cell("end"), part("code", "code", code), " ", part("span", "reason", reason || "no reason"));
    summarise();
  }

  // after is the time from the click to the end, once both are known.
  get after() { return this.ended?.reason === "revoked" ? this.ended.at - signedOut : NaN; }
}

const rows = [...document.querySelectorAll("tr[data-path]:not([data-state=missing])")].map((tr) => new Row(tr));

// socket connects to a WebSocket library or to the backend.
function socket(row) {
  const { path, hello, template } = row.tr.dataset;
  const ws = new WebSocket(`wss://${location.host}${path}`);
  let count = 0, sent = 0, timer = 0;
  const text = () => `echo ${count}`;
  const say = () => {
    if (ws.readyState !== WebSocket.OPEN) return; // it is closing
    count++;
    sent = now();
    ws.send(template ? template.replace("%s", () => JSON.stringify(text())) : text());
  };
  ws.onopen = () => {
    row.become("open", "open");
    if (hello) ws.send(hello);
    say();
  };
  ws.onmessage = ({ data }) => {
    if (template && data === "{}") ws.send("{}"); // the ping of centrifuge's protocol
    if (template ? !data.includes(JSON.stringify(text())) : data !== text()) return;
    row.echo(text(), now() - sent);
    timer = setTimeout(say, 1000);
  };
  ws.onclose = ({ code, reason }) => {
    clearTimeout(timer);
    row.end(code, reason);
  };
}

// events connects to the event stream. After its last event the page closes it: an
// EventSource that is left open connects once more, and stops when that is refused.
function events(row) {
  const source = new EventSource(row.tr.dataset.path);
  source.onopen = () => row.become("open", "open");
  source.onmessage = ({ data }) => row.echo(data);
  source.addEventListener("end", ({ data }) => {
    source.close();
    const { code, reason } = JSON.parse(data);
    row.end(code, reason);
  });
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) row.end("closed", "");
    else row.become("connecting", "connecting");
  };
}

function say(text, tone = "plain") {
  $("notice").textContent = text;
  $("notice").dataset.tone = tone;
}

function signedIn(yes) {
  $("sign-in").hidden = yes;
  $("sign-out").hidden = $("second").hidden = !yes;
}

// summarise shows the times that are known and, after the last end, what has happened.
function summarise() {
  for (const row of rows) {
    const ms = row.after;
    if (ms >= 0) show(row.cell("after"), `${Math.round(ms)} ms`);
  }
  if (rows.some((row) => !row.ended)) return;
  const every = (reason) => rows.every((row) => row.ended.reason === reason);
  signedIn(false);
  if (every("restart")) {
    $("sign-in").hidden = true;
    say("The server has stopped. Start it again and reload this page.", "wait");
  } else if (every("revoked")) {
    const last = Math.max(...rows.map((row) => row.after));
    const when = last >= 0 ? `, the last of them ${Math.round(last)} ms after the click` : "";
    say(`Signed out. All ${rows.length} connections have ended${when}.`, "good");
  } else {
    say("All connections have ended.", "wait");
  }
}

function openAll() {
  signedOut = NaN;
  signedIn(true);
  say("All of these belong to your session. Open a second tab, sign out there, and watch this one.");
  for (const row of rows) row.open();
}

// post sends a request that changes the session; false if it was not done.
async function post(path, button) {
  button.disabled = true;
  try {
    const answer = await fetch(path, { method: "POST" });
    if (!answer.ok) say(`That did not work: the server answers ${answer.status}.`, "bad");
    return answer.ok;
  } catch {
    say("The server cannot be reached.", "bad");
    return false;
  } finally {
    button.disabled = false;
  }
}

$("sign-in").addEventListener("click", async () => {
  if (!await post("/login", $("sign-in"))) return;
  tabs.postMessage({ signedIn: true });
  openAll();
});

$("sign-out").addEventListener("click", () => {
  signedOut = now();
  tabs.postMessage({ signedOut });
  post("/logout", $("sign-out"));
});

tabs.addEventListener("message", ({ data }) => {
  if (data.signedIn && $("sign-out").hidden) openAll();
  if (data.signedOut) {
    signedOut = data.signedOut;
    summarise();
  }
});

if (document.body.dataset.user) {
  openAll();
} else {
  signedIn(false);
  say("Sign in to open all of them.");
}
