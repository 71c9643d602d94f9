// A WebSocket echo server (RFC 6455) on Node's standard library. It prints its port, then
// one line for each socket that has ended, and exits at the end of its standard input.
"use strict";
const { createHash } = require("node:crypto");
const { createServer } = require("node:http");

const server = createServer((_, response) => response.writeHead(426, { Upgrade: "websocket" }).end());

server.on("upgrade", (request, socket, early) => {
	const key = request.headers["sec-websocket-key"];
	if (!key || request.headers["sec-websocket-version"] !== "13") {
		socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	const accept = createHash("sha1").update(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
	socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		`Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
	echo(socket, early);
});

function echo(socket, early) {
	let bytes = early;
	let closed = ""; // the code and reason that the client has sent
	const take = (more) => {
		bytes = Buffer.concat([bytes, more]);
		for (let frame; !closed && (frame = readFrame(bytes)); bytes = bytes.subarray(frame.size)) {
			closed = answer(socket, frame);
		}
	};
	socket.setNoDelay();
	socket.on("data", take);
	socket.on("error", () => {});
	socket.on("close", () => console.log("close", closed || "1006"));
	take(Buffer.alloc(0));
}

// answer returns the code and reason of a close frame; otherwise "".
function answer(socket, { first, payload }) {
	switch (first & 0x0f) {
	case 8:
		socket.end(frameOf(first, payload));
		return payload.length < 2 ? "1005" : `${payload.readUInt16BE(0)} ${payload.subarray(2)}`;
	case 9:
		socket.write(frameOf(0x8a, payload));
		break;
	case 10:
		break;
	default: // fragments are sent back as fragments
		socket.write(frameOf(first, payload));
	}
	return "";
}

// readFrame returns the first frame of the bytes (§5.2), or undefined if it is not complete.
function readFrame(bytes) {
	if (bytes.length < 2) return undefined;
	let at = 2, length = bytes[1] & 0x7f;
	if (length === 126) {
		if (bytes.length < 4) return undefined;
		length = bytes.readUInt16BE(2);
		at = 4;
	} else if (length === 127) {
		if (bytes.length < 10) return undefined;
		length = Number(bytes.readBigUInt64BE(2));
		at = 10;
	}
	const size = at + 4 + length; // a client masks (§5.3)
	if (bytes.length < size) return undefined;
	const payload = Buffer.from(bytes.subarray(at + 4, size));
	for (let i = 0; i < length; i++) payload[i] ^= bytes[at + (i & 3)];
	return { first: bytes[0], payload, size };
}

function frameOf(first, payload) {
	let header = Buffer.from([first, payload.length]);
	if (payload.length > 0xffff) {
		header = Buffer.from([first, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
		header.writeBigUInt64BE(BigInt(payload.length), 2);
	} else if (payload.length > 125) {
		header = Buffer.from([first, 126, payload.length >> 8, payload.length & 0xff]);
	}
	return Buffer.concat([header, payload]);
}

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit());
process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the sockets are to end first
