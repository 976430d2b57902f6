"""The two ways into a host, plain and over TLS, and the certificates that the hosts have.

Each host's certificate is signed by an authority that is made for the run. A client verifies it, and
every handshake is written down with what it was answered with.
"""
import asyncio
import contextlib
import os
import ssl

from certificates import Pair

SIGNED_S = 14.0     # a handshake waits for its signature for half a second more than ten at most


class Authority:
    def __init__(self, folder, records):
        self.folder, self.records, self.made = folder, records, 0
        self.root = Pair(folder, "authority", authority=True)
        self.context = self.root.trust()
        self.turn = asyncio.Lock()

    async def certify(self, host):
        """Puts a new certificate into a host's files. One that runs has to be told."""
        async with self.turn:
            self.made += 1
            pair = await asyncio.to_thread(Pair, self.folder, f"certificate{self.made}",
                                           ("p256", "rsa", "p384")[self.made % 3], self.root)
        self.records.add("run", ev="certificate", host=host.number, serial=pair.serial())
        os.replace(pair.chain, host.certificate)
        os.replace(pair.key, host.key)


class Door:
    """port: None while the host is down. context: of a client that comes in over TLS, or None."""

    def __init__(self, host, records, context=None):
        self.host, self.records, self.context, self.port = host, records, context, None

    async def open(self, limit=2**16):
        """(reader, writer) of a new connection."""
        if self.port is None:
            raise ConnectionRefusedError("the host is down")
        more = {**self.tls(), "ssl_handshake_timeout": SIGNED_S} if self.context else {}
        with self.handshake() as done:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit, **more)
            done(writer)
            return reader, writer

    def websocket(self, path):
        """The URI for wsclient.connect() on a socket that is connected, and the options for it."""
        return (f"wss://localhost{path}", self.tls()) if self.context else (f"ws://localhost{path}", {})

    def tls(self):
        return {"ssl": self.context, "server_hostname": "localhost"}

    @contextlib.contextmanager
    def handshake(self):
        """Around one: calls with the stream or transport that came of it say that it is done."""
        row = {"host": self.host.number, "began": self.records.now(), "how": "failed", "certificate": None}

        def done(stream):
            certificate = stream.get_extra_info("peercert")
            if certificate:
                row.update(how="good", certificate=certificate["serialNumber"])
        try:
            yield done
        except ssl.SSLCertVerificationError as e:
            row["how"] = f"not verified: {e}"
            raise
        finally:
            if self.context:
                self.records.add("handshakes", **row)


async def knock(door, rng, goes_on):
    """Comes in and leaves, time and again, and waits for each handshake as long as it may take."""
    while goes_on():
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            _, writer = await asyncio.wait_for(door.open(), SIGNED_S)
            writer.transport.abort()
        await asyncio.sleep(rng.uniform(0.2, 0.8))
