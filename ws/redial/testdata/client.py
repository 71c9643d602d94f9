"""A client on python3-websockets against the library's server, for interop_test.go.

python3 client.py <url> <ca.pem>
"""

import asyncio
import ssl
import sys

import websockets

URL, CA = sys.argv[1:]
TLS = ssl.create_default_context(cafile=CA)


def connect(*subprotocols):
    return websockets.connect(URL, ssl=TLS, subprotocols=list(subprotocols), open_timeout=30)


async def ending(subprotocol, message):
    async with connect(subprotocol) as socket:
        await socket.send(message)
        try:
            while True:
                await socket.recv()
        except websockets.exceptions.ConnectionClosed as closed:
            return closed.rcvd.code, closed.rcvd.reason


async def main():
    async with connect("other", "chat.v1") as socket:
        assert socket.subprotocol == "chat.v1", socket.subprotocol
        assert not socket.extensions, socket.extensions  # permessage-deflate is off
        for message in ("hello, wörld", "", b"\x07" * 60_000):
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send(part for part in ("in ", "", "three"))
        assert await socket.recv() == "in three"
        await (await socket.ping(b"are you there"))
        await socket.close(4001, "bye")
        assert socket.close_code == 4001, socket.close_code
    assert await ending("chat.v1", "restart") == (1012, "restart")
    assert await ending("chat.v1", b"\0" * 70_000) == (1009, "too_big")
    try:
        await connect("other")
    except websockets.exceptions.InvalidStatusCode as refused:
        assert refused.status_code == 400, refused
    else:
        raise AssertionError("a subprotocol that is not spoken was accepted")
    print("ok")


asyncio.run(main())
