// The banner above the composer: what happens to the connection, and in how many seconds
// it comes back. The countdown is not read out; the text before it is.

const $ = (id) => document.getElementById(id);

let ticking = 0;

function put(text, { tone = "bad", button = "" } = {}) {
  clearInterval(ticking);
  $("countdown").textContent = "";
  $("banner-text").textContent = text;
  $("banner").hidden = !text;
  $("banner").dataset.tone = tone;
  $("reconnect").textContent = button;
  $("reconnect").hidden = !button;
}

export const clear = () => put("");

// tell is about something that leaves the connection as it is.
export const tell = (text) => put(text);

// over is an end after which a person decides.
export const over = (text) => put(text, { button: "Reconnect" });

// waiting counts down to the next attempt.
export function waiting(text, delay) {
  if (!navigator.onLine) return offline();
  const due = performance.now() + delay;
  put(text, { tone: "wait", button: "Reconnect now" });
  const count = () => {
    const seconds = Math.ceil((due - performance.now()) / 1000);
    $("countdown").textContent = seconds > 0 ? `Reconnecting in ${seconds} s…` : "Reconnecting…";
  };
  count();
  ticking = setInterval(count, 250);
}

// trying is an attempt after another has failed: the text stays.
export function trying() {
  if ($("banner").hidden) return;
  clearInterval(ticking);
  $("countdown").textContent = "Reconnecting…";
  $("reconnect").hidden = true;
}

export const offline = () => put("You are offline. The chat reconnects when the network is back.", { tone: "wait" });
