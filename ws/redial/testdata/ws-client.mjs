// A client on npm's ws against the library's server, for interop_test.go.
// node ws-client.mjs <directory> <url> <ca.pem>
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [, , directory, url, ca] = process.argv;
const { WebSocket } = createRequire(directory + "/")("ws");
const open = async (protocols) => {
  const socket = new WebSocket(url, protocols, { ca: readFileSync(ca), perMessageDeflate: true });
  await once(socket, "open");
  return socket;
};
const echo = async (socket, data, options) => {
  const answer = once(socket, "message");
  if (Array.isArray(data)) {
    data.forEach((part, i) => socket.send(part, { ...options, fin: i === data.length - 1 }));
    data = data.join("");
  } else socket.send(data, options);
  const [got, binary] = await answer;
  assert.equal(binary, options?.binary ?? false);
  assert.ok(Buffer.from(data).equals(got));
};
const closed = async (socket, send) => {
  const end = once(socket, "close");
  send();
  const [code, reason] = await end;
  return [code, String(reason)];
};

let socket = await open(["other", "chat.v1"]);
assert.equal(socket.protocol, "chat.v1");
assert.equal(socket.extensions, ""); // permessage-deflate is off
await echo(socket, "hello, wörld");
await echo(socket, "");
await echo(socket, Buffer.alloc(60_000, 7), { binary: true });
await echo(socket, ["in ", "", "three"]);
const pong = once(socket, "pong");
socket.ping("are you there");
assert.equal(String((await pong)[0]), "are you there");
assert.deepEqual(await closed(socket, () => socket.close(4001, "bye")), [4001, ""]);

socket = await open(["chat.v1"]);
assert.deepEqual(await closed(socket, () => socket.send("restart")), [1012, "restart"]);
socket = await open(["chat.v1"]);
assert.deepEqual(await closed(socket, () => socket.send(Buffer.alloc(70_000))), [1009, "too_big"]);
socket = await open(["chat.v1"]);
assert.deepEqual(await closed(socket, () => socket.send(Buffer.from([0xff, 0xfe]), { binary: false })), [1007, "utf8"]);
const refused = new WebSocket(url, ["other"], { ca: readFileSync(ca) });
const [, answer] = await once(refused, "unexpected-response");
assert.equal(answer.statusCode, 400);
answer.destroy();
console.log("ok");
process.exit();
