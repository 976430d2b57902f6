#!/usr/bin/python3
"""A host's network: a process that stands between one chatd and its databases, on Unix sockets.

    proxy.py LISTEN=TARGET ...      and lines on its standard input:
    cut     every connection ends at once, new ones too
    hole    everything stays open and nothing moves; new connections hang
    open    as if nothing had been

It answers each line with itself, and ends with its input.
"""
import asyncio
import contextlib
import os
import signal
import socket
import sys


class Network:
    def __init__(self):
        self.moves = asyncio.Event()
        self.moves.set()
        self.refuses = False
        self.pairs = set()

    def set(self, mode):
        self.refuses = mode == "cut"
        (self.moves.clear if mode == "hole" else self.moves.set)()
        if self.refuses:
            for pair in list(self.pairs):
                pair.cancel()

    async def listen(self, path, target):
        loop = asyncio.get_running_loop()
        listener = socket.socket(socket.AF_UNIX)
        listener.setblocking(False)
        listener.bind(path)
        os.chmod(path, 0o666)  # the broker of a chatd that root started is another user's
        listener.listen(100)
        while True:
            client, _ = await loop.sock_accept(listener)
            pair = asyncio.create_task(self.join(client, target))
            self.pairs.add(pair)
            pair.add_done_callback(self.pairs.discard)

    async def join(self, client, target):
        loop = asyncio.get_running_loop()
        server = socket.socket(socket.AF_UNIX)
        with client, server:
            for s in client, server:
                s.setblocking(False)
            await self.moves.wait()
            if self.refuses:
                return
            with contextlib.suppress(OSError):
                await loop.sock_connect(server, target)
                ways = [asyncio.create_task(self.pump(a, b)) for a, b in [(client, server), (server, client)]]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    async def pump(self, source, sink):
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await loop.sock_recv(source, 65536):
                await self.moves.wait()
                await loop.sock_sendall(sink, data)
            # An end, too, does not get through a hole.
            await self.moves.wait()


async def main():
    network = Network()
    listeners = [asyncio.create_task(network.listen(*pair.split("=", 1))) for pair in sys.argv[1:]]
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print("open", flush=True)
    while line := (await commands.readline()).decode().strip():
        for listener in listeners:
            if listener.done():
                listener.result()
        network.set(line)
        print(line, flush=True)
    os._exit(0)


signal.signal(signal.SIGINT, signal.SIG_IGN)
asyncio.run(main())
