"""The echo server of backend/echo.py on the package websockets, with permessage-deflate."""

import asyncio
import sys

import websockets


async def echo(socket):
    try:
        while True:
            await socket.send(await socket.recv())
    except websockets.ConnectionClosed:
        print("close", socket.close_code, socket.close_reason, flush=True)


async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, compression="deflate") as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
