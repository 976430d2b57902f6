"""HTTP by hand: any bytes out, and the answers read by h11, a parser that chatd did not write.

    c = Http()                                  # one connection; Http(name="other")
    c.send(b"GET /users HTTP/1.1\\r\\n...")       # any bytes
    r = c.answer()                              # r.status, r.headers (names in lower case), r.body
    c.ended()                                   # the server closes, and sends nothing before
    r = ask("GET", "/users", token=t)           # one request on a connection of its own
"""
import h11

import described
from chat import *


class Answer:
    def __init__(self, response, body, interim):
        self.status, self.body, self.interim = response.status_code, body, interim
        self.fields = [(n.decode(), v.decode()) for n, v in response.headers]
        self.headers = dict(self.fields)
        assert response.http_version == b"1.1"

    def json(self):
        assert self.headers["content-type"] == "application/json", self.fields
        return json.loads(self.body)

    def error(self, status, *words):
        """It is this status, and its {"error": text} has the words."""
        assert self.status == status, (self.status, self.body)
        answer = self.json()
        assert list(answer) == ["error"], answer
        for word in words:
            assert word in answer["error"], (word, answer)
        return self


class Http:
    def __init__(self, name="main"):
        self.socket = raw(name=name)
        self.parser = h11.Connection(h11.CLIENT)
        self.first = True

    def send(self, *parts):
        for part in parts:
            self.socket.sendall(part if isinstance(part, bytes) else part.encode())
        return self

    def answer(self, method="GET"):
        """The next response; method: of its request, on which depends whether it has a body."""
        if not self.first:
            self.parser.start_next_cycle()
        self.first = False
        # The parser has to know what was asked; these bytes stay here.
        self.parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        self.parser.send(h11.EndOfMessage())
        response, body, interim = None, b"", []
        while True:
            event = self.parser.next_event()
            if event is h11.NEED_DATA:
                self.parser.receive_data(self.socket.recv(65536))
            elif isinstance(event, h11.InformationalResponse):
                interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return Answer(response, body, interim)
            else:
                raise AssertionError(f"no response, but {event}")

    def interim(self):
        """The status of the interim response that is next."""
        line = b""
        while not line.endswith(b"\r\n\r\n"):
            part = self.socket.recv(1)
            assert part, line
            line += part
        return int(line.split()[1])

    def ended(self):
        # A reset in place of the end could have overtaken the last answer.
        rest = self.parser.trailing_data[0] + self.socket.recv(65536)
        assert rest == b"", rest
        self.socket.close()

    def close(self):
        self.socket.close()


def head(method, path, fields=(), token=None, version="1.1"):
    """The head of a request; fields: lines, or a dict."""
    lines = [f"{k}: {v}" for k, v in fields.items()] if isinstance(fields, dict) else list(fields)
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if not any(line.lower().startswith("host:") for line in lines):
        lines.insert(0, "Host: localhost")
    return f"{method} {path} HTTP/{version}\r\n" + "".join(f"{x}\r\n" for x in lines) + "\r\n"


def post(path, body, fields=()):
    """A whole POST of JSON with Content-Length."""
    body = body if isinstance(body, bytes) else (
        body if isinstance(body, str) else json.dumps(body)).encode()
    fields = {"Content-Type": "application/json", **dict(fields), "Content-Length": len(body)}
    return head("POST", path, fields).encode() + body


def ask(method, path, fields=(), token=None, name="main", version="1.1", body=b""):
    c = Http(name)
    c.send(head(method, path, fields, token, version), body)
    r = c.answer(method)
    c.close()
    if r.headers.get("content-type", "application/json") == "application/json":
        described.record(method, path, r.status, r.body, body)
    return r


def sent(data, method="GET", name="main"):
    """The answer to these bytes."""
    c = Http(name)
    c.send(data)
    r = c.answer(method)
    c.close()
    return r
