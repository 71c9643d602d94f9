// The echo server of backend/echo.js on the package ws, with permessage-deflate.
"use strict";
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: true });
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket) => {
	socket.on("message", (message, binary) => socket.send(message, { binary }));
	socket.on("close", (code, reason) => console.log("close", code, String(reason)));
});
process.stdin.resume().on("end", () => process.exit());
