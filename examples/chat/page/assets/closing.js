// What the end of a connection, or of an attempt at one, means to people. What follows
// from it the library's module has decided, but for one case.

// Words of this application for what the server says in its close frames (a code and a
// stable word, RFC 6455 section 7.4). The module has words for all the others.
const ours = {
  "3000 revoked": "Signed out: session revoked",
  "3000 expired": "Signed out: the session has expired",
  "3000 reauth": "Please sign in again",
  "3003 forbidden": "This account may no longer be here",
  "3008 idle": "Closed: nothing happened for a while",
  "1008 rate": "Closed: too many messages at once",
  "1008 invalid": "Closed: the server did not understand a message",
  "4008 decrypt": "Closed: the encryption cannot be trusted",
};

// meaning puts an Ending of the module into words.
export function meaning({ code, reason, status, text }) {
  if (status) return refusal(status, reason);
  if (!code) return `${text}.`;
  const word = reason ? `${code} ${reason}` : `${code}`;
  return `${ours[word] ?? text} (${word}).`;
}

// isIdle is the case: a person decides whether to come back. Otherwise a forgotten tab
// would keep its session alive for ever.
export const isIdle = ({ code, reason }) => code === 3008 && reason === "idle";

// refusal puts the stable reason of a refused request (RFC 9457 body) into words.
export function refusal(status, reason) {
  switch (reason) {
    case "wrong_password": return "That account and password do not go together.";
    case "rate_limited": return "Too many attempts. Please wait a moment and try again.";
    case "no_credential":
    case "credential_expired":
    case "credential_revoked": return "Your session has ended. Please sign in again.";
    case "overloaded":
    case "unavailable":
    case "draining": return "The server is not ready just now. Please try again soon.";
    case "origin_not_allowed":
    case "host_not_allowed": return "This address is not one that the server answers for.";
  }
  return `That did not work (${status}${reason ? ` ${reason}` : ""}).`;
}

// unable is why the server did not do what a message asked for.
export function unable(reason) {
  switch (reason) {
    case "too_many_rooms": return "There are too many rooms already.";
    case "sealed_only": return "That room is for sealed connections.";
  }
  return `Not done: ${reason}.`;
}
