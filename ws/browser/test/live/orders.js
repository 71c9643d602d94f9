// The reports of a client to the test, and its commands, both in Node and in a page.

const hex = (buffer) => Array.from(new Uint8Array(buffer), (b) => b.toString(16).padStart(2, "0")).join("");
const bytesOf = (text) => Uint8Array.from(text.match(/../g), (b) => parseInt(b, 16));

export function report(client, tell) {
  client.addEventListener("state", ({ detail }) => tell({ ...detail, sealed: client.sealed, protocol: client.protocol }));
  client.addEventListener("message", ({ data }) => tell({ message: typeof data === "string" ? data : hex(data) }));
  client.addEventListener("undelivered", ({ detail }) => {
    tell({ undelivered: typeof detail.data === "string" ? detail.data : hex(detail.data), why: detail.why });
  });
}

// wake makes the client look at the clock.
export function obey(client, { send, bytes, count, numbers, burst, sleep, close }, wake, tell) {
  if (send !== undefined) client.send(send);
  if (bytes !== undefined) client.send(bytesOf(bytes));
  if (count !== undefined) clearTimeout(counting);
  if (count) sendNumbers(client);
  for (let n = 0; n < burst; n++) client.send(String(n));
  if (numbers) void sendAll(client, numbers, tell);
  if (sleep) {
    // The machine slept for an hour, according to the clock.
    const now = Date.now;
    Date.now = () => now() + 3_600_000;
    wake();
  }
  if (close) void client.close();
}

let counting;
let counted = 0;

function sendNumbers(client) {
  client.send(String(counted++));
  counting = setTimeout(sendNumbers, 1, client);
}

// sendAll sends the numbers below most, one every 5 ms, if there is room. A timer of a busy machine
// runs late: up to 20 numbers make up for it, so that the sending lasts as long as on an idle one.
async function sendAll(client, most, tell) {
  let next = performance.now();
  for (let n = 0; n < most; n++) {
    await client.room(8);
    client.send(String(n));
    next = Math.max(next + 5, performance.now() - 100);
    if (next > performance.now()) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  tell({ sent: most });
}
