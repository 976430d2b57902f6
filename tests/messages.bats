#!/usr/bin/env bats
# Messages between people: sending, receiving, acknowledgement, history; and that a broker which
# dies loses none and repeats none.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    # No presence: nothing comes that a test did not ask for. "two" is another host.
    server_start main -o presence=off
    server_start two -o presence=off -o max_content=64k -o max_message=512k
}

teardown_file() {
    server_teardown_file
}

@test "a message reaches its receiver as a frame with all members" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a = connect(alice.token)
b = connect(bob.token)
a.message(bob.id, "Hello!")
f = b.expect("message")
assert set(f) == {"type", "content", "data"} and f["content"] == "Hello!"
d = f["data"]
assert set(d) == {"message_id", "conversation_id", "sender_id", "sender", "receiver_id", "created_at", "cursor"}
assert (d["sender_id"], d["sender"], d["receiver_id"]) == (alice.id, alice.name, bob.id)
assert d["created_at"].endswith("Z") and len(d["created_at"]) == 24
assert isinstance(d["message_id"], int) and isinstance(d["cursor"], str) and d["cursor"]
status, history = api("GET", f"/messages/{alice.id}", token=bob.token)
assert status == 200 and history == [{"id": d["message_id"], "conversation_id": d["conversation_id"],
                                      "sender_id": alice.id, "receiver_id": bob.id, "content": "Hello!",
                                      "created_at": d["created_at"]}]
PY
}

@test "without an id there is no ack: the sender hears nothing of its own message" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
a.message(bob.id, "one")
b.expect("message")
a.silent()
PY
}

@test "with an id the sender gets an ack after COMMIT: the row is there for everybody" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a = connect(alice.token)
for i in range(20):
    a.message(bob.id, f"content {i}", f"c-{i}")
    f = a.expect("ack")
    assert set(f) == {"type", "id", "data"} and set(f["data"]) == {"message_id", "cursor", "duplicate"}
    assert f["id"] == f"c-{i}" and f["data"]["duplicate"] is False
    assert sql(f"select content from messages where id = {f['data']['message_id']}") == f"content {i}"
PY
}

@test "a message reaches every connection of the receiver, and the sender's others but not the one" {
    py - <<'PY'
from chat import *
alice, bob, carol = user(), user(), user()
a = [connect(alice.token), connect(alice.token, "two"), connect(alice.token)]
b = [connect(bob.token), connect(bob.token), connect(bob.token, "two")]
c = connect(carol.token)
a[0].message(bob.id, "first", "c-1")
got = [x.expect("message") for x in b + a[1:]]
assert all(f == got[0] for f in got)
assert a[0].expect("ack")["data"]["message_id"] == got[0]["data"]["message_id"]
assert got[0]["content"] == "first"
# Whatever comes next on the sending connection is not a copy of the first message.
a[1].message(bob.id, "second")
assert a[0].expect("message")["content"] == "second"
for x in b:
    assert x.expect("message")["content"] == "second"
# Somebody else saw neither: the first that comes is carol's own.
b[0].message(carol.id, "for carol")
assert c.expect("message")["content"] == "for carol"
PY
}

@test "a message to oneself reaches all connections, and is acknowledged once" {
    py - <<'PY'
from chat import *
u = user()
a, b = connect(u.token), connect(u.token)
a.message(u.id, "note", "c-1")
frames = sorted([a.recv(), a.recv()], key=lambda f: f["type"])
assert [f["type"] for f in frames] == ["ack", "message"], frames
assert frames[1]["data"]["message_id"] == frames[0]["data"]["message_id"]
assert b.expect("message") == frames[1]
assert frames[1]["data"]["sender_id"] == frames[1]["data"]["receiver_id"] == u.id
a.message(u.id, "end", "c-2")
assert {a.recv()["type"], a.recv()["type"]} == {"ack", "message"}
assert b.expect("message")["content"] == "end"
assert [m["content"] for m in api("GET", f"/messages/{u.id}", token=u.token)[1]] == ["note", "end"]
PY
}

@test "500 pipelined messages of several senders: one order for all, that of the ids" {
    py - <<'PY'
from chat import *
bob = user()
senders = [user() for _ in range(5)]
b = [connect(bob.token), connect(bob.token), connect(bob.token, "two")]
s = [connect(u.token, ["main", "two"][i % 2]) for i, u in enumerate(senders)]
def talk(i):
    for n in range(100):
        s[i].message(bob.id, f"{i} {n}", f"{i}-{n}")
threads = [threading.Thread(target=talk, args=(i,)) for i in range(5)]
for t in threads:
    t.start()
got = [[x.expect("message") for _ in range(500)] for x in b]
for t in threads:
    t.join()
order = [[(f["data"]["message_id"], f["content"]) for f in x] for x in got]
assert order[0] == order[1] == order[2]
ids = [i for i, _ in order[0]]
assert ids == sorted(set(ids))
for i in range(5):
    assert [c for _, c in order[0] if c.startswith(f"{i} ")] == [f"{i} {n}" for n in range(100)]
    acks = [s[i].expect("ack") for _ in range(100)]
    assert [a["id"] for a in acks] == [f"{i}-{n}" for n in range(100)]
    by_id = dict(order[0])
    assert all(by_id[a["data"]["message_id"]] == f"{i} {n}" for n, a in enumerate(acks))
    history = api("GET", f"/messages/{bob.id}", token=senders[i].token)[1]
    assert [m["content"] for m in history] == [f"{i} {n}" for n in range(50, 100)]
    assert [m["id"] for m in history] == [a["data"]["message_id"] for a in acks[50:]]
PY
}

@test "acks come in the order of sending, duplicates and refusals among them" {
    py - <<'PY'
from chat import *
u, v = user(), user()
a = connect(u.token)
for i in range(300):
    a.message(v.id if i % 7 else v.id + 1000000, f"m {i % 50}", f"i-{i % 50}-{i % 7 == 0}")
frames = [a.recv() for _ in range(300)]
assert [f["id"] for f in frames] == [f"i-{i % 50}-{i % 7 == 0}" for i in range(300)]
assert all((f["type"] == "error") == (i % 7 == 0) for i, f in enumerate(frames))
PY
}

@test "the same id again: the same message_id and duplicate true, here, later, and on another host" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
b = connect(bob.token)
a = connect(alice.token)
a.message(bob.id, "once", "c-1")
first = a.expect("ack")["data"]
assert b.expect("message")["data"]["message_id"] == first["message_id"]
def again(c):
    c.message(bob.id, "once", "c-1")
    f = c.expect("ack")
    assert f["id"] == "c-1" and f["data"] == {**first, "duplicate": True}, f
again(a)
a.close()
again(connect(alice.token))
again(connect(alice.token, "two"))
# Nothing was delivered again, and another user's id is another message.
b.message(alice.id, "once", "c-1")
f = b.expect("ack")
assert f["data"]["duplicate"] is False and f["data"]["message_id"] != first["message_id"]
assert sql(f"select count(*) from messages where sender_id = {alice.id}") == "1"
PY
}

@test "the same id at once from connections on two hosts: one message, one that is not a duplicate" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
b = connect(bob.token)
cs = [connect(alice.token, name) for name in ["main", "two", "main", "two"]]
threads = []
for n in range(30):
    group = [threading.Thread(target=c.message, args=(bob.id, f"m {n}", f"c-{n}")) for c in cs]
    for t in group:
        t.start()
    for t in group:
        t.join()
acks = [[] for _ in cs]
for i, c in enumerate(cs):
    acks[i] = [c.until("ack") for _ in range(30)]
for n in range(30):
    data = [x[n]["data"] for x in acks]
    assert len({d["message_id"] for d in data}) == 1, data
    assert sorted(d["duplicate"] for d in data) == [False, True, True, True], data
assert [b.expect("message")["content"] for _ in range(30)] == [f"m {n}" for n in range(30)]
b.silent()
PY
}

@test "the same id with other content or another receiver: an error conflict, and the first stays" {
    py - <<'PY'
from chat import *
alice, bob, carol = user(), user(), user()
a = connect(alice.token)
a.message(bob.id, "one", "c-1")
first = a.expect("ack")["data"]
for receiver, content in [(bob.id, "two"), (carol.id, "one"), (bob.id, "ONE"), (bob.id, "one ")]:
    for c in [a, connect(alice.token, "two")]:
        c.message(receiver, content, "c-1")
        e = c.until("error")
        assert e["id"] == "c-1" and e["data"] == {"code": "conflict", "temporary": False} and e["error"], e
a.message(bob.id, "one", "c-1")
assert a.expect("ack")["data"] == {**first, "duplicate": True}
assert sql(f"select string_agg(content, ',') from messages where sender_id = {alice.id}") == "one"
# Both in one batch.
a.send(json.dumps({"type": "message", "id": "c-2", "content": "x", "data": {"receiver_id": bob.id}}))
a.send(json.dumps({"type": "message", "id": "c-2", "content": "y", "data": {"receiver_id": bob.id}}))
assert [a.recv()["type"] for _ in range(2)] == ["ack", "error"]
PY
}

@test "psql insert into messages is delivered live, with several rows in one statement too" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a, b, b2 = connect(alice.token), connect(bob.token), connect(bob.token, "two")
sql(f"insert into messages (sender_id, receiver_id, content) values ({alice.id}, {bob.id}, 'by hand')")
for c in [a, b, b2]:
    f = c.expect("message")
    assert f["content"] == "by hand" and f["data"]["sender"] == alice.name
sql("insert into messages (sender_id, receiver_id, content) select "
    f"{alice.id}, {bob.id}, 'row ' || n from generate_series(1, 600) n")
for c in [a, b, b2]:
    assert [c.expect("message")["content"] for _ in range(600)] == [f"row {n}" for n in range(1, 601)]
# In one transaction of several statements.
sql(f"begin; insert into messages (sender_id, receiver_id, content) values ({alice.id}, {bob.id}, 'x'); "
    f"insert into messages (sender_id, receiver_id, content) values ({bob.id}, {alice.id}, 'y'); commit")
assert [b.expect("message")["content"] for _ in range(2)] == ["x", "y"]
assert [a.expect("message")["content"] for _ in range(2)] == ["x", "y"]
PY
}

@test "an INSERT that is rolled back is delivered to nobody, and nothing after it is missed" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
b = connect(bob.token)
insert = f"insert into messages (sender_id, receiver_id, content) values ({alice.id}, {bob.id}, "
sql(f"begin; {insert} 'never'); rollback")
sql(f"{insert} 'after')")
assert b.expect("message")["content"] == "after"
PY
}

@test "an offline receiver finds the message in the history, not as a frame when it connects" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a = connect(alice.token)
a.message(bob.id, "while you were out", "c-1")
id_ = a.expect("ack")["data"]["message_id"]
b = connect(bob.token)
b.send({"type": "ping"})
b.expect("pong")
a.message(bob.id, "live")
assert b.expect("message")["content"] == "live"
history = api("GET", f"/messages/{alice.id}", token=bob.token)[1]
assert [m["content"] for m in history] == ["while you were out", "live"] and history[0]["id"] == id_
PY
}

@test "GET /messages/:userId: the last 50 between the two, oldest first, both ways, nobody else's" {
    py - <<'PY'
from chat import *
alice, bob, carol = user(), user(), user()
sql("insert into messages (sender_id, receiver_id, content) select "
    f"case when n % 2 = 0 then {alice.id} else {bob.id} end, case when n % 2 = 0 then {bob.id} else {alice.id} end, "
    "'n ' || n from generate_series(1, 60) n")
sql(f"insert into messages (sender_id, receiver_id, content) values ({alice.id}, {carol.id}, 'private'), ({carol.id}, {bob.id}, 'private')")
for me, other in [(alice, bob), (bob, alice)]:
    status, h = api("GET", f"/messages/{other.id}", token=me.token)
    assert status == 200 and [m["content"] for m in h] == [f"n {n}" for n in range(11, 61)]
    assert all(set(m) == {"id", "conversation_id", "sender_id", "receiver_id", "content", "created_at"} for m in h)
    assert [m["id"] for m in h] == sorted(m["id"] for m in h)
assert api("GET", f"/messages/{alice.id}", token=user().token) == (200, [])
status, e = api("GET", f"/messages/{carol.id + 1000000}", token=alice.token)
assert status == 404 and e["error"]
PY
}

@test "content of odd characters arrives as it was sent, live and in the history" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
odd = ['"', "\\", "/", "\\u0041", "\b\f\n\r\t", "".join(map(chr, range(1, 32))), "\x7f\x80\x9f", "'; drop table messages; --",
       "$1 %s %n {} {1,2} NULL null", "\u2028\u2029", "\ufeff", "\ufffe\uffff", "\U0001f600\U0010ffff", "e\u0301\u05d0\u202e",
       " ", "  lead and trail  ", "<script>&amp;</script>", "\\x00", "x" * 16384, "\u20ac" * 5461]
for n, content in enumerate(odd):
    a.message(bob.id, content, f"odd-{n}")
    assert b.expect("message")["content"] == content, content
    ack = a.expect("ack")
    a.message(bob.id, content, f"odd-{n}")
    assert a.expect("ack")["data"] == {**ack["data"], "duplicate": True}
assert [m["content"] for m in api("GET", f"/messages/{alice.id}", token=bob.token)[1]] == odd
# Escapes in JSON are the characters that they stand for.
a.send('{"type":"message","content":"\\u0041\\ud83d\\ude00\\/","data":{"receiver_id":%d}}' % bob.id)
assert b.expect("message")["content"] == "A\U0001f600/"
for id_ in ['"', "\\", "\u20ac\U0001f600", "a b", "'", "\x01", "{}", "null"]:
    a.message(bob.id, "x", id_)
    assert a.expect("ack")["id"] == id_
PY
}

@test "content of 64 KiB, where max_content is raised; also where every byte needs an escape" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a, b, b1 = connect(alice.token, "two"), connect(bob.token, "two"), connect(bob.token)
for n, content in enumerate(["x" * 65536, "\u20ac" * 21845, "\x01" * 65536, '"' * 65536]):
    a.message(bob.id, content, f"big-{n}")
    assert a.expect("ack")["data"]["duplicate"] is False
    assert b.expect("message")["content"] == content
    assert b1.expect("message")["content"] == content
a.message(bob.id, "x" * 65537, "too big")
e = a.expect("error")
assert e["id"] == "too big" and e["data"]["code"] == "too_large"
history = api("GET", f"/messages/{alice.id}", token=bob.token)[1]
assert [len(m["content"]) for m in history] == [65536, 21845, 65536, 65536]
PY
}

@test "a receiver that reads slowly misses nothing and gets nothing twice" {
    py - <<'PY'
from frames import *
alice, bob = user(), user()
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(("127.0.0.1", port()))
s.settimeout(WAIT)
s.sendall(handshake(bob.token))
w = Raw.__new__(Raw)
w.socket = s
assert Answer(s).status == 101
sql(f"insert into messages (sender_id, receiver_id, content) select {alice.id}, {bob.id}, n || repeat(' ', 4000) "
    "from generate_series(1, 1500) n")
a = connect(alice.token)
a.message(bob.id, "1501", "c-1")
a.expect("ack")
assert [int(w.json()["content"]) for _ in range(1501)] == list(range(1, 1502))
w.usable()
PY
}

# --- the broker dies ---

@test "kill -9 of the broker: connections stay, what is sent meanwhile is acked and delivered once, in order" {
    py - <<'PY'
from chat import *
import signal
alice, bob = user(), user()
a, b, b2 = connect(alice.token), connect(bob.token), connect(bob.token, "two")
def talk():
    for n in range(600):
        a.message(bob.id, str(n), f"c-{n}")
        if n % 200 == 100:
            [broker] = children("broker")
            os.kill(broker, signal.SIGKILL)
            eventually(lambda: children("broker") not in ([], [broker]))
thread = threading.Thread(target=talk)
thread.start()
acks = [a.expect("ack", 30) for _ in range(600)]
thread.join()
assert [f["id"] for f in acks] == [f"c-{n}" for n in range(600)]
ids = [f["data"]["message_id"] for f in acks]
assert ids == sorted(set(ids))
for c in [b, b2]:
    got = [c.expect("message") for _ in range(600)]
    assert [f["content"] for f in got] == [str(n) for n in range(600)]
    assert [f["data"]["message_id"] for f in got] == ids
assert sql(f"select count(*) from messages where sender_id = {alice.id}") == "600"
b.silent()
PY
}

@test "kill -9 of the broker: what psql inserts meanwhile arrives after, and logins work again" {
    py - <<'PY'
from chat import *
import signal
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
b.message(alice.id, "before")
assert a.expect("message")["content"] == "before"
[broker] = children("broker")
os.kill(broker, signal.SIGKILL)
for n in range(10):
    sql(f"insert into messages (sender_id, receiver_id, content) values ({alice.id}, {bob.id}, 'n {n}')")
assert [b.expect("message")["content"] for _ in range(10)] == [f"n {n}" for n in range(10)]
# The sender's connection gets them as well: it did not send them itself.
assert [a.expect("message")["content"] for _ in range(10)] == [f"n {n}" for n in range(10)]
status, answer = api("POST", "/login", {"username": alice.name, "password": password()})
assert status == 200, (status, answer)
c = connect(answer["token"])
b.message(alice.id, "after")
assert c.expect("message")["content"] == a.expect("message")["content"] == "after"
b.silent()
PY
}

@test "kill -9 of auth workers and spare sessions: they are replaced, logins and connections go on" {
    py - <<'PY'
from chat import *
import signal
u = user()
open_ = connect(u.token)
for title, count in [("auth", 2), ("spare", 4)]:
    eventually(lambda: len(children(title)) >= count)
    old = children(title)
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(set(children(title)) - set(old)) >= count)
    assert api("POST", "/login", {"username": u.name, "password": password()})[0] == 200
    c = connect(u.token)
    open_.message(u.id, title)
    assert c.expect("message")["content"] == open_.expect("message")["content"] == title
PY
}

@test "kill -9 of one session ends that client alone" {
    py - <<'PY'
from chat import *
import signal
alice, bob = user(), user()
a, b, b2 = connect(alice.token), connect(bob.token), connect(bob.token)
[pid] = children(f"session {alice.name} ")
os.kill(pid, signal.SIGKILL)
assert a.closed() == 1006
b.message(bob.id, "still here")
assert b2.expect("message")["content"] == b.expect("message")["content"] == "still here"
connect(alice.token).ping()
PY
}

@test "quota_messages and quota_bytes: so much of an account in a day, in order; what is sent again counts once" {
    py - <<'PY'
from rawhttp import *
from server import Server
alice, bob = user(), user()
with Server("-o", "quota_messages=4", "-o", "quota_bytes=100", "-o", "presence=off") as s:
    a, b = connect(alice.token, s.name), connect(bob.token, s.name)
    def outcome(client=a):
        f = client.recv()
        if f["type"] == "ack":
            return f["id"] + (" again" if f["data"]["duplicate"] else "")
        assert f["type"] == "error" and f["data"] == {"code": "quota", "temporary": False}, f
        assert "midnight UTC" in f["error"], f
        return "no " + f["id"]
    with nothing_stored():              # so that one batch has all the others
        a.message(bob.id, "x", "1")
        writer_waits()
        for id_ in "234561":
            a.message(bob.id, "x", id_)
        b.message(bob.id, "x", "b")
    assert [outcome() for _ in range(7)] == ["1", "2", "3", "4", "no 5", "no 6", "1 again"]
    assert [b.until("message")["content"] for _ in range(4)] == ["x"] * 4
    def send(content, key):
        r = ask("POST", "/messages", {"Content-Type": "application/json", "Idempotency-Key": key, "Content-Length": len(content)},
                alice.token, s.name, body=content)
        return r if r.status == 429 else r.status
    def body(size):
        return json.dumps({"receiver_id": bob.id, "content": "x" * size}).encode()
    assert send(body(1), "4") == 200    # as often as one likes
    refused = send(body(1), "5")
    refused.error(429, "midnight UTC")
    assert 0 < int(refused.headers["retry-after"]) <= 86400
    # Of what was refused nothing is stored; on the next day it may be sent, and bytes count.
    assert sql(f"select count(*) from messages where sender_id = {alice.id}") == "4"
    sql("update sent set day = day - 1")
    assert send(body(60), "5") == 201 and send(body(41), "6").status == 429 and send(body(40), "6") == 201
    assert send(body(1), "7").status == 429
    assert sql(f"select messages, bytes from sent where user_id = {alice.id}") == "2|100"
    assert sql(f"select messages, bytes from sent where user_id = {bob.id}") == "1|1"
PY
}

@test "all messages between two users have one conversation, whoever sends and however" {
    py - <<'PY'
from chat import *
alice, bob, carol = user(), user(), user()
a, b = connect(alice.token), connect(bob.token)
a.message(bob.id, "one")
first = b.expect("message")["data"]["conversation_id"]
b.message(alice.id, "two")
assert a.expect("message")["data"]["conversation_id"] == first
assert api("POST", "/messages", {"receiver_id": alice.id, "content": "three"}, bob.token)[0] == 201
sql(f"insert into messages (sender_id, receiver_id, content) values ({alice.id}, {bob.id}, 'four'), ({carol.id}, {alice.id}, 'other')")
assert {m["conversation_id"] for m in api("GET", f"/messages/{bob.id}", token=alice.token)[1]} == {first}
[other] = api("GET", f"/messages/{carol.id}", token=alice.token)[1]
a.message(alice.id, "a note")
found = [a.expect("message")["data"]["conversation_id"] for _ in range(4)]
assert found[:2] == [first, first] and found[2] == other["conversation_id"] and len({first, *found}) == 3, found
PY
}
