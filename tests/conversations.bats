#!/usr/bin/env bats
# Conversations as their members see them: the list, what is unread, and who has read what.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start main -o presence=off
    server_start two -o presence=off
    server_start shown -o presence=contacts
}

teardown_file() {
    server_teardown_file
}

@test "the list: the latest first, each with its peer, its last message and what is unread, in pages that an id begins" {
    py - <<'PY'
from chats import *
alice, *others = people(6)
empty = {"conversations": [], "next": None}
assert api("GET", "/conversations", token=alice.token) == (200, empty)
for n, other in enumerate(others):
    write(other, alice, f"first {n}")
write(others[1], alice, "again")
write(alice, alice, "note")
page = listed(alice)
assert [c["peer"]["id"] for c in page] == [alice.id, others[1].id] + [o.id for o in (others[4], others[3], others[2], others[0])]
c = page[1]
assert set(c) == {"id", "kind", "name", "created_at", "peer", "unread", "read_upto", "delivered_upto", "last_message"}, c
assert (c["kind"], c["name"], c["unread"], c["read_upto"], c["delivered_upto"]) == ("direct", None, 2, 0, 0), c
assert c["peer"] == {"id": others[1].id, "username": others[1].name, "online": False, "read_upto": 0, "delivered_upto": 0}, c
last = c["last_message"]
assert (last["content"], last["sender_id"], last["conversation_id"]) == ("again", others[1].id, c["id"]), last
assert [last] == history(alice, c["id"])[-1:]
assert c["created_at"] <= history(alice, c["id"])[0]["created_at"]
assert page[0]["unread"] == 0
# In pages of two, the last of which is not full.
for limit, sizes in ((2, [2, 2, 2]), (5, [5, 1]), (6, [6]), (100, [6])):
    got, pages, before = [], [], ""
    while before is not None:
        status, answer = api("GET", f"/conversations?limit={limit}{before and '&before=' + before}", token=alice.token)
        assert status == 200 and set(answer) == {"conversations", "next"}, answer
        pages.append(len(answer["conversations"]))
        got += answer["conversations"]
        before = answer["next"]
    assert pages == sizes and got == page, (limit, pages)
# One that moved to the top meanwhile does not come again.
first = api("GET", "/conversations?limit=4", token=alice.token)[1]
write(others[0], alice, "now")
rest = api("GET", f"/conversations?before={first['next']}", token=alice.token)[1]["conversations"]
assert [c["peer"]["id"] for c in rest] == [others[2].id], rest
assert listed(alice)[0]["peer"]["id"] == others[0].id
PY
}

@test "one conversation, its members and its history: for its members alone, on each host" {
    py - <<'PY'
from chats import *
alice, bob, carol = people(3)
api("PATCH", "/me", {"display_name": 'Bob "B"'}, bob.token)
for n in range(3):
    write(alice, bob, f"message {n}")
[c] = listed(alice)
for name in ("main", "two"):
    assert api("GET", f"/conversations/{c['id']}", token=alice.token, name=name) == (200, c)
    status, members = api("GET", f"/conversations/{c['id']}/members", token=bob.token, name=name)
    assert status == 200 and members == [
        {"user_id": alice.id, "username": alice.name, "role": "member", "since": c["created_at"], "online": False,
         "read_upto": 0, "delivered_upto": 0},
        {"user_id": bob.id, "username": bob.name, "display_name": 'Bob "B"', "role": "member", "since": c["created_at"],
         "online": False, "read_upto": 0, "delivered_upto": 0}], members
assert c["peer"]["display_name"] == 'Bob "B"'
assert history(bob, c["id"]) == api("GET", f"/messages/{alice.id}", token=bob.token)[1]
assert [m["content"] for m in history(bob, c["id"])] == ["message 0", "message 1", "message 2"]
# With pages, as by the user.
x = http.client.HTTPConnection("127.0.0.1", port(), timeout=WAIT)
x.request("GET", f"/conversations/{c['id']}/messages?limit=2", headers={"Authorization": f"Bearer {bob.token}"})
r = x.getresponse()
page = json.loads(r.read())
assert [m["content"] for m in page] == ["message 1", "message 2"], page
assert r.headers["Link"] == f'<?before={page[0]["id"]}&limit=2>; rel="next"', r.headers["Link"]
assert [m["content"] for m in history(bob, c["id"], f"?before={page[0]['id']}")] == ["message 0"]
assert [m["content"] for m in history(bob, c["id"], f"?after={page[0]['id']}")] == ["message 2"]
# Strangers learn nothing, nor whether there is such a conversation.
gone = {"error": "You are in no conversation with this id"}
for id_ in (c["id"], 2**53, 10**18 - 1):
    for what in ("", "/members", "/messages"):
        assert api("GET", f"/conversations/{id_}{what}", token=carol.token) == (404, gone), what
    assert api("PUT", f"/conversations/{id_}/read", {"message_id": page[0]["id"]}, carol.token) == (404, gone)
assert members == api("GET", f"/conversations/{c['id']}/members", token=alice.token)[1]
for method, what in (("GET", ""), ("GET", "/members"), ("GET", "/messages"), ("PUT", "/read")):
    assert api(method, f"/conversations/{c['id']}{what}", {"message_id": 1})[0] == 401
assert api("GET", "/conversations")[0] == 401
PY
}

@test "every route and frame that names a conversation: to whoever is no member, or no more, it is as if there were none" {
    py - "$ROOT" <<'PY'
from groups import *
import re
alice, bob, carol, dave = people(4)
c, other = know(alice, bob), know(alice, carol)
id_ = write(alice, bob, "one")
theirs = write(alice, carol, "to carol")
g = group(alice, "Team", bob, dave)
in_g = post(alice, g, "one")
assert remove(alice, g, dave)[0] == 204
source = open(f"{sys.argv[1]}/src/session/rest.c").read().split("routes[] = {")[1].split("};")[0]
routes = [r for r in re.findall(r'\{"(/[^"]*)", "(\w+)"', source) if r[0].startswith("/conversations/:")]
types = re.findall(r'memcmp\(type\.p, "(\w+)"', open(f"{sys.argv[1]}/src/wire/chat_frame.c").read())
# What names no conversation; whatever comes later must be tried here.
types = set(types) - {"typing", "resume", "auth", "ping"}
assert len(routes) >= 7 and types >= {"message", "read", "delivered", "edit", "delete", "react"}, (routes, types)
def state():
    return sql("select (select md5(string_agg(m::text, ',' order by id)) from messages m),"
               " (select md5(string_agg(r::text, ',' order by r)) from reactions r),"
               " (select md5(string_agg(m::text, ',' order by conversation_id, user_id)) from members m)")
before, body = state(), {"content": "x", "message_id": id_, "name": "x", "user_id": carol.id, "role": "member"}
b, s, d = connect(bob.token, "two"), connect(carol.token), connect(dave.token)
# With the ids of a conversation that carol is not in, of none, and of a message that is in another one.
for who, w, conversation, message in (
        (carol, s, c, id_), (carol, s, 2**53, id_), (carol, s, 2**53, theirs), (carol, s, c, theirs), (carol, s, g, in_g),
        (carol, s, g, id_), (dave, d, g, in_g), (dave, d, c, id_), (dave, d, c, in_g)):
    for path, method in routes:
        if (who, conversation, method, path) == (dave, g, "GET", "/conversations/:/messages"):
            continue # what there was is still theirs
        path = path.replace(":", str(conversation), 1).replace(":", str(message))
        status, answer = api(method, path, None if method in ("GET", "DELETE") else body, who.token)
        assert status == 404 and set(answer) == {"error"}, (method, path, status, answer)
        nobody = api(method, path.replace(str(conversation), str(2**52), 1), None if method in ("GET", "DELETE") else body, who.token)
        assert nobody == (404, answer), (method, path, nobody, answer)
    for type_ in types:
        w.send({"type": type_, "id": "i", "content": "x", "data": {"conversation_id": conversation, "message_id": message, "emoji": "x"}})
        error = w.recv()
        assert error["type"] == "error" and error["data"]["code"] in ("unknown_conversation", "unknown_message"), (type_, error)
# A message of another conversation of one's own is not in this one, either.
for method in ("PATCH", "DELETE"):
    assert api(method, f"/conversations/{c}/messages/{theirs}", body if method == "PATCH" else None, alice.token)[0] == 404
assert state() == before
# And nobody heard of anything.
mark(b, "delivered", c, id_)
assert b.recv() == receipt(c, bob, 0, id_)
PY
}

@test "bad requests are told what is wrong" {
    py - <<'PY'
from chats import *
alice, bob = people(2)
c = know(alice, bob)
WHERE = "The id in the path must be a whole number above zero"
for path in ("0", "x", "-1", "1.5", "1" * 19, "%31"):
    for method, what, says in (("GET", "", WHERE), ("GET", "/members", WHERE), ("PUT", "/read", WHERE),
                               ("GET", "/messages", "The id in the path must be a whole number above zero")):
        body = {"message_id": 1} if method == "PUT" else None
        assert api(method, f"/conversations/{path}{what}", body, alice.token) == (400, {"error": says}), (path, what)
for query, says in (("before=x", '"before" must be the "next" of an earlier page'), ("before=0", '"before" must be the "next" of an earlier page'),
                    ("limit=0", '"limit" must be a number from 1 to 100'), ("limit=101", '"limit" must be a number from 1 to 100')):
    assert api("GET", f"/conversations?{query}", token=alice.token) == (400, {"error": says}), query
for body in ({}, {"message_id": 0}, {"message_id": "1"}, {"message_id": None}, {"message_id": 2**63}, {"message_id": 1.5}):
    assert api("PUT", f"/conversations/{c}/read", body, alice.token) == (
        400, {"error": '"message_id" must be a message\'s id, a whole number above zero'}), body
for path, allow in (("", "GET, HEAD, POST, OPTIONS"), (f"/{c}", "GET, HEAD, PATCH, OPTIONS"), (f"/{c}/members", "GET, HEAD, POST, OPTIONS"),
                    (f"/{c}/messages", "GET, HEAD, POST, OPTIONS"), (f"/{c}/read", "PUT, OPTIONS")):
    assert api("DELETE", f"/conversations{path}", token=alice.token)[0] == 405
for path in ("/", f"/{c}/", f"/{c}/reads", f"/{c}/read/1", f"//read"):
    assert api("GET", f"/conversations{path}", token=alice.token)[0] == 404, path
a = connect(alice.token)
for type_ in ("read", "delivered"):
    for data, says in ((None, '"data" must be an object with "conversation_id" and "message_id"'),
                       ({"message_id": 1}, '"data.conversation_id" must be a conversation\'s id, a whole number above zero'),
                       ({"conversation_id": c}, '"data.message_id" must be a message\'s id, a whole number above zero'),
                       ({"conversation_id": c, "message_id": 0}, '"data.message_id" must be a message\'s id, a whole number above zero')):
        a.send({"type": type_, "id": "x", "data": data})
        assert a.recv() == {"type": "error", "id": "x", "error": says, "data": {"code": "bad_field", "temporary": False}}
    for id_ in ({"id": "y"}, {}):
        a.send({"type": type_, **id_, "data": {"conversation_id": 2**62, "message_id": 1}})
        assert a.recv() == {"type": "error", **id_, "error": "You are in no conversation with this id",
                            "data": {"code": "unknown_conversation", "temporary": False}}
PY
}

@test "read and delivered: watermarks that only move forward, told to every connection of each member on every host" {
    py - <<'PY'
from chats import *
alice, bob, carol = people(3)
c = know(alice, bob)
other = know(alice, carol)
ids = [write(alice, bob, f"message {n}") for n in range(4)]
late = write(alice, carol, "to another")
ones = [connect(u.token, n) for u in (alice, bob) for n in ("main", "two", "two")]
stranger = connect(carol.token)
def told(read, delivered, by=bob):
    for one in ones:
        assert one.until("receipt") == receipt(c, by, read, delivered)
b = ones[4]
mark(b, "delivered", c, ids[1])
told(0, ids[1])
mark(b, "read", c, ids[0])
told(ids[0], ids[1])
# What is read was delivered.
mark(b, "read", c, ids[2])
told(ids[2], ids[2])
mark(b, "delivered", c, ids[3])
told(ids[2], ids[3])
# Nothing moves back, and nobody hears of what did not move: the next thing told is the next that moved.
mark(b, "read", c, ids[0])
mark(b, "delivered", c, ids[2])
assert api("PUT", f"/conversations/{c}/read", {"message_id": ids[1]}, bob.token) == (204, None)
# Beyond the last message is the last one; also if that is in another conversation.
assert api("PUT", f"/conversations/{c}/read", {"message_id": late}, bob.token, "two") == (204, None)
told(ids[3], ids[3])
mark(b, "read", c, 2**63 - 1)
mark(ones[0], "read", c, ids[3])
told(ids[3], ids[3], alice)
members = api("GET", f"/conversations/{c}/members", token=alice.token)[1]
assert [(m["read_upto"], m["delivered_upto"]) for m in members] == [(ids[3], ids[3])] * 2, members
# A stranger heard nothing of all that.
mark(stranger, "read", other, late)
assert stranger.until("receipt") == receipt(other, carol, late, late)
PY
}

@test "a message may name its conversation in place of its receiver: it is the same message, for members alone" {
    py - <<'PY'
from chats import *
alice, bob, carol = people(3)
c, own = know(alice, bob), know(alice, alice)
a, a2, b = connect(alice.token), connect(alice.token, "two"), connect(bob.token, "two")
def say(client, conversation, content, id_, **more):
    client.send({"type": "message", "id": id_, "content": content, "data": {"conversation_id": conversation, **more}})
say(a, c, "by frame", "f")
ack = a.until("ack")["data"]
frame = b.until("message")
assert frame == a2.until("message")
assert (frame["content"], frame["data"]["message_id"], frame["data"]["conversation_id"], frame["data"]["sender_id"], frame["data"]["receiver_id"]) == (
    "by frame", ack["message_id"], c, alice.id, bob.id), frame
say(b, c, "back", "f")
back = a.until("message")
assert (back["content"], back["data"]["receiver_id"], back["data"]["sender_id"]) == ("back", alice.id, bob.id), back
assert b.until("ack")["data"]["message_id"] == back["data"]["message_id"]
say(a, own, "note", "n")
assert a.until("message")["data"]["receiver_id"] == alice.id
assert a.until("ack")["data"]["duplicate"] is False
def post(conversation, content, token, key=None):
    return api("POST", f"/conversations/{conversation}/messages", {"content": content}, token, headers={"Idempotency-Key": key} if key else {})
status, answer = post(c, "by request", alice.token, "k")
assert status == 201 and answer["duplicate"] is False, answer
assert b.until("message")["content"] == "by request"
# By whichever name, a key is that of one message.
again = (200, {"message_id": answer["message_id"], "duplicate": True})
assert post(c, "by request", alice.token, "k") == again
assert api("POST", "/messages", {"receiver_id": bob.id, "content": "by request"}, alice.token, headers={"Idempotency-Key": "k"}) == again
assert post(c, "another", alice.token, "k")[0] == 409 and post(own, "by request", alice.token, "k")[0] == 409
say(a, c, "by request", "k")
assert a.until("ack")["data"] | {"cursor": 0} == {"message_id": answer["message_id"], "duplicate": True, "cursor": 0}
# Whoever is no member learns nothing, and stores nothing, also beside others in a batch.
gone = {"error": "You are in no conversation with this id"}
stranger = connect(carol.token)
last = sql("select max(id) from messages")
for id_ in (c, 2**53):
    assert post(id_, "x", carol.token) == (404, gone)
    say(stranger, id_, "x", "s")
    assert stranger.until("error") == {"type": "error", "id": "s", **gone, "data": {"code": "unknown_conversation", "temporary": False}}
assert sql("select max(id) from messages") == last
with nothing_stored():
    say(a, c, "first", "b-1")
    writer_waits()
    for n, (client, conversation) in enumerate(((a, c), (stranger, c), (b, c), (a, own), (stranger, own))):
        say(client, conversation, f"many {n}", f"b{n}")
    a.message(bob.id, "to a receiver", "b-r")
assert [stranger.until("error")["data"]["code"] for _ in range(2)] == ["unknown_conversation"] * 2
assert sorted(b.until("message")["content"] for _ in range(3)) == ["first", "many 0", "to a receiver"]
assert sorted(a.until("message")["content"] for _ in range(2)) == ["many 2", "many 3"]
assert sorted(m["content"] for m in history(bob, c)[-4:]) == ["first", "many 0", "many 2", "to a receiver"]
# What is wrong with a frame.
WHERE = '"data.conversation_id" must be a conversation\'s id, a whole number above zero'
for data, says in (({"conversation_id": c, "receiver_id": bob.id}, '"data" must have "receiver_id" or "conversation_id", not both'),
                   ({"conversation_id": c, "receiver_id": None}, '"data" must have "receiver_id" or "conversation_id", not both'),
                   ({"conversation_id": "1"}, WHERE), ({"conversation_id": 0}, WHERE), ({"conversation_id": None}, WHERE)):
    a.send({"type": "message", "id": "w", "content": "x", "data": data})
    assert a.until("error") == {"type": "error", "id": "w", "error": says, "data": {"code": "bad_field", "temporary": False}}, data
assert api("POST", "/conversations/x/messages", {"content": "x"}, alice.token) == (
    400, {"error": "The id in the path must be a whole number above zero"})
assert api("POST", f"/conversations/{c}/messages", {}, alice.token) == (400, {"error": '"content" must be a string'})
PY
}

@test "before the first message of a conversation nothing is read" {
    py - <<'PY'
from chats import *
alice, bob = people(2)
early = write(alice, alice, "note")
c = know(alice, bob)
b = connect(bob.token)
mark(b, "read", c, early)
mark(b, "delivered", c, early)
id_ = write(alice, bob, "one")
mark(b, "delivered", c, id_)
assert b.until("receipt") == receipt(c, bob, 0, id_)
PY
}

@test "unread: messages of others after the last one that was read or written; the list, the conversation and the receipts agree" {
    py - <<'PY'
from chats import *
alice, bob = people(2)
c = know(alice, bob)
def unread(who):
    [one] = [x for x in listed(who) if x["id"] == c]
    assert one == api("GET", f"/conversations/{c}", token=who.token)[1]
    return one["unread"], one["read_upto"]
begin = write(bob, alice, "begin")
assert api("PUT", f"/conversations/{c}/read", {"message_id": begin}, alice.token)[0] == 204
ids = [write(alice, bob, f"message {n}") for n in range(3)]
assert unread(alice) == (0, begin) and unread(bob) == (3, 0)  # bob wrote before
assert api("PUT", f"/conversations/{c}/read", {"message_id": ids[1]}, bob.token)[0] == 204
assert unread(bob) == (1, ids[1])
# One's own are not unread, and whoever writes has read.
write(bob, alice, "answer")
assert unread(bob) == (0, ids[1]) and unread(alice) == (1, begin)
more = [write(alice, bob, f"more {n}") for n in range(2)]
assert unread(bob) == (2, ids[1])
# A message that is deleted, or removed by hand, is not unread any more; one that is edited is.
more.append(write(alice, bob, "more"))
for method, id_, body in (("PATCH", more[0], {"content": "edited"}), ("PATCH", ids[0], {"content": "edited"}), ("DELETE", ids[1], None)):
    assert api(method, f"/conversations/{c}/messages/{id_}", body, alice.token)[0] in (200, 204)
    assert unread(bob) == (3, ids[1])
assert api("DELETE", f"/conversations/{c}/messages/{more[2]}", token=alice.token)[0] == 204
assert unread(bob) == (2, ids[1])
assert listed(bob)[0]["last_message"] | {"created_at": 0, "edited_at": 0} == {
    "id": more[2], "conversation_id": c, "sender_id": alice.id, "receiver_id": bob.id, "content": "", "deleted": True,
    "created_at": 0, "edited_at": 0}
sql(f"delete from messages where id = {more[1]}")
assert unread(bob) == (1, ids[1])
# A hundred stands for that many and more.
sql(f"insert into messages (sender_id, receiver_id, content) select {alice.id}, {bob.id}, 'm' from generate_series(1, 98)")
assert unread(bob) == (99, ids[1])
sql(f"insert into messages (sender_id, receiver_id, content) select {alice.id}, {bob.id}, 'm' from generate_series(1, 2)")
assert unread(bob) == (100, ids[1])
last = listed(bob)[0]["last_message"]["id"]
assert api("PUT", f"/conversations/{c}/read", {"message_id": last}, bob.token)[0] == 204
assert unread(bob) == (0, last)
assert listed(alice)[0]["peer"]["read_upto"] == last
# Notes to oneself are not unread, however many.
write(bob, bob, "note")
assert [x["unread"] for x in listed(bob)] == [0, 0]
PY
}

@test "what was read while a client was away is there when it is back, in the list" {
    py - <<'PY'
from chats import *
alice, bob = people(2)
c = know(alice, bob)
id_ = write(alice, bob, "one")
a = connect(alice.token, path="/ws?cursor=")
cursor = a.expect("resumed")["data"]["cursor"]
a.close()
b = connect(bob.token, "two")
mark(b, "read", c, id_)
assert b.until("receipt") == receipt(c, bob, id_, id_)
a = connect(alice.token, path=f"/ws?cursor={cursor}")
assert a.expect("resumed")["data"]["recovered"] is True
[one] = listed(alice)
assert (one["peer"]["read_upto"], one["peer"]["delivered_upto"], one["read_upto"]) == (id_, id_, 0), one
PY
}

@test "an event stream shows receipts, as a line or as an event without an id" {
    py - <<'PY'
from chats import *
alice, bob = people(2)
c = know(alice, bob)
id_ = write(alice, bob, "one")
x = http.client.HTTPConnection("127.0.0.1", port("two"), timeout=WAIT)
x.request("GET", "/events", headers={"Authorization": f"Bearer {alice.token}"})
lines = x.getresponse()
assert json.loads(lines.readline())["type"] == "resumed"
y = http.client.HTTPConnection("127.0.0.1", port(), timeout=WAIT)
y.request("GET", "/events", headers={"Authorization": f"Bearer {bob.token}", "Accept": "text/event-stream"})
events = y.getresponse()
assert events.readline().startswith(b"id: ") and b'"resumed"' in events.readline() and events.readline() == b"\n"
mark(connect(bob.token), "read", c, id_)
assert json.loads(lines.readline()) == receipt(c, bob, id_, id_)
line = events.readline()
assert line.startswith(b"data: ") and json.loads(line[6:]) == receipt(c, bob, id_, id_), line
PY
}

@test "the list shows who is online as GET /users does" {
    py - <<'PY'
from chats import *
alice, bob = people(2)
c = know(alice, bob)
write(alice, bob, "one")
def online(who, name):
    shown = api("GET", f"/conversations/{c}", token=who.token, name=name)[1]["peer"]["online"]
    assert [listed(who, name)[0]["peer"]["online"]] == [shown]
    other = bob if who is alice else alice
    assert [m["online"] for m in api("GET", f"/conversations/{c}/members", token=who.token, name=name)[1] if m["user_id"] == other.id] == [shown]
    return shown
assert not online(alice, "shown")
b = connect(bob.token, "shown")
assert online(alice, "shown") and not online(alice, "main") and not online(bob, "shown")
PY
}

@test "a page ends at a megabyte, however long the last messages are" {
    py - <<'PY'
from chats import *
alice, *others = people(7)
for other in others:
    sql(f"insert into messages (sender_id, receiver_id, content) values ({other.id}, {alice.id}, repeat(chr(1), 65536))")
sizes, before = [], ""
got = []
while before is not None:
    c = http.client.HTTPConnection("127.0.0.1", port(), timeout=WAIT)
    c.request("GET", f"/conversations{before and '?before=' + before}", headers={"Authorization": f"Bearer {alice.token}"})
    text = c.getresponse().read()
    assert len(text) < 2**20, len(text)
    page = json.loads(text)
    got += page["conversations"]
    before = page["next"]
assert [x["peer"]["id"] for x in got] == [o.id for o in reversed(others)]
assert all(x["last_message"]["content"] == "\u0001" * 65536 for x in got)
PY
}

@test "a broker that dies with receipts under way: the next one stores them, and a client of another host hears of them" {
    py - <<'PY'
from chats import *
import signal
alice, bob = people(2)
c = know(alice, bob)
ids = [write(alice, bob, f"message {n}") for n in range(20)]
a, b = connect(alice.token, "two"), connect(bob.token)
# Its first statement waits for a row that somebody holds; the others wait behind it.
with held(f"select from members where conversation_id = {c} for update"):
    for id_ in ids:
        mark(b, "read", c, id_)
    eventually(lambda: sql("select count(*) from pg_stat_activity where datname = current_database() and query like '%receipt_put%'"
                           " and wait_event_type = 'Lock'") == "1")
    [broker] = children("broker")
    os.kill(broker, signal.SIGKILL)
    eventually(lambda: children("broker") not in ([], [broker]))
while a.until("receipt")["data"]["read_upto"] < ids[-1]:
    pass
b.send({"type": "ping", "id": "p"})
while (frame := b.recv())["type"] != "pong":
    assert frame["type"] == "receipt", frame
assert [m["read_upto"] for m in api("GET", f"/conversations/{c}/members", token=bob.token)[1]] == [0, ids[-1]]
PY
}

@test "one who sends receipts without end: what is beyond a bound gets a temporary error, and nothing is lost, nor of others" {
    py - <<'PY'
from chats import *
alice, bob, carol = people(3)
c, d = know(alice, bob), know(carol, bob)
ids = [write(alice, bob, f"message {n}") for n in range(50)]
id_ = write(carol, bob, "one")
flood = [connect(alice.token) for _ in range(8)]
b = connect(bob.token)
[broker] = children("broker")
with held(f"select from members where conversation_id = {c} and user_id = {alice.id} for update"):
    mark(flood[0], "read", c, ids[0])
    eventually(lambda: sql("select count(*) from pg_stat_activity where datname = current_database() and query like '%receipt_put%'"
                           " and wait_event_type = 'Lock'") == "1")
    # 256 of one account may wait; each connection has 64 without an answer.
    for one in flood:
        for n in range(63):
            mark(one, "read", c, ids[n % 50], f"r{n}")
    errors = 0
    while errors < 8 * 63 - 256:
        for one in flood:
            while errors < 8 * 63 - 256:
                try:
                    frame = one.recv(0.05)
                except asyncio.TimeoutError:
                    break
                if frame["type"] == "error":
                    assert frame["data"] == {"code": "overloaded", "temporary": True}, frame
                    errors += 1
    mark(b, "read", d, id_)
while b.until("receipt")["data"]["conversation_id"] != d:
    pass
eventually(lambda: [m["read_upto"] for m in api("GET", f"/conversations/{d}/members", token=bob.token)[1]] in ([id_, 0], [0, id_]))
eventually(lambda: max(m["read_upto"] for m in api("GET", f"/conversations/{c}/members", token=bob.token)[1]) == ids[49])
PY
}
