#!/usr/bin/env bats
# Readers that do not read: what they cost, whom they delay, and what they get when they read on.

load lib/server

setup_file() {
    server_setup_file
    server_start main -o max_clients=2000 -o max_connections_per_user=0 -o session_queue=64k -o presence=off -o write_timeout=10m \
        -o ping_interval=10m
    server_start strict -o presence=off -o write_timeout=3s
}

teardown_file() {
    server_teardown_file
}

@test "readers that stop reading cost bounded memory, delay nobody, and get all when they read on" {
    py - <<'PY'
from frames import *
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
[broker] = children("broker")
with open(f"/proc/{broker}/maps") as f:
    sanitized = "libasan" in f.read()
READERS, MESSAGES, SIZE = (100 if sanitized else 1000), 150, 16000
def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
alice, bob, carol = user(), user(), user()
def reader():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port()))
    s.sendall(handshake(bob.token))
    assert Answer(s).status == 101
    return s
readers = [reader() for _ in range(READERS)]
before = resident(broker)
a, c = connect(alice.token), connect(carol.token)
for n in range(MESSAGES):
    content = f"{n:05d}" + "x" * SIZE
    a.message(bob.id, content, f"b-{n}")
    a.message(carol.id, f"{n}", f"c-{n}")
    # Carol's and the acks come while a thousand others are stuck.
    assert c.expect("message")["content"] == f"{n}"
    assert [a.expect("ack")["id"] for _ in range(2)] == [f"b-{n}", f"c-{n}"]
grown = resident(broker) - before
# A sanitizer keeps freed memory, to find who uses it: it says nothing about how much is held.
if not sanitized:
    limit = READERS * 300 + 20000
    assert limit < READERS * SIZE * MESSAGES / 1024 / 2     # what it would be without a bound
    assert grown < limit, (grown, limit)
    session = children(f"session {bob.name} ")[0]
    assert resident(session) < 8000, resident(session)
def contents(s):
    w = Raw.__new__(Raw)
    w.socket = s
    return [w.json()["content"][:5] for _ in range(MESSAGES)]
for s in dice.sample(readers, 10):
    assert contents(s) == [f"{n:05d}" for n in range(MESSAGES)]
for s in readers:
    s.close()
eventually(lambda: not children(f"session {bob.name} "), 60)
a.message(carol.id, "end")
assert c.expect("message")["content"] == "end"
PY
}

@test "a WebSocket or an event stream that takes nothing for write_timeout is closed, its user offline" {
    py - <<'PY'
from frames import *
n = "strict"
alice, bob, carol = user(instance=n), user(instance=n), user(instance=n)
a = connect(alice.token, n)
def stuck(data):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port(n)))
    s.sendall(data)
    assert Answer(s).status in (101, 200)
    return s
socks = [stuck(handshake(bob.token)),
         stuck(f"GET /events HTTP/1.0\r\nAuthorization: Bearer {carol.token}\r\n\r\n".encode())]
for who in (bob, carol):
    assert online(who, who, n)
    for i in range(250):
        a.message(who.id, "x" * 16000, f"{who.id}-{i}")
    for i in range(250):
        a.until("ack")
    eventually(lambda: not online(who, who, n))
    # Its channel is closed first, the process ends after that.
    eventually(lambda: not children(f"session {who.name} ", n))
PY
}
