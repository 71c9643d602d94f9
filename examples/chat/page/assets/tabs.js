// The other tabs of this browser have the same session. To sign all others out, the server gives
// the session another cookie, and closes what was opened with the old one: the sockets of every
// tab, which then dial again.

const channel = new BroadcastChannel("session");

let renewing = false; // the session is getting a new cookie
let on = () => {};
let onEnd = () => {};

export const isRenewing = () => renewing;

// start has changed called when a renewal begins, is done or has failed, and ended with the end of
// a connection of another tab.
export function start(changed, ended) {
  on = changed;
  onEnd = ended;
}

// end tells the other tabs how a connection of this one ended.
export const end = (text, at) => channel.postMessage({ text, at });

channel.addEventListener("message", ({ data }) => {
  if (data.text) {
    onEnd(data.text, data.at);
    return;
  }
  renewing = data === "begins";
  on(data);
});

// renew does something that gives the session a new cookie.
export async function renew(act) {
  const tell = (state) => {
    channel.postMessage(state);
    renewing = state === "begins";
    on(state);
  };
  tell("begins");
  const answer = await act();
  tell(answer.ok ? "done" : "failed");
  return answer;
}
