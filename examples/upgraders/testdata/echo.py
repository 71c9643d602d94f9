"""A WebSocket echo server (RFC 6455) on Python's standard library. It prints its port, then
one line for each socket that has ended, and exits at the end of its standard input."""

import asyncio
import base64
import hashlib
import sys


async def serve(reader, writer):
    closed = "1006"
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        key = {name.lower(): value for name, value in fields.items()}["sec-websocket-key"]
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        closed = await echo(reader, writer)
    except (KeyError, OSError, EOFError):
        pass
    finally:
        print("close", closed, flush=True)
        writer.close()


async def echo(reader, writer):
    """Send each data frame back; return the code and reason of the close frame."""
    while True:
        first, payload = await read_frame(reader)
        opcode = first & 0x0F
        if opcode == 9:
            writer.write(frame(0x8A, payload))
        elif opcode != 10:  # fragments are sent back as fragments
            writer.write(frame(first, payload))
        if opcode == 8:  # read, also if the answer finds the connection closed
            if len(payload) < 2:
                return "1005"
            return f"{int.from_bytes(payload[:2])} {payload[2:].decode()}"
        await writer.drain()


async def read_frame(reader):
    """Read one frame of a client (§5.2), which masks (§5.3)."""
    first, length = await reader.readexactly(2)
    length &= 0x7F
    if length > 125:
        length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8))
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(length)
    whole = int.from_bytes((mask * (length // 4 + 1))[:length])
    return first, (int.from_bytes(payload) ^ whole).to_bytes(length)


def frame(first, payload):
    length = len(payload)
    if length < 126:
        return bytes([first, length]) + payload
    if length < 1 << 16:
        return bytes([first, 126]) + length.to_bytes(2) + payload
    return bytes([first, 127]) + length.to_bytes(8) + payload


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
