"""A server that speaks PostgreSQL's protocol (version 3.0) up to the point where it asks for a password.

    fake = Fake(asks=CLEARTEXT)    # or asks=None: refuses everybody with "no"
    fake.port
    fake.next()                    # (application_name, what came as the password or None) of the next connection
"""
import queue
import socket
import struct
import threading

CLEARTEXT = struct.pack("!cii", b"R", 8, 3)  # AuthenticationCleartextPassword
REFUSAL = b"SFATAL\0VFATAL\0C28P01\0Mno\0\0"


class Fake:
    def __init__(self, asks=None):
        self.asks, self.came = asks, queue.Queue()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def next(self):
        return self.came.get(timeout=60)

    def serve(self):
        while True:
            s, _ = self.listener.accept()
            threading.Thread(target=self.talk, args=(s, s.makefile("rb")), daemon=True).start()

    def startup(self, s, stream):
        """The parameters of a connection, behind its questions for encryption."""
        while True:
            size, code = struct.unpack("!ii", stream.read(8))
            if code in (80877103, 80877104):  # SSLRequest, GSSENCRequest
                s.sendall(b"N")
                continue
            text = stream.read(size - 8).rstrip(b"\0").decode().split("\0")
            return dict(zip(text[::2], text[1::2]))

    def talk(self, s, stream):
        with s:
            name, password = self.startup(s, stream)["application_name"], None
            if self.asks:
                s.sendall(self.asks)
                kind = stream.read(1)
                if kind == b"p":
                    [size] = struct.unpack("!i", stream.read(4))
                    password = stream.read(size - 4).rstrip(b"\0").decode()
            else:
                s.sendall(struct.pack("!ci", b"E", len(REFUSAL) + 4) + REFUSAL)
            self.came.put((name, password))
