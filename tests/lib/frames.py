"""A WebSocket client by hand, for what no client library would send.

    w = Raw()                             # a user of its own; or Raw(token), "" for none
    w.send(frame(TEXT, b"{}", fin=False)) # any bytes
    opcode, payload = w.frame()           # the next frame from the server
    w.usable()                            # the connection still serves
    w.fails(1002)                         # the server closes with this code, then the connection
"""
import base64
import hashlib
import struct

from chance import dice
from chat import *

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode, payload=b"", fin=True, mask=None, rsv=0, masked=True, declare=None, wide=None):
    """One frame; declare: another length than the payload has; wide: bytes of that length."""
    n = len(payload) if declare is None else declare
    if wide is None:
        wide = 0 if n < 126 else 2 if n < 65536 else 8
    small = n if wide == 0 else 126 if wide == 2 else 127
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, (0x80 if masked else 0) | small])
    head += {0: b"", 2: struct.pack("!H", n & 0xffff), 8: struct.pack("!Q", n)}[wide]
    if not masked:
        return head + payload
    mask = dice.randbytes(4) if mask is None else mask
    turned = (mask * (len(payload) // 4 + 1))[:len(payload)]
    return head + mask + (int.from_bytes(payload, "big") ^ int.from_bytes(turned, "big")).to_bytes(
        len(payload), "big")


def text(value, **options):
    payload = value if isinstance(value, bytes) else (
        value if isinstance(value, str) else json.dumps(value)).encode()
    return frame(TEXT, payload, **options)


def close_frame(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


KEY = base64.b64encode(b"sixteen bytes!!!").decode()


def handshake(token=None, fields=None, line="GET /ws HTTP/1.1"):
    """The bytes of a handshake; fields replaces or adds some, None leaves one out."""
    head = {"Host": "chat.example", "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"}
    if token:
        head["Authorization"] = f"Bearer {token}"
    head.update(fields or {})
    lines = [f"{name}: {value}" for name, value in head.items() if value is not None]
    return "\r\n".join([line, *lines, "", ""]).encode()


class Answer:
    def __init__(self, s):
        """Reads the head of a response, and not a byte beyond."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = s.recv(1)
            assert byte, f"the server closed after {head!r}"
            head += byte
        first, *lines = head.decode().rstrip("\r\n").split("\r\n")
        self.status = int(first.split()[1])
        self.fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        self.body = None
        if "content-length" in self.fields:
            body = b""
            while len(body) < int(self.fields["content-length"]):
                body += s.recv(65536)
            self.body = json.loads(body)


def ask(token=None, fields=None, name="main", line="GET /ws HTTP/1.1"):
    """The answer to a handshake."""
    s = raw(handshake(token, fields, line), name)
    answer = Answer(s)
    s.close()
    return answer


class Raw:
    def __init__(self, token=None, name="main", more=b"", fields=None):
        """more: bytes that go in one packet with the handshake."""
        token = user(instance=name).token if token is None else token
        self.socket = raw(handshake(token, fields) + more, name)
        self.answer = Answer(self.socket)
        assert self.answer.status == 101, (self.answer.status, self.answer.body)

    def send(self, data):
        self.socket.sendall(data)

    def read(self, n):
        got = b""
        while len(got) < n:
            part = self.socket.recv(n - len(got))
            assert part, f"the server closed after {got!r}"
            got += part
        return got

    def frame(self, timeout=WAIT):
        """(opcode, payload) of the next frame, which is not compressed."""
        compressed, opcode, payload = self.any_frame(timeout)
        assert not compressed, "a reserved bit is set"
        return opcode, payload

    def any_frame(self, timeout=WAIT):
        """(compressed, opcode, payload as it came)"""
        self.socket.settimeout(timeout)
        first, second = self.read(2)
        assert not second & 0x80, "a server must not mask"
        assert first & 0x30 == 0, "a reserved bit is set"
        n = second & 0x7f
        if n >= 126:
            wide = 2 if n == 126 else 8
            n = int.from_bytes(self.read(wide), "big")
            assert n > (125 if wide == 2 else 65535), "not the shortest form of a length"
        assert first & 0x80, "the server never fragments"
        return bool(first & 0x40), first & 0x0f, self.read(n)

    def json(self):
        opcode, payload = self.frame()
        assert opcode == TEXT, (opcode, payload)
        return json.loads(payload)

    def usable(self):
        self.send(text({"type": "ping", "id": "still here"}))
        got = self.json()
        assert got == {"type": "pong", "id": "still here"}, got

    def closes(self, hang_up=False):
        """Waits for the close frame, then the end; returns the code, None without one. hang_up:
        closes our side in between, rather than leaving all to the server."""
        opcode, payload = self.frame()
        assert opcode == CLOSE, (opcode, payload)
        if hang_up:
            self.socket.shutdown(socket.SHUT_WR)
        rest = read_all(self.socket)
        assert rest == b"", f"after the close frame came {rest!r}"
        if not payload:
            return None
        payload[2:].decode()
        return struct.unpack("!H", payload[:2])[0]

    def fails(self, code, hang_up=True):
        got = self.closes(hang_up)
        assert got == code, f"expected close code {code}, got {got}"


def fails(data, code, hang_up=True):
    """A connection on which these bytes come ends with this close code."""
    w = Raw()
    w.send(data)
    w.fails(code, hang_up)


def accept_of(key):
    return base64.b64encode(hashlib.sha1(
        (key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
