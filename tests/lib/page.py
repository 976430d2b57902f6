"""A WebSocket as a page of a browser opens one, by hand: it can set no Authorization.

    p = Page(token)                       # offers chatd.v1 and bearer.TOKEN; Page(): chatd.v1 alone
    assert p.ends(4401)                   # waits for this close code, then the end; the reason
"""
from frames import *


class Page(Raw):
    def __init__(self, token=None, name="main", path="/ws", more=b"", fields=None):
        """more: bytes that go in one packet with the handshake."""
        offer = "chatd.v1" if token is None else f"chatd.v1, bearer.{token}"
        fields = {"Sec-WebSocket-Protocol": offer, **(fields or {})}
        self.socket = raw(handshake(None, fields, f"GET {path} HTTP/1.1") + more, name)
        self.answer = Answer(self.socket)
        assert self.answer.status == 101, (self.answer.status, self.answer.body)
        assert self.answer.fields["sec-websocket-protocol"] == "chatd.v1", self.answer.fields

    def ends(self, code):
        opcode, payload = self.frame()
        assert opcode == CLOSE and len(payload) > 2, (opcode, payload)
        got = struct.unpack("!H", payload[:2])[0]
        assert got == code, f"expected close code {code}, got {got}: {payload[2:]}"
        self.send(close_frame(code))
        rest = read_all(self.socket)
        assert rest == b"", f"after the close frame came {rest!r}"
        return payload[2:].decode()


def is_online(who):
    return sql(f"select count(*) > 0 from sessions where user_id = {who.id}") == "t"


def page(token=None, name="main"):
    """Of the client library, which checks what the server does as a browser would."""
    return connect(None, name, ["chatd.v1"] + [f"bearer.{t}" for t in [token] if t is not None])
