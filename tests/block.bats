#!/usr/bin/env bats
# Users who block others: what is refused then, what neither sees of the other, on every host, and what
# stays as it was. The functions of the database are in sql.bats.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start main -o typing_rate=1000
    server_start two -o typing_rate=1000
    server_start contacts -o presence=contacts -o typing_rate=1000
    server_start off -o presence=off -o typing_rate=1000
}

teardown_file() {
    server_teardown_file
}

# --- the routes ---

@test "PUT and DELETE /users/:id/block: 204, as often as one likes, on every host; GET /me/blocks is the caller's own list" {
    py - <<'PY'
from blocks import *
before = sql("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
alice, bob, carol = user(), user(), user()
assert api("PATCH", "/me", {"display_name": "Bob \"B\" B"}, bob.token)[0] == 200
unblock(alice, bob)
assert blocked(alice) == []
for n in ("main", "two", "main"):
    block(alice, carol, n)
    block(alice, bob, n)
    status, users = api("GET", "/me/blocks", token=alice.token, name=n)
    assert status == 200 and [list(u) for u in users] == [["id", "username", "display_name", "blocked_at"]] * 2, users
    assert [(u["id"], u["username"], u["display_name"]) for u in users] == [
        (bob.id, bob.name, "Bob \"B\" B"), (carol.id, carol.name, None)], users
    assert all(len(u["blocked_at"]) == 24 and before <= u["blocked_at"] for u in users)
    assert blocked(bob) == blocked(carol) == []
since = users
for n in ("two", "main"):
    unblock(alice, bob, n)
    assert blocked(alice, n) == [carol.id]
assert api("GET", "/me/blocks", token=alice.token)[1] == since[1:]
block(alice, bob)
again = api("GET", "/me/blocks", token=alice.token)[1]
assert again[0]["blocked_at"] > since[0]["blocked_at"] and again[1] == since[1]
PY
}

@test "PUT /users/:id/block: 404 for nobody, 400 for oneself and for what is no id, 401 without a token, 405 for other methods" {
    py - <<'PY'
from blocks import *
from rawhttp import ask
alice, bob = user(), user()
ID = "The id in the path must be a whole number above zero"
def says(method, path, token=alice.token):
    status, answer = api(method, path, token=token)
    return status, answer["error"]
assert says("PUT", f"/users/{2**53}/block") == (404, "There is no user with this id")
block(alice, 2**53, method="DELETE")
for method in ("PUT", "DELETE"):
    assert says(method, f"/users/{alice.id}/block") == (400, "You cannot block yourself: name another user")
    for wrong in ("0", "-1", "me", "1.5", "9" * 19, f"{bob.id}x"):
        assert says(method, f"/users/{wrong}/block") == (400, ID), wrong
    assert says(method, f"/users/{bob.id}/block", None)[0] == 401
    assert says(method, f"/users/{bob.id}/block", bob.token + "x")[0] == 401
assert says("GET", "/me/blocks", None)[0] == 401
for method, path, allowed in (("GET", f"/users/{bob.id}/block", {"PUT", "DELETE", "OPTIONS"}),
                              ("PUT", "/me/blocks", {"GET", "HEAD", "OPTIONS"})):
    r = ask(method, path, token=alice.token)
    assert r.status == 405 and set(r.headers["allow"].split(", ")) == allowed, r
for path in (f"/users/{bob.id}/block/", f"/users/{bob.id}", "/users//block", "/me/blocks/", f"/users/{bob.id}/blocks"):
    ask("PUT", path, token=alice.token).error(404)
assert blocked(alice) == blocked(bob) == []
# Who was removed or disabled a moment ago blocks nobody.
sql(f"select user_disable('{alice.name}')")
eventually(lambda: api("PUT", f"/users/{bob.id}/block", token=alice.token)[0] == 403)
sql(f"delete from users where id = {alice.id}")
eventually(lambda: api("PUT", f"/users/{bob.id}/block", token=alice.token)[0] == 401)
assert says("GET", "/me/blocks")[0] == 401
PY
}

@test "GET /me/blocks: pages by id, with Link, and HEAD; a bad bound is 400 and named" {
    py - <<'PY'
from blocks import *
from rawhttp import ask
alice, others = user(), [user() for _ in range(5)]
for u in reversed(others):
    block(alice, u)
ids, path, pages = [u.id for u in others], "/me/blocks?limit=2", []
while path:
    r = ask("GET", path, token=alice.token)
    pages.append([u["id"] for u in r.json()])
    link = r.headers.get("link", "")
    path = link and "/me/blocks" + link[1:link.index(">")]
    assert not link or link == f'<?after={pages[-1][-1]}&limit=2>; rel="next"', link
assert pages == [ids[:2], ids[2:4], ids[4:]]
assert [u["id"] for u in ask("GET", f"/me/blocks?after={ids[1]}&limit=3", token=alice.token).json()] == ids[2:]
assert ask("GET", f"/me/blocks?after={ids[4]}", token=alice.token).json() == []
r = ask("HEAD", "/me/blocks", token=alice.token)
assert r.status == 200 and r.body == b"" and int(r.headers["content-length"]) > 300
for query, says in (("limit=0", '"limit" must be a number from 1 to 1000'), ("limit=1001", '"limit" must be a number from 1 to 1000'),
                    ("limit=", '"limit" must be a number from 1 to 1000'), ("after=-1", '"after" must be a user id, or 0'),
                    ("after=x&limit=1", '"after" must be a user id, or 0')):
    ask("GET", f"/me/blocks?{query}", token=alice.token).error(400, says)
PY
}

@test "an account blocks so many at most: then it is 409, until one is lifted; nobody else pays" {
    py - <<'PY'
from blocks import *
alice, bob, carol = user(), user(), user()
sql("insert into users (username, email, password_hash) select 'b' || n, 'b' || n, '*' from generate_series(1, 1000) n")
sql(f"insert into blocks (user_id, blocked_id) select {alice.id}, id from users where password_hash = '*' order by id limit 999")
block(alice, bob)
many = blocked(alice)
assert len(many) == 1000
status, answer = api("PUT", f"/users/{carol.id}/block", token=alice.token)
assert status == 409 and "unblock one first" in answer["error"], answer
# One that there is already is not one more.
block(alice, bob)
block(carol, alice)
unblock(alice, bob)
block(alice, carol, "two")
status, answer = api("PUT", f"/users/{bob.id}/block", token=alice.token)
assert status == 409 and len(blocked(alice)) == 1000
# However often they change, no more is kept.
for u in many[1:4]:
    unblock(alice, u)
    block(alice, bob)
    unblock(alice, bob)
    block(alice, u)
assert sql(f"select count(*), count(blocked_at) from blocks where user_id = {alice.id}") == "1000|1000"
assert set(blocked(alice)) == {*many, carol.id} - {bob.id}
PY
}

@test "an account sets and lifts so many in a minute: then it is 429, over all connections; others go on" {
    py - <<'PY'
from blocks import *
from rawhttp import *
alice, bob = user(), user()
begun, answers = time.monotonic(), []
while 429 not in answers and len(answers) < 200:
    answers.append(ask("PUT" if len(answers) % 2 else "DELETE", f"/users/{bob.id}/block", token=alice.token).status)
assert answers[:60] == [204] * 60 and answers[-1] == 429 and len(answers) <= 61 + (time.monotonic() - begun), answers
r = ask("DELETE", f"/users/{bob.id}/block", token=alice.token)
assert r.status in (204, 429) and (r.status == 204 or int(r.headers["retry-after"]) == 60), r.fields
block(bob, alice)
PY
}

@test "without the database it is 503, and nothing is half done" {
    py - <<'PY'
from blocks import *
alice, bob, db = user(), user(), os.environ["DB"]
def served():
    return api("PUT", f"/users/{bob.id}/block", token=alice.token)[0]
sql(f"revoke connect on database {db} from public, {db}")
try:
    sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name like 'chatd %'")
    eventually(lambda: served() == 503 and api("GET", "/me/blocks", token=alice.token)[0] == 503)
    assert sql("select count(*) from blocks where user_id = %d" % alice.id) == "0"
finally:
    sql(f"grant connect on database {db} to {db}")
eventually(lambda: served() == 204)
assert blocked(alice) == [bob.id]
def comes(name):
    try:
        connect(alice.token, name).close()
    except Refused:
        return False
    return True
for name in ("main", "two", "contacts", "off"):
    eventually(lambda: comes(name))
PY
}

# --- messages ---

@test "a message between two of whom one has blocked the other is refused, with the same words both ways, on every host" {
    py - <<'PY'
from blocks import *
alice, bob, carol = user(), user(), user()
know(alice, bob, carol)
a, b, a2, b2, c = (connect(u.token, n) for u, n in ((alice, "main"), (bob, "main"), (alice, "two"), (bob, "two"), (carol, "main")))
history = api("GET", f"/messages/{bob.id}", token=alice.token)
ways = [(a, alice, bob, "main"), (b, bob, alice, "main"), (a2, alice, bob, "two"), (b2, bob, alice, "two")]
def post(sender, receiver, n):
    return api("POST", "/messages", {"receiver_id": receiver.id, "content": "x"}, sender.token, n)
block(alice, bob)
for client, sender, receiver, n in ways:
    assert refused(client, receiver)
    assert post(sender, receiver, n) == (403, {"error": NEUTRAL})
    # What was sent before stays, to be read and found.
    assert api("GET", f"/messages/{receiver.id}", token=sender.token, name=n) == history
    # All others go on.
    assert send(client, carol)["type"] == "ack" and post(sender, carol, n)[0] == 201
    assert send(client, sender)["type"] == "ack"
assert not refused(c, bob) and not refused(c, alice)
# One of two who both have is not enough.
block(bob, alice, "two")
unblock(alice, bob)
for client, sender, receiver, n in ways:
    assert refused(client, receiver)
unblock(bob, alice)
for client, sender, receiver, n in ways:
    assert not refused(client, receiver)
    assert post(sender, receiver, n)[0] == 201
assert len(api("GET", f"/messages/{bob.id}", token=alice.token)[1]) == 1 + 8
PY
}

@test "between strangers: the first message is refused, and leaves nothing; when the block is lifted it goes" {
    py - <<'PY'
from blocks import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token, "two")
block(bob, alice)
assert refused(a, bob) and refused(b, alice)
assert sql(f"select count(*) from contacts where user_id in ({alice.id}, {bob.id})") == "0"
assert api("GET", f"/messages/{bob.id}", token=alice.token) == (200, [])
unblock(bob, alice, "two")
assert not refused(a, bob)
assert b.until("message")["content"] == "hello"
PY
}

@test "sent again: what was stored before the block is acknowledged as before; another message under its id is not stored" {
    py - <<'PY'
from blocks import *
alice, bob, carol = user(), user(), user()
a, b = connect(alice.token), connect(bob.token, "two")
first = send(a, bob, "hello", "m-1")["data"]
key = {"Idempotency-Key": "k-1"}
body = {"receiver_id": bob.id, "content": "posted"}
status, posted = api("POST", "/messages", body, alice.token, headers=key)
assert status == 201
block(bob, alice)
for n in ("main", "two"):
    client = connect(alice.token, n)
    again = send(client, bob, "hello", "m-1")
    assert again["type"] == "ack" and again["data"]["message_id"] == first["message_id"] and again["data"]["duplicate"], again
    assert api("POST", "/messages", body, alice.token, n, key) == (200, {"message_id": posted["message_id"], "duplicate": True})
    assert send(client, bob, "other", "m-1")["data"]["code"] == "refused"
    assert send(client, carol, "hello", "m-1")["data"]["code"] == "conflict"
    # A refused id is free.
    assert send(client, bob, "hello", f"m-{n}")["data"]["code"] == "refused"
    assert send(client, carol, "hello", f"m-{n}")["data"]["duplicate"] is False
assert len(api("GET", f"/messages/{bob.id}", token=alice.token)[1]) == 2
PY
}

@test "in one batch with messages of others: each gets its own answer" {
    py - <<'PY'
from blocks import *
alice, bob, carol, dave = user(), user(), user(), user()
know(alice, bob)
block(bob, alice)
a, c = connect(alice.token), connect(carol.token)
with nothing_stored():
    a.message(dave.id, "0", "m-0")
    writer_waits()
    for n in range(1, 11):
        a.message(bob.id, "no", f"no-{n}")
        a.message(dave.id, f"{n}", f"m-{n}")
        c.message(dave.id, f"{n}", f"m-{n}")
got = {}
while len(got) < 21:
    f = a.recv()
    if f["type"] in ("ack", "error"):
        got[f["id"]] = f["data"]
assert all(got[f"no-{n}"]["code"] == "refused" for n in range(1, 11))
ids = [got[f"m-{n}"]["message_id"] for n in range(11)]
assert ids == sorted(ids) and not any(got[f"m-{n}"]["duplicate"] for n in range(11))
assert [c.until("ack")["id"] for _ in range(10)] == [f"m-{n}" for n in range(1, 11)]
history = api("GET", f"/messages/{dave.id}", token=alice.token)[1]
assert [m["id"] for m in history] == ids
PY
}

@test "by SQL the owner of the database still writes between the two, and it arrives; their own messages stay refused" {
    py - <<'PY'
from blocks import *
alice, bob = user(), user()
block(alice, bob)
a, b = connect(alice.token), connect(bob.token, "two")
sql(f"insert into messages (sender_id, receiver_id, content) values ({bob.id}, {alice.id}, 'from psql')")
assert a.until("message")["content"] == b.until("message")["content"] == "from psql"
assert refused(a, bob) and refused(b, alice)
unblock(alice, bob)
assert not refused(b, alice)
PY
}

@test "a first message and a block at once: one of them is first, and afterwards nothing goes" {
    py - <<'PY'
from blocks import *
alice, others = user(), [user() for _ in range(12)]
clients = [connect(u.token, n) for u, n in zip(others, ["main", "two"] * 6)]
def both(u, client, i):
    sender = threading.Thread(target=lambda: client.message(alice.id, "first", "m-1"))
    sender.start()
    block(alice, u, "two" if i % 3 else "main")
    sender.join()
threads = [threading.Thread(target=both, args=(u, c, i)) for i, (u, c) in enumerate(zip(others, clients))]
for t in threads:
    t.start()
for t in threads:
    t.join()
for u, c in zip(others, clients):
    while (f := c.recv()).get("id") != "m-1":
        pass
    assert f["type"] == "ack" or f["data"]["code"] == "refused", f
    assert refused(c, alice)
assert sql(f"select count(*) from contacts where {alice.id} in (user_id, contact_id) and not blocked") == "0"
PY
}

# --- receipts, and lists of conversations ---

@test "receipts: neither hears how far the other has got, on any host; oneself does; lists show neither as online" {
    py - <<'PY'
from blocks import *
alice, bob, carol = user(), user(), user()
know(alice, bob, carol)
clients = {(u, n): connect(u.token, n) for u in (alice, bob, carol) for n in ("main", "two")}
def conversation(who, other, n="main"):
    [c] = [c for c in api("GET", "/conversations", token=who.token, name=n)[1]["conversations"] if c["peer"]["id"] == other.id]
    return c
def shown(who, other):
    """In the list, alone, and among the members."""
    c = conversation(who, other)
    [m] = [m for m in api("GET", f"/conversations/{c['id']}/members", token=who.token, name="two")[1] if m["user_id"] == other.id]
    assert api("GET", f"/conversations/{c['id']}", token=who.token)[1] == c
    assert (c["peer"]["read_upto"], c["peer"]["delivered_upto"]) == (m["read_upto"], m["delivered_upto"])
    return c["peer"]["online"], m["online"]
def read(who, other):
    c = conversation(who, other)
    status, answer = api("PUT", f"/conversations/{c['id']}/read", {"message_id": c["last_message"]["id"]}, who.token)
    assert status == 204, answer
    return c["id"]
for (u, n), c in clients.items():
    seen(c, alice, bob, carol, name=n)
assert shown(alice, bob) == shown(bob, alice) == (True, True)
block(alice, bob)
assert shown(alice, bob) == shown(bob, alice) == (False, False) and shown(carol, alice) == shown(bob, carol) == (True, True)
# Told in this order: what the other must not hear first.
told = {who: [read(who, other), read(who, carol)] for who, other in ((alice, bob), (bob, alice))}
last = {who: read(carol, who) for who in (alice, bob)}
for (u, n), c in clients.items():
    wanted = [(x, u.id) for x in told[u]] + [(last[u], carol.id)] if u in told else \
        [(told[w][1], w.id) for w in told] + [(x, carol.id) for x in last.values()]
    got = [c.until("receipt")["data"] for _ in wanted]
    assert [(d["conversation_id"], d["user_id"]) for d in got] == wanted, (u.name, got)
# What was read meanwhile is hidden as well, until the block is lifted.
def upto(who, other):
    return conversation(who, other)["peer"]["read_upto"]
assert shown(alice, bob) == shown(bob, alice) == (False, False)
assert upto(alice, bob) == upto(bob, alice) == 0 and upto(carol, alice) > 0 and upto(alice, carol) > 0
unblock(alice, bob)
assert upto(alice, bob) > 0 and upto(bob, alice) > 0
PY
}

@test "a message that was sent before cannot be changed any more, by neither; deleting it is possible" {
    py - <<'PY'
from blocks import *
alice, bob = user(), user()
know(alice, bob)
a, b = connect(alice.token), connect(bob.token, "two")
c = int(sql(f"select conversation_id from contacts where user_id = {alice.id} and contact_id = {bob.id}"))
ids = {client: send(client, other, "old")["data"]["message_id"] for client, other in ((a, bob), (b, alice))}
block(alice, bob)
for client, who in ((a, alice), (b, bob)):
    client.send({"type": "edit", "id": "e", "content": "new", "data": {"conversation_id": c, "message_id": ids[client]}})
    error = client.until("error")
    assert (error["error"], error["data"]) == (NEUTRAL, {"code": "refused", "temporary": False}), error
    path = f"/conversations/{c}/messages/{ids[client]}"
    assert api("PATCH", path, {"content": "new"}, who.token) == (403, {"error": NEUTRAL})
    assert api("PATCH", path, {"content": "old"}, who.token)[0] == 200
assert api("DELETE", f"/conversations/{c}/messages/{ids[b]}", token=bob.token)[0] == 204
assert a.until("message_changed")["data"]["deleted"] is True
assert sql(f"select string_agg(content, ',' order by id) from messages where id in ({ids[a]}, {ids[b]})") == "old,"
unblock(alice, bob)
assert api("PATCH", f"/conversations/{c}/messages/{ids[a]}", {"content": "new"}, alice.token)[0] == 200
PY
}

# --- typing ---

@test "typing: neither sees the other, on any host, in any presence mode; others do" {
    py - <<'PY'
from blocks import *
alice, bob, carol = user(), user(), user()
know(alice, bob, carol)
block(alice, bob)
for n in ("main", "contacts", "off"):
    a, b, a2, b2 = connect(alice.token, n), connect(bob.token, n), connect(alice.token, "two"), connect(bob.token, "two")
    c, c2 = connect(carol.token, n), connect(carol.token, "two")
    for client, receiver in ((a, bob), (a2, bob), (b, alice), (b2, alice)):
        say(client, receiver)
        client.send({"type": "resume", "id": "r"}) # its broker is done with that
        client.until("resumed")
    # Each host tells in the order in which it was told.
    for client in (c, c2):
        say(client, alice), say(client, bob)
    for client, who in ((a, alice), (a2, alice), (b, bob), (b2, bob)):
        assert [client.until("typing") for _ in range(2)] == [seen_of(carol, who)] * 2
    for client in (a, b, a2, b2, c, c2):
        client.close()
unblock(alice, bob)
a, b = connect(alice.token), connect(bob.token, "two")
say(a, bob)
assert b.until("typing") == seen_of(alice, bob)
PY
}

# --- presence ---

@test "presence: a block is as if each had gone, its end as if each had come: on all connections, on every host, for nobody else" {
    py - <<'PY'
from blocks import *
alice, bob, carol = user(), user(), user()
clients = {(u, n): connect(u.token, n) for n in ("main", "two") for u in (alice, bob, carol)}
more = connect(bob.token)
for (u, n), c in [*clients.items(), ((bob, "main"), more)]:
    seen(c, alice, bob, carol, name=n)
def told():
    return {(u.name, n): seen(c, alice, bob, carol, name=n) for (u, n), c in clients.items()}, seen(more, alice, bob, carol)
def expected(online):
    return {(u.name, n): [] if u is carol else [(bob if u is alice else alice, online)] for u, n in clients}, [(alice, online)]
def shown(online):
    for n in ("main", "two"):
        assert listed(alice, bob, n) == listed(bob, alice, n) == (online, online)
        assert listed(alice, carol, n) == listed(bob, carol, n) == listed(carol, bob, n) == listed(bob, bob, n) == (True, True)
for turn in range(2):
    block(alice, bob)
    assert told() == expected(False)
    shown(False)
    # What does not change what they see is not told: again, the other way, and the end of one of two.
    block(alice, bob, "two"), block(bob, alice), unblock(alice, bob, "two"), unblock(alice, bob)
    got, extra = told()
    assert not any(got.values()) and not extra, got
    shown(False)
    unblock(bob, alice, "two")
    assert told() == expected(True)
    shown(True)
PY
}

@test "presence: who comes and goes is not shown to whom a block hides it from; each who was away learns it by GET /users" {
    py - <<'PY'
from blocks import *
alice, bob, carol = user(), user(), user()
block(alice, bob)
b, b2, c = connect(bob.token), connect(bob.token, "two"), connect(carol.token, "two")
seen(c, alice, name="two")
for n in ("main", "two"):
    a = connect(alice.token, n)
    assert seen(a, bob, carol, name=n) == []
    assert seen(b, alice) == seen(b2, alice, name="two") == []
    assert seen(c, alice, name="two") == [(alice, True)]
    assert listed(alice, bob) == listed(alice, bob, "two") == (False, False)
    a.close()
    assert seen(c, alice, name="two") == [(alice, False)]
    assert seen(b, alice) == seen(b2, alice, name="two") == []
# Lifted while one of them is away: nothing is told, and nothing is hidden any more.
unblock(alice, bob)
assert seen(b, alice) == seen(b2, alice, name="two") == []
assert listed(alice, bob) == (False, True)
a = connect(alice.token)
assert seen(b, alice) == seen(b2, alice, name="two") == [(alice, True)]
assert seen(a, bob) == []
PY
}

@test "presence: nobody who is offline is told of a block, nor of an end of it, by a frame" {
    py - <<'PY'
from blocks import *
alice, bob = user(), user()
b = connect(bob.token)
# Alice uses requests only, which make nobody online.
block(alice, bob), unblock(alice, bob), block(alice, bob)
assert seen(b, alice) == []
unblock(alice, bob)
a = connect(alice.token)
assert seen(b, alice) == [(alice, True)]
a.close()
assert seen(b, alice) == [(alice, False)]
block(alice, bob), unblock(alice, bob), block(alice, bob)
assert seen(b, alice) == []
PY
}

@test "presence=contacts: a block hides contacts from each other, and its end tells contacts only" {
    py - <<'PY'
from blocks import *
n = "contacts"
alice, bob, carol, marker = (user(instance=n) for _ in range(4))
know(alice, bob, marker)
know(carol, marker)
a, b, c = (connect(u.token, n) for u in (alice, bob, carol))
def told():
    return statuses((a, b, c), marker, n)
told()
block(alice, bob), block(alice, carol)
assert told() == [[(bob.id, False)], [(alice.id, False)], []]
assert listed(bob, alice, n) == listed(alice, bob, n) == (False, False) and listed(marker, alice, n)[1]
b.close()
b = connect(bob.token, n)
assert told() == [[], [], []]
unblock(alice, bob), unblock(alice, carol)
assert told() == [[(bob.id, True)], [(alice.id, True)], []]
assert listed(bob, alice, n) == listed(alice, bob, n) == (True, True) and listed(carol, alice, n) == (False, False)
PY
}

@test "presence=off: nothing is told, and messages are refused all the same" {
    py - <<'PY'
from blocks import *
n = "off"
alice, bob = user(instance=n), user(instance=n)
know(alice, bob)
a, b = connect(alice.token, n), connect(bob.token, n)
block(alice, bob, n)
assert refused(a, bob) and refused(b, alice)
unblock(alice, bob, n)
a.message(bob.id, "hello", "m")
assert a.recv()["type"] == "ack" and b.recv()["type"] == "message"
assert listed(alice, bob, n) == (False, False)
PY
}

@test "a host that was away learns what blocks have changed: its clients are told when it is back" {
    server_start away
    py - <<'PY'
import signal
from blocks import *
n = "away"
alice, bob, carol, dave = user(), user(), user(), user()
a, c = connect(alice.token), connect(carol.token)
b, d = connect(bob.token, n), connect(dave.token, n)
block(carol, dave)
for client in (b, d):
    seen(client, alice, carol, name=n)
def down(end):
    """This happens while that host's broker is stopped, and then dead."""
    [broker] = children("broker", n)
    os.kill(broker, signal.SIGSTOP)
    sql(f"select pg_terminate_backend(s.pid) from pg_stat_activity s where application_name like 'chatd %' and pid in"
        f" (select backend from hosts h where h.id in (select host_id from sessions where user_id = {bob.id}))")
    end()
    os.kill(broker, signal.SIGKILL)
    eventually(lambda: len(children("broker", n)) == 1 and children("broker", n) != [broker])
    eventually(lambda: api("GET", "/users", token=bob.token, name=n)[0] == 200)
def both():
    block(alice, bob)
    unblock(carol, dave)
def next_of(client, who):
    while (d := client.until("user_status")["data"])["user_id"] != who.id:
        pass # of those who come back there
    return d["online"]
down(both)
assert next_of(b, alice) is False and next_of(d, carol) is True
assert listed(alice, bob, n) == (False, False) and listed(carol, dave, n) == (True, True)
down(lambda: unblock(alice, bob))
assert next_of(b, alice) is True
PY
    server_stop away
}

@test "a reader that is behind learns what a block has changed when it catches up, and what it had missed of messages" {
    py - <<'PY'
from frames import *
from blocks import *
alice, bob, carol = user(), user(), user()
def reader():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(WAIT)
    s.connect(("127.0.0.1", port()))
    s.sendall(handshake(bob.token))
    assert Answer(s).status == 101
    w = Raw.__new__(Raw)
    w.socket = s
    return w
a, c = connect(alice.token), connect(carol.token)
b = reader()
eventually(lambda: listed(bob, alice)[0])
for n in range(80):
    c.message(bob.id, f"{n:05d}" + "x" * 16000, f"m-{n}")
    c.until("ack")
block(alice, bob)
got, statuses = [], []
while len(got) < 80 or statuses[-1:] != [False]:
    f = b.json()
    if f["type"] == "message":
        got.append(int(f["content"][:5]))
    elif f["data"]["user_id"] == alice.id:
        statuses.append(f["data"]["online"])
assert got == list(range(80)) and statuses[-1:] == [False], statuses
PY
}

@test "a client that resumes gets what was sent before the block, and nothing of the other's presence" {
    py - <<'PY'
from blocks import *
alice, bob = user(), user()
cursor = cursor_of(bob)
a = connect(alice.token)
send(a, bob, "before")
block(alice, bob)
b = connect(bob.token, path=f"/ws?cursor={cursor}")
assert b.expect("message")["content"] == "before"
assert b.expect("resumed")["data"]["recovered"]
assert seen(b, alice) == [] and refused(b, alice)
b.send({"type": "resume"})
# Of others, such as the one who was to be seen last, it may hear.
while (f := b.recv())["type"] != "resumed":
    assert f["type"] == "user_status" and f["data"]["user_id"] != alice.id, f
PY
}

@test "a user who is removed is in nobody's list, and blocks nobody" {
    py - <<'PY'
from blocks import *
alice, bob, carol = user(), user(), user()
block(alice, bob), block(bob, alice), block(bob, carol), block(alice, carol)
sql(f"delete from users where id = {bob.id}")
assert blocked(alice) == [carol.id] and blocked(carol) == []
assert sql(f"select count(*) from blocks where {bob.id} in (user_id, blocked_id)") == "0"
PY
}
