// A server on npm's ws, for interop_test.go: echo, and commands that end a connection.
// node ws-server.mjs <directory that has ws in its node_modules>
import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(process.argv[2] + "/")("ws");
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  handleProtocols: (offered) => (offered.has("chat.v1") ? "chat.v1" : false),
});
server.on("connection", (socket, request) => {
  socket.on("error", () => {});
  socket.on("pong", (data) => socket.send("pong " + data));
  socket.on("message", (data, binary) => {
    const text = String(data);
    const close = /^close (\d+) (.*)$/.exec(text);
    if (close) socket.close(Number(close[1]), close[2]);
    else if (text === "close") socket.close();
    else if (text === "drop") socket.terminate();
    else if (text === "ping") socket.ping("x");
    else if (text === "who") socket.send(request.headers.authorization ?? "nobody");
    else if (text === "fragments") {
      socket.send("frag", { fin: false });
      socket.send("men", { fin: false });
      socket.send("ts", { fin: true });
    } else socket.send(data, { binary });
  });
});
server.on("listening", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit()).resume(); // with the test
