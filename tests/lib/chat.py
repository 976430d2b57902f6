"""WebSocket clients for the tests, on the `websockets` package (wsclient.py), with calls that wait.

    a = connect(token)                    # NAME=main: which instance
    a.send({"type": "message", ...})
    frame = a.expect("ack")               # the next frame must be of this type
    a.silent(0.3)                         # nothing may arrive for so long
    code = a.closed()                     # waits for the close and returns its code
"""
import asyncio
import contextlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time

import described
import wsclient
from wsclient import Refused

T = os.environ["T"]
WAIT = 15.0

_loop = asyncio.new_event_loop()
threading.Thread(target=_loop.run_forever, daemon=True).start()


def run(coroutine, timeout=WAIT):
    return asyncio.run_coroutine_threadsafe(coroutine, _loop).result(timeout)


def port(name="main"):
    with open(f"{T}/{name}.address") as f:
        return int(f.read().rsplit(":", 1)[1])


class Client:
    def __init__(self, socket):
        self.socket = socket

    def send(self, frame):
        run(self.socket.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame)))

    def send_fragments(self, parts):
        async def parts_of():
            for part in parts:
                yield part
        run(self.socket.send(parts_of()))

    def recv(self, timeout=WAIT):
        frame = json.loads(run(asyncio.wait_for(self.socket.recv(), timeout), timeout + 5))
        described.record_frame(frame)
        return frame

    def expect(self, type_, timeout=WAIT):
        frame = self.recv(timeout)
        assert frame["type"] == type_, f"expected {type_}, got {frame}"
        return frame

    def until(self, type_, timeout=WAIT):
        """The next frame of this type; skips others."""
        while True:
            frame = self.recv(timeout)
            if frame["type"] == type_:
                return frame

    def message(self, receiver, content, id_=None):
        frame = {"type": "message", "content": content, "data": {"receiver_id": receiver}}
        if id_ is not None:
            frame["id"] = id_
        self.send(frame)

    def silent(self, seconds=0.3):
        try:
            frame = self.recv(seconds)
        except asyncio.TimeoutError:
            return
        raise AssertionError(f"expected silence, got {frame}")

    def ping(self):
        async def go():
            await asyncio.wait_for(await self.socket.ping(), WAIT)
        run(go(), WAIT + 5)

    def close(self, code=1000):
        run(self.socket.close(code))
        return self.socket.close_code

    def closed(self, timeout=WAIT):
        run(asyncio.wait_for(self.socket.wait_closed(), timeout), timeout + 5)
        return self.socket.close_code


def connect(token=None, name="main", subprotocols=None, headers=None, path="/ws", **options):
    extra = dict(headers or {})
    if token:
        extra["Authorization"] = f"Bearer {token}"
    # With fewer frames that nobody has taken yet, a client reads no answers to its pings either.
    options = {"max_queue": 1000, **options}
    return Client(run(wsclient.connect(
        f"{'wss' if 'ssl' in options else 'ws'}://127.0.0.1:{port(name)}{path}", headers=extra,
        subprotocols=subprotocols, ping_interval=None, close_timeout=5, max_size=None, **options)))


def log(name="main"):
    """What an instance has logged so far."""
    with open(f"{T}/{name}.log", errors="replace") as f:
        return f.read()


def api(method, path, body=None, token=None, name="main", headers=None):
    """Returns (status, object)."""
    c = http.client.HTTPConnection("127.0.0.1", port(name), timeout=WAIT)
    head = dict(headers or {})
    if token:
        head["Authorization"] = f"Bearer {token}"
    if body is not None:
        head.setdefault("Content-Type", "application/json")
        body = body if isinstance(body, (str, bytes)) else json.dumps(body)
    c.request(method, path, body, head)
    r = c.getresponse()
    text = r.read()
    c.close()
    described.record(method, path, r.status, text, body)
    return r.status, json.loads(text) if text else None


def raw(data=b"", name="main"):
    """A plain TCP connection to the server, for what no client library would send."""
    s = socket.create_connection(("127.0.0.1", port(name)), WAIT)
    if data:
        s.sendall(data)
    return s


def read_all(s):
    """Everything until the server closes."""
    got = b""
    while True:
        try:
            part = s.recv(65536)
        except ConnectionResetError:
            return got
        if not part:
            return got
        got += part


def password():
    with open(f"{T}/password") as f:
        return f.read()


class User:
    def __init__(self, answer):
        self.token, self.id, self.name = (
            answer["token"], answer["user"]["id"], answer["user"]["username"])


def user(name=None, instance="main"):
    """Registers a user; without a name, with one that nobody has."""
    name = name or f"u{random.randrange(16**12):012x}"
    path = f"{T}/password"
    if not os.path.exists(path):
        with open(path, "w") as f:
            f.write("%024x" % random.randrange(16**24))
    status, answer = api("POST", "/register", {"username": name, "password": password(),
                                               "email": f"{name}@example.com"}, name=instance)
    assert status == 201, (status, answer)
    return User(answer)


def sql(text):
    """Runs SQL as the owner of the database; returns psql's unaligned output."""
    return subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-c", text], check=True,
                          capture_output=True, text=True).stdout.strip()


def eventually(what, timeout=WAIT):
    """Waits until what() is true: for what no event announces."""
    end = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def children(title, name="main"):
    """Pids of the server's processes whose title starts with "chatd: " and this."""
    with open(f"{T}/{name}.pid") as f:
        master = f.read().strip()
    out = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", master], capture_output=True,
                         text=True).stdout
    rows = [line.split(None, 1) for line in out.splitlines()]
    return [int(pid) for pid, args in rows if args.startswith(f"chatd: {title}")]


def seen(client, *users, name="main"):
    """The user_status frames about these users that have reached a client, as (user, online). No
    waiting for silence: a stranger who comes, on that instance, marks the end. (He stays until
    then: of one who has left again before a broker looked, nobody need hear.)"""
    stranger = user(instance=name)
    marker = connect(stranger.token, name)
    names = {u.id: u for u in users}
    got = []
    while True:
        data = client.until("user_status")["data"]
        if data["user_id"] == stranger.id:
            marker.close()
            return got
        if data["user_id"] in names:
            got.append((names[data["user_id"]], data["online"]))


@contextlib.contextmanager
def held(statements):
    """Somebody else runs these in a transaction that commits when this ends."""
    holder = subprocess.Popen(["psql", "-qXAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holder.stdin.write(f"begin; {statements}; select 'held';\n")
    holder.stdin.flush()
    while holder.stdout.readline() != "held\n":
        pass
    try:
        yield
    finally:
        holder.communicate("commit;\n")
    assert holder.returncode == 0


def locked(table, mode):
    """While this lasts, somebody else holds this table in this mode."""
    return held(f"lock table {table} in {mode} mode")


def nothing_stored():
    """While this lasts, no message is stored: somebody else holds the change lock."""
    return locked("change_lock", "share update exclusive")


def writer_waits(kind="message"):
    """Until a statement of the writer waits for a lock: a batch of messages or changes, or one of sessions."""
    eventually(lambda: sql("select count(*) from pg_stat_activity where datname = current_database()"
                           " and application_name = 'chatd writer' and wait_event_type = 'Lock'"
                           rf" and query like '%chatd_api.{kind}\_%'") != "0")


def cursor_of(who):
    """Where a connection of this user begins now."""
    ws = connect(who.token, path="/ws?cursor=")
    cursor = ws.expect("resumed")["data"]["cursor"]
    ws.close()
    return cursor


def online(who, by, name="main"):
    """What GET /users says about somebody."""
    status, users = api("GET", "/users", token=by.token, name=name)
    assert status == 200, (status, users)
    [row] = [u for u in users if u["id"] == who.id]
    return row["online"]
