// The banner above the composer: the state of the connection, and the seconds until the next
// attempt. Screen readers announce the text before the countdown, but not the countdown.

const $ = (id) => document.getElementById(id);

let ticking = 0;

function put(text, { tone = "bad", button = "" } = {}) {
  clearInterval(ticking);
  $("countdown").textContent = "";
  $("banner-text").textContent = text;
  $("banner").hidden = !text;
  $("banner").dataset.tone = tone;
  $("reconnect").textContent = button;
  withdraw(!button);
}

// withdraw hides the button. If it has the focus, the composer gets it.
function withdraw(hidden) {
  if (hidden && document.activeElement === $("reconnect")) $("text").focus();
  $("reconnect").hidden = hidden;
}

export const clear = () => put("");

// tell shows a notice that does not concern the connection.
export const tell = (text) => put(text);

// over shows an end after which the user decides.
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

// trying shows an attempt after a failed one: the text stays.
export function trying() {
  if ($("banner").hidden) return;
  clearInterval(ticking);
  $("countdown").textContent = "Reconnecting…";
  withdraw(true);
}

export const offline = () =>
  put("You are offline. The chat reconnects when the network is back. What you type stays here.", { tone: "wait" });
