"""A server that is none of ours: it answers a window as a test says, and says whatever it likes.

    with Stranger() as s, Window("token", "bob", server=s.url) as w:
        s.answer("GET", "/users", 503)                     # from now on; a function is called
        s.answer("GET", "/users", 200, [], "Link: ...")
        s.say({"type": "message", ...})                    # on the stream; bytes go as they are
        s.asked("GET", "/users")                           # the queries and bodies that have come
"""
import http.server
import queue
import threading

from windows import *

ME, PEER, PLACE = {"id": 1, "username": "me"}, {"id": 2, "username": "bob", "online": True}, 7
ROOM = {"id": PLACE, "peer": PEER, "unread": 0, "member_count": 2}


def message(number, content, sender=2):
    """As a history has it."""
    return {"id": number, "sender_id": sender, "content": content, "created_at": "2024-01-02T03:04:05Z"}


def frame(number, content, sender=2, place=PLACE, **more):
    """As the stream has it."""
    return {"type": "message", "content": content,
            "data": {"message_id": number, "conversation_id": place, "sender_id": sender, "sender": "bob",
                     "created_at": "2024-01-02T03:04:05Z", "cursor": f"c{number}", **more}}


class Stranger(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, **room):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.lines, self.answers, self.requests = queue.Queue(), {}, []
        room = {**ROOM, **room}
        self.answer("GET", "/me", 200, ME)
        self.answer("GET", "/users", 200, [PEER])
        self.answer("POST", "/conversations", 200, room)
        self.answer("GET", f"/conversations/{PLACE}", 200, room)
        self.answer("GET", "/conversations", 200, {"conversations": [room]})
        self.answer("GET", f"/conversations/{PLACE}/messages", 200, [])
        self.answer("GET", f"/conversations/{PLACE}/members", 200, [])
        self.answer("PUT", f"/conversations/{PLACE}/read", 204)
        self.say({"type": "resumed", "data": {"recovered": True, "cursor": "c0"}})

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.lines.put(None)
        self.shutdown()
        self.server_close()

    def answer(self, method, path, status, body=None, *fields):
        """body: what becomes JSON, bytes, or a function of a query that gives one of them."""
        self.answers[method, path] = (status, body, fields)

    def say(self, *frames):
        for f in frames:
            self.lines.put(f if isinstance(f, bytes) else json.dumps(f).encode() + b"\n")

    def close_stream(self):
        self.lines.put(None)

    def asked(self, method, path):
        return [what for m, p, what in self.requests if (m, p) == (method, path)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def put(self, status, body, fields):
        head = [f"HTTP/1.1 {status} Said", *fields]
        if status != 204:
            head.append(f"Content-Length: {len(body)}")
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + body)

    def stream(self):
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while (line := self.server.lines.get()) is not None:
            try:
                self.wfile.write(line)
            except OSError:
                return

    def serve(self):
        path, _, query = self.path.partition("?")
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.requests.append((self.command, path, sent or query))
        status, body, fields = self.server.answers.get((self.command, path), (404, {"error": "nothing here"}, ()))
        if path == "/events" and status == 404:
            self.stream()
            return
        body = body(query) if callable(body) else body
        self.put(status, body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode(), fields)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve
