// What the end of a connection means, in words and in what to do next. The codes are
// those of the server: a code and a stable word (RFC 6455 section 7.4).

const meanings = {
  "3000 revoked": { text: "Signed out: session revoked", then: "sign-in" },
  "3000 expired": { text: "Signed out: the session has expired", then: "sign-in" },
  "3000 reauth": { text: "Please sign in again", then: "sign-in" },
  "3003 forbidden": { text: "This account may no longer be here", then: "stop" },
  "3008 idle": { text: "Closed: nothing happened for a while", then: "ask" },
  "3008 timeout": { text: "Closed: this browser did not answer in time", then: "retry" },
  "1008 rate": { text: "Closed: too many messages at once", then: "ask" },
  "1008 invalid": { text: "Closed: the server did not understand a message", then: "ask" },
  "1009 too_big": { text: "Closed: a message was too long", then: "ask" },
  "1011 internal": { text: "Closed: the server has a problem", then: "retry" },
  "1012 restart": { text: "The server is restarting", then: "retry" },
  "1013 slow": { text: "Closed: this connection was too slow", then: "retry" },
  "1013 later": { text: "The server is busy", then: "retry" },
};

// meaning returns what to tell people, and what to do: "sign-in", "stop", "ask" (a
// person decides whether to come back) or "retry" (come back by oneself).
export function meaning({ code, reason }) {
  if (code === 1006) {
    // No close frame: the network is gone, or the handshake was refused, whose
    // answer a browser does not show to a page.
    return { text: "The connection was lost (1006)", then: "retry" };
  }
  const word = reason ? `${code} ${reason}` : `${code}`;
  const known = meanings[word] ?? { text: "Closed", then: code === 1001 ? "retry" : "ask" };
  return { text: `${known.text} (${word})`, then: known.then };
}

// refusal puts the stable reason of a refused request (RFC 9457 body) into words.
export function refusal(status, reason) {
  switch (reason) {
    case "wrong_password": return "That account and password do not go together.";
    case "rate_limited": return "Too many attempts. Please wait a moment and try again.";
    case "no_credential":
    case "credential_expired":
    case "credential_revoked": return "Your session has ended. Please sign in again.";
    case "unavailable":
    case "draining": return "The server is not ready just now. Please try again soon.";
    case "origin_not_allowed":
    case "host_not_allowed": return "This address is not one that the server answers for.";
  }
  return `That did not work (${status}${reason ? ` ${reason}` : ""}).`;
}
