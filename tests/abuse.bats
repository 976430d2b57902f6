#!/usr/bin/env bats
# What a stranger may cost: guessed passwords, registrations, connections, floods. The clients'
# addresses are told by PROXY headers. Nothing is timed: waits are read in the log, as planned.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    local proxy=(-o trusted_proxies=127.0.0.1 -o proxy_protocol=on -o presence=off -o auth_workers=1)
    server_start main "${proxy[@]}" -o login_delay=400ms -o login_failures=0
    server_start strict "${proxy[@]}" -o login_delay=0 -o login_failures=5 -o register_rate=20 \
        -o max_connections_per_user=2 -o auth_queue=2
    server_start hasty -o header_timeout=300ms -o body_timeout=300ms
    server_start slow -o frame_rate=20 -o presence=off
}

teardown_file() {
    server_teardown_file
}

# --- guessing ---

@test "each wrong password makes the next login of that account wait longer, wherever strangers are; the right one is never refused" {
    py - <<'PY'
from proxied import *
alice, bob = member(), member()
for n in range(6):
    login(alice, f"192.0.2.{n}", "wrong-words").error(401, "Wrong username or password")
    assert waits() == [100, 200, 400, 400, 400][:n], (n, waits())
assert login(alice, "192.0.2.99").status == 200
assert waits() == [100, 200, 400, 400, 400, 400]
assert login(bob, "192.0.2.0").status == 200            # another account is not slower
assert login(alice.name.upper(), "192.0.2.0").status == 200
assert waits() == [100, 200, 400, 400, 400, 400, 400]   # but the same one in capitals is
PY
}

@test "where an account was made, or has logged in from, it does not wait for the failures of others" {
    py - <<'PY'
from proxied import *
alice = member("203.0.113.1")
assert login(alice, "203.0.113.2").status == 200
for n in range(4):
    login(alice, "192.0.2.1", "wrong-words").error(401)
before = len(waits())
assert login(alice, "203.0.113.1").status == login(alice, "203.0.113.2").status == 200
assert len(waits()) == before
assert login(alice, "203.0.113.3").status == 200        # here it is not known yet
assert len(waits()) == before + 1
assert login(alice, "203.0.113.3").status == 200
assert len(waits()) == before + 1
# Its own failures do count there, until the right password comes.
login(alice, "203.0.113.1", "wrong-words").error(401)
assert login(alice, "203.0.113.1").status == 200
assert waits()[before + 1:] == [100]
assert login(alice, "203.0.113.1").status == 200
assert len(waits()) == before + 2
PY
}

@test "an IPv6 address is known, and counted, with its 64 first bits" {
    py - <<'PY'
from proxied import *
alice = member("2001:db8::1")
login(alice, "192.0.2.1", "wrong-words").error(401)
before = len(waits())
assert login(alice, "2001:db8::ffff:ffff").status == 200
assert len(waits()) == before
assert login(alice, "2001:db8:0:1::1").status == 200
assert len(waits()) == before + 1
PY
}

@test "a name that nobody has is treated like one that somebody has: the same answer after the same wait" {
    py - <<'PY'
from proxied import *
alice = member("203.0.113.1")
def tries(name):
    before = len(waits())
    answers = [login(name, f"192.0.2.{n}", "wrong-words") for n in range(5)]
    return [(r.status, r.body, [k for k, _ in r.fields]) for r in answers], waits()[before:]
known, unknown, impossible = tries(alice.name), tries("nobody-at-all"), tries("no name at all")
assert known == unknown == impossible, (known, unknown, impossible)
assert known[1] == [100, 200, 400, 400], known
PY
}

@test "many guesses at a time are looked at one after the other, each after its wait" {
    py - <<'PY'
from proxied import *
alice = member("203.0.113.1")
before = len(waits())
def guess():
    c = via("192.0.2.1")
    c.send(post("/login", {"username": alice.name, "password": "wrong-words"}))
    return c
for c in [guess() for _ in range(8)]:
    c.answer("POST").error(401)
    c.close()
# All at once none of them would have had to wait.
assert waits()[before:] == [100, 200, 400, 400, 400, 400, 400], waits()[before:]
PY
}

@test "of a session that has gone meanwhile no password is looked at" {
    py - <<'PY'
from proxied import *
from impersonate import *
alice = member("203.0.113.1")
before, queued = len(waits()), len(turns())
[auth] = children("auth")
os.kill(auth, signal.SIGSTOP)
try:
    first = via("192.0.2.1").send(post("/login", {"username": alice.name, "password": "wrong-words"}))
    eventually(lambda: len(turns()) > queued)           # it is the first, and stays that for now
    # Sessions of an attacker, with the right password, who leave at once: the broker itself ends them.
    for _ in range(3):
        c = Channel(NEW)
        c.say("LOGIN", text(alice.name) + text(password()))
        c.say("USERS")
        c.ended()
finally:
    os.kill(auth, signal.SIGCONT)
first.answer("POST").error(401)
first.close()
# Had one of them been looked at, this place would be known, and nobody would wait any more. Nor has
# anybody waited for those who had left.
assert login(alice, "192.0.2.1").status == 200
assert waits()[before:] == [100], waits()[before:]
PY
}

@test "login_failures: beyond, 429 with Retry-After for that address only, and not for accounts known there" {
    py - <<'PY'
from proxied import *
n = "strict"
alice, bob = member("192.0.2.1", n), member("203.0.113.1", n)
for i in range(5):
    login(f"guess-{i}", "192.0.2.1", "wrong-words", n).error(401)
for word in ("wrong-words", None):                      # the right password, too: bob is a stranger there
    r = login(bob, "192.0.2.1", word, n).error(429, "Too many failed logins from your address")
    assert int(r.headers["retry-after"]) > 0
assert login(alice, "192.0.2.1", name=n).status == 200
assert login(bob, "203.0.113.1", name=n).status == login(bob, "192.0.2.2", name=n).status == 200
# The right password costs nothing.
for someone in [member("203.0.113.2", n) for _ in range(6)]:
    assert login(someone, "192.0.2.3", name=n).status == 200
for i in range(5):
    login(f"guess-{i}", "2001:db8::1", "wrong-words", n).error(401)
login("guess", "2001:db8::2", "wrong-words", n).error(429)
login("guess", "2001:db8:0:1::2", "wrong-words", n).error(401)
PY
}

@test "auth_queue: beyond, 503 with Retry-After at once, and those in it are served; one source's own queue is bounded with 429" {
    py - <<'PY'
from proxied import *
import select
n = "strict"
users = [member(f"203.0.113.{i}", n) for i in range(5)]
[auth] = children("auth", n)
def start(who, address):
    return via(address, n).send(post("/login", {"username": who.name, "password": password()}))
os.kill(auth, signal.SIGSTOP)
try:
    many = [start(u, f"203.0.113.{i}") for i, u in enumerate(users)]
    # One is with the worker, two wait; which ones, the order of arrival decides.
    def answered():
        return select.select([c.socket for c in many], [], [], 0)[0]
    eventually(lambda: len(answered()) == 2)
    for c in many:
        if c.socket in answered():
            r = c.answer("POST").error(503, "overloaded")
            assert int(r.headers["retry-after"]) > 0
    left = [c for c in many if c.first]
    assert len(left) == 3
finally:
    os.kill(auth, signal.SIGCONT)
for c in left:
    assert c.answer("POST").status == 200
os.kill(auth, signal.SIGSTOP)
try:
    many = [start(users[0], "203.0.113.0") for _ in range(6)]
    eventually(lambda: len(answered()) == 3)
    for c in many:
        if c.socket in answered():
            assert int(c.answer("POST").error(429, "Too many").headers["retry-after"]) > 0
    left = [c for c in many if c.first]
finally:
    os.kill(auth, signal.SIGCONT)
for c in left:
    assert c.answer("POST").status == 200
PY
}

@test "logins that wait are bounded: a thousand strangers' get 503 for the next stranger, and not for who is known" {
    server_start deep -o trusted_proxies=127.0.0.1 -o proxy_protocol=on -o presence=off -o auth_workers=1 \
        -o login_failures=0 -o login_delay=0 -o auth_queue=5000
    py - <<'PY'
from proxied import *
from impersonate import *
n = "deep"
alice = member("203.0.113.1", n)
[auth] = children("auth", n)
os.kill(auth, signal.SIGSTOP)
try:
    first = [via(f"192.0.2.{i}", n).send(post("/login", {"username": alice.name, "password": "wrong-words"}))
             for i in range(1, 7)]
    eventually(lambda: len(turns(n)) == 6)
    # Sessions of an attacker with six addresses, who leave; that the broker ends them at the end says that
    # it has read all.
    for i in range(1100):
        c = Channel(SILENT, name=n)
        c.say("HELLO", hello(f"192.0.2.{i // 200 + 1}"))
        c.say("LOGIN", text(alice.name) + text("wrong-words"))
        c.say("USERS")
        c.ended()
    r = login("somebody", "192.0.2.99", "wrong-words", n).error(503, "overloaded")
    assert int(r.headers["retry-after"]) > 0
    known = via("203.0.113.1", n).send(post("/login", {"username": alice.name, "password": password()}))
    eventually(lambda: len(turns(n)) == 7)
finally:
    os.kill(auth, signal.SIGCONT)
for c in first:
    c.answer("POST").error(401)
assert known.answer("POST").status == 200
# Those who had left are forgotten, and there is room again.
eventually(lambda: login("somebody", "192.0.2.2", "wrong-words", n).status == 401)
PY
    server_stop deep
}

@test "one address, even with accounts of its own, can fill neither the auth workers' queue nor the places of those who wait" {
    server_start own -o trusted_proxies=127.0.0.1 -o proxy_protocol=on -o presence=off -o auth_workers=1
    py - <<'PY'
from proxied import *
from impersonate import *
n, attacker = "own", "192.0.2.1"
alice = member("203.0.113.1", n)
accounts = [member(attacker, n) for _ in range(70)]
[auth] = children("auth", n)
os.kill(auth, signal.SIGSTOP)
try:
    # With the worker, or waiting for it; behind each of them come more, who leave.
    first = [via(attacker, n).send(post("/login", {"username": who.name, "password": "wrong-words"}))
             for who in accounts]
    eventually(lambda: len(turns(n)) == 70)
    for who in accounts * 32:
        c = Channel(SILENT, name=n)
        c.say("HELLO", hello(attacker))
        c.say("LOGIN", text(who.name) + text("wrong-words"))
        c.say("USERS")
        c.ended()
    many = [via(f"203.0.113.{i}", n).send(post("/login", {"username": alice.name, "password": password()}))
            for i in (1, 2)]                            # 2: a stranger
    eventually(lambda: len(turns(n)) == 72)
    login(accounts[0], attacker, name=n).error(429, "Too many")
finally:
    os.kill(auth, signal.SIGCONT)
for c in many:
    assert c.answer("POST").status == 200
for c in first:
    c.answer("POST").error(401)
eventually(lambda: login(accounts[0], attacker, name=n).status == 200)
PY
    server_stop own
}

# --- registrations, connections ---

@test "register_rate: beyond, 429 with Retry-After for that address only" {
    py - <<'PY'
from proxied import *
n = "strict"
for same in ("198.51.100.1", "198.51.100.1"), ("2001:db8:7::1", "2001:db8:7::2"):
    for i in range(20):
        assert register(same[i % 2], n).status == 201
    before = sql("select count(*) from users")
    r = register(same[0], n).error(429, "Too many registrations from your address")
    assert int(r.headers["retry-after"]) > 0 and sql("select count(*) from users") == before
assert register("198.51.100.2", n).status == register("2001:db8:7:1::1", n).status == 201
# Whoever is on this machine has no limit.
assert {register(("127.0.0.2", "::1")[i % 2], n).status for i in range(42)} == {201}
PY
}

@test "max_connections_per_user: one more is 429 with Retry-After, on /ws and /events, from wherever; who leaves makes room" {
    py - <<'PY'
from proxied import *
n = "strict"
alice, bob = member("203.0.113.77", n), member("203.0.113.78", n)
two = [online(alice, f"192.0.2.{i}", n) for i in range(2)]
for path in ("/ws", "/events"):
    status, fields = online(alice, "192.0.2.3", n, path)
    assert status == 429 and int(fields["retry-after"]) > 0, (status, fields)
assert isinstance(online(bob, "192.0.2.0", n), socket.socket)
assert one("192.0.2.3", head("GET", "/users", token=alice.token), "GET", n).status == 200
two.pop().close()
eventually(lambda: isinstance(online(alice, "192.0.2.3", n), socket.socket))
PY
}

@test "unless it is set, one user, and one address behind a proxy, gets a quarter of max_clients; this machine is no address" {
    py - <<'PY'
from proxied import *
from server import Server
alice, bob = member(), member()
with Server("-o", "max_clients=72", "-o", "trusted_proxies=127.0.0.1", "-o", "proxy_protocol=on") as s:
    def refused(who, address):
        got = online(who, address, s.name)
        return not isinstance(got, socket.socket) and got[0] == 429
    everywhere = [online(alice, f"192.0.2.{i}", s.name) for i in range(18)]
    assert refused(alice, "192.0.2.99") and refused(alice, "127.0.0.1")
    assert not refused(bob, "192.0.2.99")
    everywhere.pop().close()
    eventually(lambda: not refused(alice, "192.0.2.0"))
crowd = [member() for _ in range(19)]
with Server("-o", "max_clients=72", "-o", "trusted_proxies=127.0.0.1", "-o", "proxy_protocol=on") as s:
    there = [online(u, "192.0.2.7", s.name) for u in crowd]
    assert all(isinstance(c, socket.socket) for c in there[:18]) and there[18][0] == 429, there[18]
    here = [online(u, "127.0.0.1", s.name) for u in crowd]
    assert all(isinstance(c, socket.socket) for c in here)
PY
}

# --- floods ---

@test "frame_rate: a flood of frames of any kind gets an error \"flooding\" and close code 4429; nobody else does" {
    py - <<'PY'
from frames import *
calm = Raw(user(instance="slow").token, name="slow")
ping = text({"type": "ping"})
floods = {
    "messages": ping * 400,
    "control frames": frame(PING) * 400,
    "pongs": frame(PONG) * 400,
    "empty parts of a message": frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 400,
    "what draws errors, of which ten would do": text("{") * 10,
    "what is binary": frame(BINARY, b"x") * 10,
}
for what, data in floods.items():
    w = Raw(user(instance="slow").token, name="slow")
    w.send(data)
    got = []
    while not got or got[-1][0] != CLOSE:
        got.append(w.frame())
    assert got[-1][1] == struct.pack("!H", 4429) + b"flooding", (what, got[-1])
    error = json.loads(got[-2][1])
    assert error["data"] == {"code": "flooding", "temporary": False} and error["error"], (what, error)
    assert w.socket.recv(1) == b"", what
# Whoever stays below is served, one after the other.
calm.send(ping * 20)
for _ in range(20):
    assert json.loads(calm.frame()[1])["type"] == "pong"
calm.socket.close()
PY
}

@test "frame_rate: more requests on one connection get 429 with Retry-After, and another connection is served" {
    py - <<'PY'
from rawhttp import *
c = Http("slow")
c.send(head("GET", "/nothing") * 100)
answers = [c.answer() for _ in range(100)]
assert [r.status for r in answers[:20]] == [404] * 20
late = [r for r in answers if r.status == 429]
assert late and all(r.status in (404, 429) for r in answers)
late[0].error(429, "Too many requests on this connection")
assert int(late[0].headers["retry-after"]) > 0
assert ask("GET", "/nothing", name="slow").status == 404
c.close()
PY
}

@test "a session that sends the broker more than its client may lead to is ended alone" {
    py - <<'PY'
from impersonate import *
alice = user(instance="slow")
other = connect(alice.token, "slow")
c = Channel(NEW, alice, "slow")
c.raw(message(TABLE["AUTH"].number, good("AUTH", alice), 2) * 1000)
c.ended()
with open(f"{T}/slow.log") as f:
    assert "ended: more messages than frame_rate allows" in f.read()
other.ping()
other.message(alice.id, "unharmed", "c-1")
assert other.until("ack")["id"] == "c-1"
PY
}

@test "the defaults let through ten thousand messages of one client, as fast as they are stored" {
    server_start default -o presence=off
    py - <<'PY'
from frames import *
alice, bob = user(instance="default"), user(instance="default")
w = Raw(alice.token, name="default")
for n in range(0, 10000, 100):
    w.send(b"".join(text({"type": "message", "id": f"{n + i}", "content": "x", "data": {"receiver_id": bob.id}})
                    for i in range(100)))
    if n:
        for i in range(100):
            assert json.loads(w.frame()[1])["type"] == "ack"
for i in range(100):
    assert json.loads(w.frame()[1])["type"] == "ack"
w.usable()
PY
    server_stop default
}

# --- trickling ---

@test "header_timeout and body_timeout are for all of it: who trickles gets 408, in the first request and in a later one" {
    py - <<'PY'
from rawhttp import *
import select
def trickles(c, method, start, piece):
    c.send(start)
    for _ in range(90):
        c.send(piece)
        if select.select([c.socket], [], [], 0.1)[0]:
            break
    else:
        raise AssertionError(f"9 s for what may take 0.3 s: {start!r}")
    assert c.answer(method).error(408).headers["connection"] == "close"
    c.ended()
json_ = {"Content-Type": "application/json"}
chunked = head("POST", "/login", {**json_, "Transfer-Encoding": "chunked"})
for method, start, piece in (("GET", "GET /nothing HTTP/1.1\r\n", "X: y\r\n"), ("GET", "GET", "x"),
                             ("POST", head("POST", "/login", {**json_, "Content-Length": 1000}), "x"),
                             ("POST", chunked, "1\r\nx\r\n"), ("POST", chunked + "0\r\n", "T: x\r\n")):
    trickles(Http("hasty"), method, start, piece)
    later = Http("hasty").send(head("GET", "/nothing"))
    later.answer().error(404)
    trickles(later, method, start, piece)
PY
}

# --- pages of other origins ---

@test "Origin: a table of who may read answers, and who may come online by /ws and /events" {
    server_start production -o mode=production -o 'cors_origins=https://a.example, https://B.Example:8443'
    py - <<'PY'
from rawhttp import *
import frames
n, host = "production", "chat.example:8080"
t = user(instance=n).token
#   Origin                                listed  may come online
table = [
    (["https://a.example"],               True,  True),
    (["https://b.example:8443"],          True,  True),
    (["HTTPS://A.EXAMPLE"],               True,  True),      # scheme and host are the same in any case
    ([],                                  False, True),      # no browser
    (["http://chat.example:8080"],        False, True),      # our own page
    (["https://Chat.Example:8080"],       False, True),      # a proxy may end TLS
    (["http://chat.example"],             False, False),
    (["http://chat.example:80800"],       False, False),
    (["null"],                            False, False),
    (["http://a.example"],                False, False),
    (["https://a.example:443"],           False, False),     # browsers leave it out
    (["https://a.example:8443"],          False, False),
    (["https://b.example"],               False, False),
    (["https://a.example.evil.example"],  False, False),
    (["https://xa.example"],              False, False),
    (["https://a.exampl"],                False, False),
    (["https://a.example/"],              False, False),
    (["https://a.example, https://b.example:8443"], False, False),
    (["https://a.example", "https://evil.example"], False, False),
    (["https://evil.example", "https://a.example"], False, False),
    (["*"],                               False, False),
    ([""],                                False, False),
    (["ftp://chat.example:8080"],         False, False),
]
for origins, listed, comes in table:
    fields = [f"Host: {host}", *(f"Origin: {o}" for o in origins)]
    for r in (ask("GET", "/users", fields, t, n), ask("OPTIONS", "/login", fields, name=n), ask("GET", "/nothing", fields, name=n)):
        got = r.headers.get("access-control-allow-origin")
        assert got == (origins[0] if listed else None), (origins, r.fields)
        assert r.headers["vary"] == "Origin" and "access-control-allow-credentials" not in r.headers, (origins, r.fields)
    refused = b"HTTP/1.1 400" if len(origins) > 1 else b"HTTP/1.1 403"
    c = Http(n)
    c.send(head("GET", "/events", [*fields, "Connection: close"], t))
    assert c.socket.recv(12) == (b"HTTP/1.1 200" if comes else refused), origins
    c.close()
    c = Http(n)
    c.send(head("GET", "/ws", [*fields, "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {frames.KEY}",
                               "Sec-WebSocket-Version: 13"], t))
    assert c.socket.recv(12) == (b"HTTP/1.1 101" if comes else refused), origins
    c.close()
PY
    server_stop production
    server_start open -o mode=production -o 'cors_origins=*'
    py - <<'PY'
from rawhttp import *
t = user(instance="open").token
for origin in ("https://anything.example", "null"):
    r = ask("GET", "/users", {"Origin": origin}, t, "open")
    assert r.headers["access-control-allow-origin"] == "*" and "vary" not in r.headers
    assert connect(t, "open", headers={"Origin": origin}).close() == 1000
PY
    server_stop open
}
