#!/usr/bin/env bats
# Coming back: cursors, the resume frame, GET /ws?cursor=, and that there is neither a gap nor a
# repeat, whatever happens meanwhile.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    # No word of who comes and goes: those of one test may still be going in the next.
    server_start main -o presence=off
    server_start two -o presence=off
}

teardown_file() {
    server_teardown_file
}

@test "GET /ws?cursor=: what was missed in order, then resumed, then live" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
a.message(bob.id, "seen", "c-0")
cursor = b.until("message")["data"]["cursor"]
b.close()
for n in range(120):                     # more than one page
    a.message(bob.id, f"missed {n}", f"c-{n + 1}")
for n in range(120):
    last = a.until("ack")["data"]
for name in ("main", "two"):
    b = connect(bob.token, name, path=f"/ws?cursor={cursor}")
    got = [b.expect("message") for _ in range(120)]
    assert [f["content"] for f in got] == [f"missed {n}" for n in range(120)]
    r = b.expect("resumed")
    assert set(r) == {"type", "data"} and r["data"] == {"cursor": got[-1]["data"]["cursor"], "recovered": True}, r
    a.message(bob.id, f"live {name}")
    f = b.until("message")
    assert f["content"] == f"live {name}"
    # With the cursor of the last one nothing is missed.
    c = connect(bob.token, name, path=f"/ws?cursor={f['data']['cursor']}")
    assert c.expect("resumed")["data"] == {"cursor": f["data"]["cursor"], "recovered": True}
    c.close()
    # What "resumed" says is where it goes on.
    c = connect(bob.token, name, path=f"/ws?cursor={r['data']['cursor']}")
    assert c.expect("message")["content"] == f"live {name}"
    c.expect("resumed")
    c.close()
    b.close()
    cursor = got[-1]["data"]["cursor"] if name == "two" else cursor
    sql(f"delete from messages where content = 'live main'")
PY
}

@test "who has more conversations than are asked one by one gets what was missed among many others' messages" {
    py - <<'PY'
from chat import *
alice, bob, carol = user(), user(), user()
a, b = connect(alice.token), connect(bob.token)
a.message(bob.id, "seen")
cursor = b.until("message")["data"]["cursor"]
b.close()
sql(f"insert into contacts select {bob.id}, n, nextval('conversation_seq') from generate_series(1000000, 1001100) n")
others = f"insert into messages (sender_id, receiver_id, content) select {carol.id}, {carol.id}, 'other' from generate_series(1, 25000)"
for word in ("early", "between", "late"):
    for n in range(60):                  # more than a page
        a.message(bob.id, f"{word} {n}")
    a.message(alice.id, word, word)
    a.until("ack")
    sql(others)
b = connect(bob.token, path=f"/ws?cursor={cursor}")
got = [b.expect("message") for _ in range(180)]
assert [f["content"] for f in got] == [f"{word} {n}" for word in ("early", "between", "late") for n in range(60)]
r = b.expect("resumed")["data"]
assert r["recovered"] and int(r["cursor"].split("-")[1]) > got[-1]["data"]["message_id"] + 20000, r
a.message(bob.id, "live")
assert b.expect("message")["content"] == "live"
b = connect(bob.token, path=f"/ws?cursor={r['cursor']}")
assert b.expect("message")["content"] == "live" and b.expect("resumed")["data"]["recovered"]
PY
}

@test "a resume frame: what was missed, then resumed with its id; what had come live is not repeated" {
    py - <<'PY'
from frames import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
a.message(bob.id, "seen")
cursor = b.until("message")["data"]["cursor"]
b.close()
for n in range(70):
    a.message(bob.id, f"missed {n}", f"m-{n}")
for n in range(70):
    a.until("ack")
b = connect(bob.token)
a.message(bob.id, "live before")
assert b.expect("message")["content"] == "live before"
b.send({"type": "resume", "id": "r-1", "data": {"cursor": cursor}})
a.message(bob.id, "meanwhile")
got = []
while (f := b.recv())["type"] != "resumed":
    got.append(f["content"])
assert f["id"] == "r-1" and f["data"]["recovered"] is True, f
if "meanwhile" not in got:
    got.append(b.expect("message")["content"])
# It may have been live before the frame arrived; in any case it comes once.
got.remove("meanwhile")
assert got == [f"missed {n}" for n in range(70)], got
# Again from the same place: all of it was sent on this connection.
b.send({"type": "resume", "data": {"cursor": cursor}})
r = b.expect("resumed")
assert "id" not in r and r["data"]["recovered"] is True
# Without a cursor: where am I?
b.send({"type": "resume", "id": "r-2"})
r = b.expect("resumed")
assert r["id"] == "r-2" and r["data"]["recovered"] is True
c = connect(bob.token, path=f"/ws?cursor={r['data']['cursor']}")
assert c.expect("resumed")["data"] == r["data"]
c.close()
# Two at once: the second is refused.
w = Raw(bob.token)
w.send(text({"type": "resume", "id": "r-3", "data": {"cursor": cursor}})
       + text({"type": "resume", "id": "r-4", "data": {"cursor": cursor}}))
frames = {}
while len(frames) < 2:
    f = w.json()
    if f["type"] != "message":
        frames[f["id"]] = f
assert frames["r-3"]["type"] == "resumed" and frames["r-4"]["data"] == {"code": "bad_state", "temporary": False}, frames
# An older place than before.
zero = cursor_of(bob).rsplit("-", 2)[0] + "-0-0"
b.send({"type": "resume", "data": {"cursor": zero}})
assert b.expect("message")["content"] == "seen"
assert b.expect("resumed")["data"]["recovered"] is True
PY
}

@test "a cursor that cannot be honoured: recovered false and where it goes on, never an error" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a = connect(alice.token)
a.message(bob.id, "one", "1")
now = a.until("ack")["data"]["cursor"]
tag, change, stamp = now.rsplit("-", 2)
other = "0123456789ab" if tag != "0123456789ab" else "ba9876543210"
for bad in ("x", "91", f"{other}-{change}-{stamp}", f"{tag}-{change}", f"{tag}-{int(change) + 1000}-{stamp}",
            f"{tag}-{change}-{int(stamp) ^ 1}", "z" * 64, "z" * 65, "z" * 1000, "-", f"{tag}-99999999999999999999-1", "%00", "0"):
    b = connect(bob.token, path=f"/ws?cursor={bad}")
    r = b.expect("resumed")
    assert r["data"]["recovered"] is False, (bad, r)
    b.send({"type": "resume", "id": "i", "data": {"cursor": bad}})
    again = b.expect("resumed")
    assert again["data"]["recovered"] is False and again["id"] == "i", (bad, again)
    b.send({"type": "resume", "data": {"cursor": r["data"]["cursor"]}})
    assert b.expect("resumed")["data"]["recovered"] is True
    b.close()
b = connect(bob.token)
for bad in ({"cursor": 7}, {"cursor": None}, "x", 5, None):
    b.send({"type": "resume", "id": "i", "data": bad})
    e = b.expect("error")
    assert e["id"] == "i" and e["data"]["code"] == "bad_field" and "cursor" in e["error"], e
a.message(bob.id, "still live")
assert b.until("message")["content"] == "still live"
PY
}

@test "resume under traffic: no gap, no repeat, in order, from every place and on both hosts" {
    py - <<'PY'
from chat import *
senders, bob = [user(), user(instance="two")], user()
clients = [connect(s.token, n) for s, n in zip(senders, ("main", "two"))]
b = connect(bob.token, path="/ws?cursor=")
cursor = b.expect("resumed")["data"]["cursor"]
ROUNDS, BURST = 18, 30
def send(i, round_):
    for n in range(BURST):
        clients[i].message(bob.id, f"{i} {round_ * BURST + n}", f"{i}-{round_}-{n}")
    for n in range(BURST):
        clients[i].until("ack")
def come_back(way):
    global b, cursor
    if way % 3 == 0:
        b.socket.transport.abort()      # with frames on their way
    else:
        b.close()
    name = ("main", "two")[way % 4 < 2]
    if way % 2:
        b = connect(bob.token, name, path=f"/ws?cursor={cursor}")
        return
    b = connect(bob.token, name)
    b.send({"type": "resume", "data": {"cursor": cursor}})
    came = []
    while (f := b.recv())["type"] != "resumed":
        if f["type"] == "message":
            came.append(f)
    assert f["data"]["recovered"], (cursor, f)
    cursor = f["data"]["cursor"]
    # What was live before the frame arrived came first; all of it is there, once.
    got.extend(sorted(came, key=lambda f: f["data"]["message_id"]))
got = []
for round_ in range(ROUNDS):
    threads = [threading.Thread(target=send, args=(i, round_)) for i in (0, 1)]
    for t in threads:
        t.start()
    come_back(round_)
    while len(got) < 2 * BURST * (round_ + 1):
        f = b.recv()
        if f["type"] == "message":
            got.append(f)
            cursor = f["data"]["cursor"]
    for t in threads:
        t.join()
ids = [f["data"]["message_id"] for f in got]
assert ids == sorted(set(ids)) and len(ids) == 2 * BURST * ROUNDS, (len(ids), len(set(ids)))
for i in (0, 1):
    assert [f["content"] for f in got if f["content"][0] == str(i)] == [f"{i} {n}" for n in range(BURST * ROUNDS)]
clients[0].message(bob.id, "end")
while (f := b.recv())["type"] != "message":
    pass
assert f["content"] == "end", f
PY
}

@test "acks and messages come in the order of changes, so the cursor of either is good" {
    py - <<'PY'
from chance import dice
from chat import *
us = [user() for _ in range(4)]
cs = [connect(u.token) for u in us]
COUNT = 150
for n in range(COUNT):
    for i, c in enumerate(cs):
        c.message(us[(i + 1 + n % 3) % 4].id, f"{i} {n}", f"{i}-{n}")
change = lambda cursor: int(cursor.rsplit("-", 2)[1])
stored = {}
for i, c in enumerate(cs):
    frames = []
    while len(frames) < 2 * COUNT:
        f = c.recv()
        if f["type"] in ("ack", "message"):
            frames.append(f)
    numbers = [change(f["data"]["cursor"]) for f in frames]
    assert numbers == sorted(numbers), numbers
    assert all(f["data"]["message_id"] == n if f["type"] == "message" else f["data"]["message_id"] <= n
               for f, n in zip(frames, numbers))
    stored[i] = frames
for c in cs:
    c.close()
# From any ack or message: exactly what comes after its cursor.
for i in (0, 3):
    frames = stored[i]
    for at in (0, 1, 97, 2 * COUNT - 2):
        c = connect(us[i].token, dice.choice(["main", "two"]), path=f"/ws?cursor={frames[at]['data']['cursor']}")
        got = []
        while (f := c.recv())["type"] != "resumed":
            if f["type"] == "message":
                got.append(f["data"]["message_id"])
        # Its own messages too: this is another connection than the one that sent them.
        after = change(frames[at]["data"]["cursor"])
        assert got == sorted(n for f in frames if (n := f["data"]["message_id"]) > after), (i, at, len(got))
        assert len(got) >= 2 * COUNT - at - 1 - 64, (i, at, len(got))
        c.close()
PY
}

@test "a broker killed during a resume: the replay is complete, without a repeat" {
    py - <<'PY'
from chat import *
import signal
alice, bob = user(), user()
b = connect(bob.token, path="/ws?cursor=")
start = b.expect("resumed")["data"]["cursor"]
b.close()
COUNT = 3000
sql(f"insert into messages (sender_id, receiver_id, content) select {alice.id}, {bob.id}, i from generate_series(1, {COUNT}) i")
for how in ("query", "frame", "frame"):
    b = connect(bob.token, path=f"/ws?cursor={start}" if how == "query" else "/ws")
    if how == "frame":
        b.send({"type": "resume", "id": "r", "data": {"cursor": start}})
    got = []
    while (f := b.recv())["type"] != "resumed":
        if f["type"] == "message":
            got.append(int(f["content"]))
        if len(got) in (200, 1500) and f["type"] == "message":
            eventually(lambda: children("broker"))
            os.kill(children("broker")[0], signal.SIGKILL)
    assert f["data"]["recovered"] is True and f.get("id") == ("r" if how == "frame" else None)
    assert got == list(range(1, COUNT + 1)), (how, len(got))
    b.close()
PY
}

@test "a message while the broker is killed and stopped: one ack, stored once" {
    py - <<'PY'
from chat import *
import signal
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
for n in range(4):
    eventually(lambda: children("broker"))
    [broker] = children("broker")
    if n % 2:
        os.kill(broker, signal.SIGSTOP)
    for i in range(10):
        a.message(bob.id, f"{n} {i}", f"{n}-{i}")
    os.kill(broker, signal.SIGKILL)
    acks = [a.until("ack") for _ in range(10)]
    assert [f["id"] for f in acks] == [f"{n}-{i}" for i in range(10)]
    # The client sent each of them once: that the session did so again is its own affair.
    assert not any(f["data"]["duplicate"] for f in acks), acks
got = [b.until("message")["content"] for _ in range(40)]
assert got == [f"{n} {i}" for n in range(4) for i in range(10)]
assert sql(f"select count(*) from messages where sender_id = {alice.id}") == "40"
for c in (a, b):
    c.send({"type": "ping"})
    assert c.until("pong")
PY
}

@test "the database goes back (a restored backup): open connections are told, and old cursors are refused" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
for n in range(3):
    a.message(bob.id, f"kept {n}", f"k-{n}")
    kept = b.until("message")["data"]
for n in range(3):
    a.message(bob.id, f"lost {n}", f"l-{n}")
    lost = b.until("message")["data"]
# As a failover to a standby that did not have them: gone, and their numbers are given out again.
sql(f"""begin; delete from messages where id > {kept['message_id']};
        select setval('change_seq', {kept['message_id']});
        insert into messages (sender_id, receiver_id, content) select {alice.id}, {bob.id}, 'other ' || i from generate_series(1, 2) i;
        commit; select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name like 'chatd %'""")
for c in (a, b):
    r = c.until("resumed")
    assert r["data"]["recovered"] is False and "id" not in r, r
a.message(bob.id, "after", "x")
assert b.until("message")["content"] == "after"
a.until("ack")
c = connect(bob.token, path=f"/ws?cursor={lost['cursor']}")
assert c.until("resumed")["data"]["recovered"] is False
c.close()
c = connect(bob.token, path=f"/ws?cursor={kept['cursor']}")
assert [c.until("message")["content"] for _ in range(3)] == ["other 1", "other 2", "after"]
assert c.until("resumed")["data"]["recovered"] is True
PY
}

@test "a connection to the database lost in the middle of catching up: it goes on by itself" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
b = connect(bob.token)
b.send({"type": "resume"})
while (f := b.recv())["type"] != "resumed":
    pass
tag = f["data"]["cursor"].split("-")[0]
sql(f"insert into messages (sender_id, receiver_id, content) select {alice.id}, {bob.id}, i from generate_series(1, 5) i")
assert [b.until("message")["content"] for _ in range(5)] == ["1", "2", "3", "4", "5"]
b.close()
b = connect(bob.token)
holder = subprocess.Popen(["psql", "-qXAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
holder.stdin.write("begin; lock table presence in access exclusive mode; select 'held';\n")
holder.stdin.flush()
while holder.stdout.readline() != "held\n":
    pass
b.send({"type": "resume", "data": {"cursor": f"{tag}-0-0"}})
waiting = "from pg_stat_activity where datname = current_database() and application_name = 'chatd pool' and wait_event_type = 'Lock'"
eventually(lambda: sql(f"select count(*) {waiting}") == "1")
sql(f"select count(pg_terminate_backend(pid)) {waiting}")
holder.stdin.write("commit;\n")
holder.stdin.close()
assert holder.wait(WAIT) == 0
assert [b.until("message")["content"] for _ in range(5)] == ["1", "2", "3", "4", "5"]
assert b.until("resumed")["data"]["recovered"] is True
PY
}

@test "a doorbell that never came is made up for" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
b = connect(bob.token)
sql(f"""begin; alter table messages disable trigger messages_inserted;
        insert into messages (sender_id, receiver_id, content) values ({alice.id}, {bob.id}, 'no bell');
        alter table messages enable trigger messages_inserted; commit""")
assert b.until("message")["content"] == "no bell"
PY
}

@test "what is sent again after coming back: first its frame, then the ack that says it is a duplicate" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
sql(f"insert into messages (sender_id, receiver_id, content) select {bob.id}, {alice.id}, i from generate_series(1, 500) i")
a, b = connect(alice.token, path="/ws?cursor="), connect(bob.token, "two")
tag = a.expect("resumed")["data"]["cursor"].split("-")[0]
for n in range(50):
    a.message(bob.id, f"{n}", f"c-{n}")
got = [b.until("message")["content"] for _ in range(50)]
a.socket.transport.abort()
for name in ("main", "two"):
    a = connect(alice.token, name, path=f"/ws?cursor={tag}-0-0")
    for n in range(50):
        a.message(bob.id, f"{n}", f"c-{n}")
    frames, acks, last = {}, {}, 0
    while len(acks) < 50:
        f = a.recv()
        if f["type"] == "message":
            frames[f["data"]["message_id"]] = f
        elif f["type"] == "ack":
            acks[f["id"]] = f["data"]
            assert f["data"]["duplicate"] and f["data"]["message_id"] in frames, f
        if f["type"] in ("message", "ack"):
            change = int(f["data"]["cursor"].split("-")[1])
            assert change >= last, (change, last)
            last = change
    assert len(frames) >= 50
    a.close()
PY
}
