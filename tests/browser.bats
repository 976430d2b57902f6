#!/usr/bin/env bats
# What a page of a browser, which sees no status and can set no field, learns of a handshake that is
# refused; and the auth frame, by which it signs in and renews its token (lib/page.py).

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    # No presence: nothing comes that a test did not ask for. And a long lease, the same for all, since
    # a host is silent for as long as its lease allows: listeners read what rings, and nothing else.
    local options=(-o presence=off -o presence_lease=1h)
    server_start main "${options[@]}"
    server_start strict "${options[@]}" -o mode=production -o cors_origins=https://a.example
    server_start single "${options[@]}" -o max_connections_per_user=1
    server_start hasty "${options[@]}" -o request_timeout=1s -o login_delay=0
    server_start impatient "${options[@]}" -o header_timeout=1s
}

teardown_file() {
    server_teardown_file
}

# --- handshakes that are refused ---

@test "a page whose token is no good: 101, then close code 4401 with a reason, and nothing was opened" {
    py - <<'PY'
from page import *
from tokens import *
u, gone = user(), user()
assert api("POST", "/logout", token=gone.token)[0] == 204
bad = ["nonsense", "", "..", u.token[:-3], "x" * 6000, gone.token, token(claims(u, exp=NOW - 1))]
for t in bad:
    assert "log in again" in Page(t).ends(4401), t
assert not is_online(u) and not is_online(gone)
c = page(gone.token)
assert c.closed() == 4401 and c.socket.close_reason, c.socket.close_reason
# What follows the handshake is not served.
p = Page("nonsense", more=text({"type": "ping"}) + text(auth_frame(u.token)))
p.ends(4401)
p = Page(u.token)
p.usable()
assert is_online(u)
PY
}

@test "a page of a disabled account, or of an origin that may not connect: close code 4403 with a reason" {
    py - <<'PY'
from page import *
u = user()
sql(f"select user_disable('{u.name}')")
assert "disabled" in Page(u.token).ends(4403)
v = user(instance="strict")
for origin in "https://evil.example", "null", "https://a.example:444":
    for t in v.token, "nonsense", None:
        assert "cors_origins" in Page(t, "strict", fields={"Origin": origin}).ends(4403), (origin, t)
Page(v.token, "strict", fields={"Origin": "https://a.example"}).usable()
PY
}

@test "an account is disabled, or the broker dies, while handshakes wait: what comes after it decides" {
    py - <<'PY'
from page import *
from server import *
n = "main"
REQUESTS = [lambda u: handshake(None, {"Sec-WebSocket-Protocol": f"chatd.v1, bearer.{u.token}"}),
            lambda u: handshake(u.token),
            lambda u: f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {u.token}\r\n\r\n".encode()]
def waiting(u):
    """Connections whose token was good, and that are to be registered as online."""
    connections = [raw(request(u), n) for request in REQUESTS]
    eventually(lambda: len(children(f"session {u.name} ", n)) == len(connections))
    writer_waits("session")
    return connections
def statuses(connections):
    return [Answer(c).status for c in connections]

# The first time that a broker reads who is disabled, it waits for all changes; so let this be the second.
first, u, v = (user(instance=n) for _ in range(3))
c = page(first.token, n)
sql(f"select user_disable('{first.name}')")
assert c.closed() == 4403
with locked("sessions", "share"):
    with held(f"select user_disable('{u.name}')"):
        connections = waiting(u)
    # The account is disabled, and its registrations still wait.
    got = statuses(connections)
    assert got == [101, 403, 403], got
    assert connections[0].recv(4)[2:] == struct.pack("!H", 4403)
with locked("sessions", "share"):
    connections = waiting(v)
    [broker] = children("broker", n)
    os.kill(broker, signal.SIGKILL)
got = statuses(connections)
assert got == [101, 101, 200], got
PY
}

@test "a page for which there is no room, or that no broker answers: close code 1013 with a reason" {
    py - <<'PY'
from page import *
from server import *
u, v = user(instance="single"), user(instance="hasty")
first = Page(u.token, "single")
assert "close one" in Page(u.token, "single").ends(1013)
first.usable()
[broker] = children("broker", "hasty")
os.kill(broker, signal.SIGSTOP)
try:
    assert "try again" in Page(v.token, "hasty").ends(1013)
finally:
    os.kill(broker, signal.SIGCONT)
Page(v.token, "hasty").usable()
PY
}

@test "a token in Authorization gets the status, chatd.v1 or not; what is no handshake gets it, too" {
    py - <<'PY'
from page import *
u, v, w = user(), user(instance="strict"), user(instance="single")
sql(f"select user_disable('{u.name}')")
offers = [None, {"Sec-WebSocket-Protocol": "chatd.v1"}, {"Sec-WebSocket-Protocol": "chatd.v1, bearer.x"}]
held = connect(w.token, "single")
for fields in offers:
    assert ask("nonsense", fields).status == 401
    assert ask(u.token, fields).status == 403
    evil = {"Origin": "https://evil.example", **(fields or {})}
    assert ask(v.token, evil, "strict").status == 403
    a = ask(w.token, fields, "single")
    assert a.status == 429 and "retry-after" in a.fields
    assert ask(None, {"Authorization": f"Basic {v.token}", **(fields or {})}).status == 401
held.ping()
# Without our subprotocol there is nothing to select: the status, as ever.
for offer in None, "chatd.v2", "Chatd.v1":
    assert ask(None, {"Sec-WebSocket-Protocol": offer}).status == 401
    assert ask(None, {"Sec-WebSocket-Protocol": offer, "Origin": "https://evil.example"}, "strict").status == 403
for fields, status in [({"Sec-WebSocket-Key": "short"}, 400), ({"Sec-WebSocket-Key": None}, 400),
                       ({"Sec-WebSocket-Version": "8"}, 426), ({"Upgrade": None}, 426),
                       ({"Sec-WebSocket-Extensions": ";"}, 400)]:
    for offer in "chatd.v1", "chatd.v1, bearer.nonsense":
        assert ask(None, {"Sec-WebSocket-Protocol": offer, **fields}).status == status, (fields, offer)
PY
}

# --- signing in by a frame ---

@test "a page opens without a token and sends it first: it is answered, and only then is the user online" {
    py - <<'PY'
from page import *
alice, bob = user(), user()
b = connect(bob.token)
p = Page()
p.send(frame(PING, b"alive"))
assert p.frame() == (PONG, b"alive")
assert not is_online(alice)
p.auth(alice.token, "a-1")
p.signed_in(alice, "a-1")
assert is_online(alice)
p.say({"type": "message", "id": "m-1", "content": "from a page", "data": {"receiver_id": bob.id}})
assert p.json()["type"] == "ack"
got = b.until("message")
assert got["content"] == "from a page" and got["data"]["sender_id"] == alice.id
b.message(alice.id, "to a page")
assert p.json()["content"] == "to a page"
p.usable()
assert children(f"session {alice.name} ")
# Without an id, and with the client library.
c = page()
c.send(auth_frame(bob.token))
assert c.expect("authenticated").keys() == {"type", "data"}
c.message(alice.id, "hello", "c-1")
assert c.until("ack")["id"] == "c-1"
PY
}

@test "what a page sends behind its auth frame waits for the answer, in one packet or in any pieces" {
    py - <<'PY'
from page import *
u = user()
behind = text(auth_frame(u.token, "a")) + text({"type": "ping", "id": "1"}) + frame(PING, b"2") + \
    text({"type": "message", "id": "3", "content": "x" * 20000, "data": {"receiver_id": 2**40}})
for whole in True, False:
    p = Page(more=behind if whole else b"")
    rest = b"" if whole else behind
    while rest:
        n = dice.randrange(1, 40)
        p.send(rest[:n])
        rest = rest[n:]
    p.signed_in(u, "a")
    assert p.json() == {"type": "pong", "id": "1"}
    assert p.frame() == (PONG, b"2")
    p.error("too_large", "3")
    p.usable()
PY
}

@test "the cursor of the URL counts from the auth frame on: what was missed, resumed, what is live" {
    py - <<'PY'
from page import *
alice, bob = user(), user()
b, cursor = connect(bob.token), cursor_of(alice)
def send(content):
    b.message(alice.id, content, content)
    assert b.until("ack")["id"] == content
send("missed 1"), send("missed 2")
p = Page(path=f"/ws?cursor={cursor}")
send("missed 3")
p.auth(alice.token)
p.signed_in(alice)
assert [p.json()["content"] for _ in range(3)] == ["missed 1", "missed 2", "missed 3"]
got = p.json()
assert got["type"] == "resumed" and got["data"]["recovered"], got
send("live")
assert p.json()["content"] == "live"
for text_, recovered in (("", True), ("nobody-s", False), ("x" * 65, False), ("x" * 3000, False)):
    p = Page(path=f"/ws?cursor={text_}")
    p.auth(alice.token)
    p.signed_in(alice)
    got = p.json()
    assert got["type"] == "resumed" and got["data"]["recovered"] == recovered, (text_, got)
p = Page()
p.auth(alice.token)
p.signed_in(alice)
p.usable()              # nobody asked where it is
PY
}

@test "before it is known who sends it nothing is served but auth and control frames: an error, then 4401" {
    py - <<'PY'
from page import *
u = user()
before = sql("select count(*) from messages")
for sent, code in [({"type": "message", "id": "i", "content": "x", "data": {"receiver_id": u.id}}, "unauthorized"),
                   ({"type": "resume", "id": "i", "data": {"cursor": ""}}, "unauthorized"),
                   ({"type": "ping", "id": "i"}, "unauthorized"), ({"type": "login", "id": "i"}, "unknown_type"),
                   ({"type": "auth", "id": "i"}, "bad_field"), ({"type": "auth", "id": "i", "data": []}, "bad_field"),
                   ({"type": "auth", "id": "i", "data": {}}, "bad_field"),
                   ({"type": "auth", "id": "i", "data": {"token": None}}, "bad_field"),
                   ({"type": "auth", "id": "i", "data": {"token": ""}}, "bad_field"),
                   ({"type": "auth", "id": "i", "data": {"token": [u.token]}}, "bad_field"),
                   ({"type": "auth", "id": "i", "token": u.token}, "bad_field"),
                   ({"type": "auth", "id": "i", "data": {"token": "x" * 8193}}, "unauthorized")]:
    p = Page(more=text(sent) + text(auth_frame(u.token)))
    p.error(code, "i")
    assert "auth frame" in p.ends(4401), sent
for data, code in [(text("no JSON"), "bad_json"), (text('["auth"]'), "bad_json"), (frame(BINARY, b"{}"), "bad_frame"),
                   (text(auth_frame("x" * 17000)), "too_large")]:
    p = Page()
    p.send(data)
    p.error(code)
    p.ends(4401)
assert sql("select count(*) from messages") == before and not is_online(u)
# What is none of RFC 6455 ends as ever, and so does a client's own close.
for data, code in ((frame(TEXT, b"{", rsv=1), 1002), (text(b"\xff"), 1007), (close_frame(1000), 1000)):
    p = Page()
    p.send(data)
    p.fails(code, hang_up=False)
PY
}

@test "a first token that is no good: 4401, of a disabled account: 4403, no room or no broker: 1013" {
    py - <<'PY'
from page import *
from server import *
from tokens import token, claims, NOW
u, v, w = user(), user(instance="single"), user(instance="hasty")
def refused(t, code, name="main"):
    p = Page(name=name)
    p.auth(t)
    reason = p.ends(code)
    assert reason, (t, code)
    return reason
for bad in "nonsense", u.token[:-3], token(claims(u, exp=NOW - 1)):
    assert "log in again" in refused(bad, 4401)
assert api("POST", "/logout", token=u.token)[0] == 204
refused(u.token, 4401)
u.token = api("POST", "/login", {"username": u.name, "password": password()})[1]["token"]
sql(f"select user_disable('{u.name}')")
assert "disabled" in refused(u.token, 4403)
held = connect(v.token, "single")
assert "close one" in refused(v.token, 1013, "single")
held.ping()
[broker] = children("broker", "hasty")
os.kill(broker, signal.SIGSTOP)
try:
    assert "try again" in refused(w.token, 1013, "hasty")
finally:
    os.kill(broker, signal.SIGCONT)
PY
}

@test "header_timeout: without an auth frame 4408, whatever trickles in" {
    py - <<'PY'
from page import *
import contextlib
import threading
u = user(instance="impatient")
assert "header_timeout" in Page(name="impatient").ends(4408)
p = Page(name="impatient")
p.send(text(auth_frame(u.token))[:-1])
p.ends(4408)
p = Page(name="impatient")
over = threading.Event()
def trickle():
    with contextlib.suppress(OSError):
        while not over.wait(0.02):
            p.send(frame(PONG))
t = threading.Thread(target=trickle)
t.start()
try:
    p.ends(4408)
finally:
    over.set()
    t.join()
# Who has signed in may be silent for longer.
p = Page(name="impatient")
p.auth(u.token)
p.signed_in(u)
Page(name="impatient").ends(4408)
p.usable()
PY
}

@test "before it has signed in a connection costs the broker nothing, and counts among its address's clients" {
    server_start few -o presence=off -o max_clients_per_address=3 -o min_spare=1 -o max_spare=1
    py - <<'PY'
from page import *
u = user(instance="few")
eventually(lambda: not children("session", "few"))
pages = [Page(name="few") for _ in range(3)]
for p in pages:
    p.send(frame(PING))
    assert p.frame() == (PONG, b"")
[alone] = {sockets(pid) for pid in children("session - ", "few")}
assert Answer(raw(handshake(None, {"Sec-WebSocket-Protocol": "chatd.v1"}), "few")).status == 503
pages[0].auth(u.token)
pages[0].signed_in(u)
[pid] = children(f"session {u.name} ", "few")
assert sockets(pid) == alone + 1        # now there is a channel
pages[1].send(close_frame(1000))
pages[1].fails(1000)
# Its place is free as soon as the master has noticed.
eventually(lambda: Answer(raw(handshake(None, {"Sec-WebSocket-Protocol": "chatd.v1"}), "few")).status == 101)
PY
    server_stop few
}

@test "an earlier request of the same connection says nothing of who opens the WebSocket" {
    py - <<'PY'
from page import *
alice, bob = user(), user()
for token in (None, bob.token):
    s = raw(f"GET /users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice.token}\r\n\r\n".encode())
    assert Answer(s).status == 200
    s.sendall(handshake(None, {"Sec-WebSocket-Protocol": "chatd.v1"}))
    p = Page.__new__(Page)
    p.socket, p.answer = s, Answer(s)
    assert p.answer.status == 101
    if token:
        p.auth(token)
        p.signed_in(bob)
    else:
        p.say({"type": "message", "content": "x", "data": {"receiver_id": bob.id}})
        p.error("unauthorized")
        p.ends(4401)
PY
}

@test "a broker that dies while a page signs in: the next one is asked, from the cursor of the URL" {
    py - <<'PY'
from page import *
from server import *
alice, bob = user(), user()
b, cursor = connect(bob.token), cursor_of(alice)
b.message(alice.id, "missed", "m")
b.until("ack")
before = set(children("session - "))
p = Page(path=f"/ws?cursor={cursor}")
[pid] = set(children("session - ")) - before
alone = sockets(pid)
[broker] = children("broker")
os.kill(broker, signal.SIGSTOP)
p.auth(alice.token, "a")
eventually(lambda: sockets(pid) > alone)
os.kill(broker, signal.SIGKILL)
p.signed_in(alice, "a")
assert p.json()["content"] == "missed"
assert p.json()["type"] == "resumed"
p.usable()
PY
}

@test "the server stops: a page that has not signed in is told 1012" {
    server_start brief -o presence=off
    py - <<'PY'
from page import *
from server import *
p = Page(name="brief")
p.send(frame(PING))
assert p.frame() == (PONG, b"")
os.kill(int(open(f"{T}/brief.pid").read()), signal.SIGTERM)
p.ends(1012)
PY
    server_stop brief
}

# --- renewing a token ---

@test "an auth frame renews the token of an open connection: it outlives the first one, or ends before it" {
    py - <<'PY'
from page import *
from tokens import *
u = user()
def lasting(seconds):
    return token(claims(u, exp=int(time.time()) + seconds))
short = lasting(3)
renewed, first, dropped = Page(short), Page(), Page(short)
first.auth(short)
first.signed_in(u)
renewed.auth(u.token, "r-1")
renewed.signed_in(u, "r-1")
first.auth(lasting(3600), "r-2")
first.signed_in(u, "r-2")
assert dropped.ends(4401) == "token expired"
renewed.usable(), first.usable()
renewed.auth(lasting(2))
renewed.signed_in(u)
assert renewed.ends(4401) == "token expired"
first.usable()
# By whichever way a client has come.
short = lasting(3)
c, dropped = connect(short), Page(short)
c.send(auth_frame(u.token, "r-3"))
assert c.expect("authenticated")["id"] == "r-3"
dropped.ends(4401)
c.message(u.id, "still here", "m")
assert c.until("ack")["id"] == "m"
PY
}

@test "a renewal with the token of another user, or with one that is no good: an error, and all stays as it was" {
    py - <<'PY'
from page import *
from tokens import *
u, other, gone = user(), user(), user()
assert api("POST", "/logout", token=gone.token)[0] == 204
p = Page(u.token)
p.auth(other.token, "r")
got = p.error("other_user", "r")
assert "another user" in got["error"] and not got["data"]["temporary"], got
bad = ["nonsense", u.token[:-3], "x" * 8192, "x" * 8193, gone.token, token(claims(u, exp=NOW - 1)),
       token(claims(u, gen=None))]
for t in bad:
    p.auth(t, "r")
    assert not p.error("unauthorized", "r")["data"]["temporary"]
for data in None, [], {}, {"token": None}, {"token": ""}, {"token": 7}:
    p.say({"type": "auth", "id": "r", "data": data})
    p.error("bad_field", "r")
sql(f"select user_disable('{other.name}')")
p.auth(other.token)
assert p.json()["type"] == "error"
p.say({"type": "message", "id": "m", "content": "as whom?", "data": {"receiver_id": u.id}})
got = [p.json(), p.json()]
assert {f["type"] for f in got} == {"ack", "message"}, got
assert next(f for f in got if f["type"] == "message")["data"]["sender_id"] == u.id
assert len(children(f"session {u.name} ")) == 1
# What makes the tokens of the user void ends the connection, renewed or not.
p.auth(u.token)
p.signed_in(u)
assert api("POST", "/logout", token=u.token)[0] == 204
p.ends(4401)
PY
}

@test "renewals are looked at one at a time, and only some in a minute: errors, and the connection stays" {
    py - <<'PY'
from page import *
from server import *
u = user()
p = Page(u.token)
[broker] = children("broker")
os.kill(broker, signal.SIGSTOP)
try:
    p.auth(u.token, "first"), p.auth(u.token, "second"), p.auth("nonsense", "third")
    p.error("bad_state", "second")
    p.error("bad_state", "third")
    p.usable()
finally:
    os.kill(broker, signal.SIGCONT)
p.signed_in(u, "first")
taken = 1
while True:
    good = taken % 2
    p.auth(u.token if good else "nonsense", "n")
    got = p.json()
    if not good and got["data"]["code"] == "too_many" or good and got["type"] == "error":
        break
    assert got["type"] == ("authenticated" if good else "error"), got
    taken += 1
assert got["data"] == {"code": "too_many", "temporary": True} and got["id"] == "n", got
assert 20 <= taken < 60, taken
p.usable()
Page(u.token).usable()
PY
}

@test "frame_rate: an auth frame counts as eleven, whatever the answer; a flood ends with 4429" {
    server_start slow -o presence=off -o frame_rate=100
    py - <<'PY'
from page import *
u = user(instance="slow")
for t in u.token, "nonsense":
    p = Page(u.token, "slow")
    p.send(text(auth_frame(t)) * 30)
    while (got := p.frame())[0] == TEXT:
        last = json.loads(got[1])
    assert last["data"]["code"] == "flooding", last
    assert got == (CLOSE, struct.pack("!H", 4429) + b"flooding"), got
p = Page(u.token, "slow")
p.auth(u.token)
p.signed_in(u)
PY
    server_stop slow
}

@test "a broker that dies while it looks at a new token: the next one is asked, and until then the old one counts" {
    py - <<'PY'
from page import *
from server import *
from tokens import *
u = user()
def stopped():
    [broker] = children("broker")
    os.kill(broker, signal.SIGSTOP)
    return broker
p, q = Page(u.token), Page(u.token)
broker = stopped()
p.auth("nonsense", "r"), q.auth(u.token, "r")
p.usable(), q.usable()
os.kill(broker, signal.SIGKILL)
p.error("unauthorized", "r")
q.signed_in(u, "r")
p.usable(), q.usable()
# The token that was taken is the one that is shown from then on.
short = token(claims(u, exp=int(time.time()) + 3))
kept, dropped = Page(short), Page(short)
kept.auth(u.token)
kept.signed_in(u)
dropped.ends(4401)
for c in p, q:
    c.send(close_frame(1000))
    c.fails(1000)
os.kill(stopped(), signal.SIGKILL)
kept.say({"type": "message", "id": "m", "content": "after", "data": {"receiver_id": u.id}})
got = {kept.json()["type"], kept.json()["type"]}
assert got == {"ack", "message"}, got
PY
}
