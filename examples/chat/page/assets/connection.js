// The page's one connection, by the library's module: a ticket for every attempt, and it
// comes back by itself. There are two ways in. What is said in the sealed room travels on
// the second, encrypted before it leaves this page, and on no other.

import { connect } from "securews";

const { subprotocol, audience } = document.body.dataset;

// open resolves to a Client. hello is what is sent first on every connection.
export async function open({ sealed, user, hello }) {
  const options = { protocols: subprotocol, hello: () => JSON.stringify(hello()) };
  if (!sealed) return connect({ ...options, url: "/socket", ticket: "/ticket" });
  const { seal } = await import("securews/seal"); // for whoever goes there
  return connect({
    ...options, url: "/sealed", ticket: "/ticket/sealed",
    // required, the default: a connection that is not sealed is closed.
    seal: seal({ audience, principal: user }),
  });
}
