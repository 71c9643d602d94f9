// Texts for the end of a connection, or of an attempt at one. The library's module decides
// the reaction, except in one case.

// Texts of this application for close frames of the server (a code and a stable word, RFC
// 6455 section 7.4). The module has texts for all the others.
const ours = {
  "3000 revoked": "Signed out: session revoked",
  "3000 expired": "Signed out: the session has expired",
  "3000 reauth": "Your access has changed",
  "3003 forbidden": "This account may no longer be here",
  "3008 idle": "Closed: nothing happened for a while",
  "1008 rate": "Closed: too many messages at once",
  "1008 invalid": "Closed: the server did not understand a message",
  "4001 ended": "Closed from the list of devices",
  "4008 decrypt": "Closed: the encryption cannot be trusted",
};

export const unreachable = "The server cannot be reached.";

// meaning returns the text for an Ending of the module.
export function meaning({ code, reason, status, text }) {
  if (status) return refusal(status, reason);
  if (!code) return `${text}.`;
  const word = reason ? `${code} ${reason}` : `${code}`;
  return `${ours[word] ?? text} (${word}).`;
}

// isIdle reports that one case: the user decides whether to reconnect. Otherwise a forgotten
// tab would keep its session alive for ever.
export const isIdle = ({ code, reason }) => code === 3008 && reason === "idle";

// refusal returns the text for the stable reason of a refused request (RFC 9457 body).
export function refusal(status, reason) {
  switch (reason) {
    case "wrong_password": return "That account and password do not go together.";
    case "rate_limited": return "Too many attempts. Please wait a moment and try again.";
    case "no_credential":
    case "credential_expired":
    case "credential_revoked": return "Your session has ended. Please sign in again.";
    case "credential_outdated": return "Your access has changed. Please try again.";
    case "forbidden": return "This account may not do that.";
    case "not_found": return "That is gone already.";
    case "overloaded":
    case "unavailable":
    case "draining": return "The server is not ready just now. Please try again soon.";
    case "origin_not_allowed":
    case "host_not_allowed": return "This address is not one that the server answers for.";
  }
  return `That did not work (${status}${reason ? ` ${reason}` : ""}).`;
}

// unable returns the text for a message that the server could not carry out.
export function unable(reason) {
  switch (reason) {
    case "too_many_rooms": return "There are too many rooms already.";
    case "unavailable": return "The server cannot pass messages on just now. Please try again soon.";
    case "sealed_only": return "That room is for sealed connections.";
  }
  return `Not done: ${reason}.`;
}
