"""A WebSocket as a page of a browser opens one, by hand: it can set no Authorization.

    p = Page(token)                       # offers chatd.v1 and bearer.TOKEN; Page(): chatd.v1 alone
    assert p.ends(4401)                   # waits for this close code, then the end; the reason
    p.auth(token, "a-1")                  # the frame that says who it is
    p.signed_in(user, "a-1")              # and the answer to it
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

    def say(self, frame):
        self.send(text(frame))

    def auth(self, token, id_=None):
        self.say(auth_frame(token, id_))

    def signed_in(self, who, id_=None):
        got = self.json()
        assert got["type"] == "authenticated" and got.get("id") == id_, got
        assert set(got["data"]) == {"user_id", "expires_in"} and got["data"]["user_id"] == who.id, got
        assert 0 < got["data"]["expires_in"] <= 86400, got

    def error(self, code, id_=None):
        got = self.json()
        assert got["type"] == "error" and got.get("id") == id_ and got["data"]["code"] == code, got
        return got

    def ends(self, code):
        opcode, payload = self.frame()
        assert opcode == CLOSE and len(payload) > 2, (opcode, payload)
        got = struct.unpack("!H", payload[:2])[0]
        assert got == code, f"expected close code {code}, got {got}: {payload[2:]}"
        self.send(close_frame(code))
        rest = read_all(self.socket)
        assert rest == b"", f"after the close frame came {rest!r}"
        return payload[2:].decode()


def auth_frame(token, id_=None):
    frame = {"type": "auth", "data": {"token": token}}
    return frame if id_ is None else {**frame, "id": id_}


def sockets(pid):
    links = [f"/proc/{pid}/fd/{n}" for n in os.listdir(f"/proc/{pid}/fd")]
    return sum(os.readlink(l).startswith("socket:") for l in links)


def is_online(who):
    return sql(f"select count(*) > 0 from sessions where user_id = {who.id}") == "t"


def page(token=None, name="main"):
    """Of the client library, which checks what the server does as a browser would."""
    return connect(None, name, ["chatd.v1"] + [f"bearer.{t}" for t in [token] if t is not None])
