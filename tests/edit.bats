#!/usr/bin/env bats
# Whoever sent a message changes its text, or deletes it: everybody of the conversation sees that in its place
# among the messages, on every host, also who comes back later; nobody else may, and what was there is gone.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    local name
    for name in main two; do
        server_start "$name" -o presence=off -o ping_interval=10m -o write_timeout=10m -o typing_rate=1000
    done
}

teardown_file() {
    server_teardown_file
}

# --- what it does ---

@test "PATCH: the answer is the message as the histories of both then show it; DELETE is 204, and again" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a = connect(alice.token)
m = sent(a, bob, "one")
before = shown(bob, alice, m)
assert "edited_at" not in before and "deleted" not in before, before
status, message = patch(alice, c, m, 'tw"o \u2603')
assert status == 200 and message == {**before, "content": 'tw"o \u2603', "edited_at": message["edited_at"]}, message
assert message["edited_at"] > before["created_at"] and message["edited_at"].endswith("Z")
for who, other, n in ((alice, bob, "two"), (bob, alice, "main"), (bob, alice, "two")):
    assert shown(who, other, m, n) == message
# The other host changes it, too.
status, again = patch(alice, c, m, "three", "two")
assert (status, again["content"]) == (200, "three") and again["edited_at"] > message["edited_at"]
for n in ("main", "two", "main"):
    assert remove(alice, c, m, n) == (204, None)
gone = shown(bob, alice, m)
assert gone == {**before, "content": "", "edited_at": gone["edited_at"], "deleted": True}, gone
assert gone["edited_at"] > again["edited_at"]
PY
}

@test "frames: every connection of both on every host sees it once, in order; with an id there is an ack, in its place" {
    py - <<'PY'
from edits import *
alice, bob, carol = user(), user(), user()
c = conversation(alice, bob)
a, a2, a3 = connect(alice.token), connect(alice.token), connect(alice.token, "two")
b, b2, x = connect(bob.token), connect(bob.token, "two"), connect(carol.token)
m = sent(a, bob, "one")
for client in (a2, a3, b, b2):
    assert client.expect("message")["content"] == "one"
edit(a, c, m, "two", "e-1")
frames = [client.recv() for client in (a, a2, a3, b, b2)]
first = frames[0]
assert is_change(first, m, "two") and all(f == first for f in frames), frames
assert first["data"].keys() == {"message_id", "conversation_id", "edited_at", "deleted", "cursor"} and first["data"]["conversation_id"] == c
assert first["data"]["edited_at"] == shown(bob, alice, m)["edited_at"]
ack = a.expect("ack")
assert ack == {"type": "ack", "id": "e-1", "data": {"message_id": m, "cursor": first["data"]["cursor"]}}, ack
# Without an id, and on the other host.
edit(a3, c, m, "three")
delete(a3, c, m, "d-1")
for client in (a, a2, b, b2, a3):
    f = client.recv()
    if is_change(f, m, "three"):
        f = client.recv()
    assert is_change(f, m, "", True), f
assert a3.expect("ack")["id"] == "d-1"
# It is deleted already: that is so, and nobody hears of it again.
delete(a, c, m, "d-2")
ack = a.expect("ack")
assert ack["id"] == "d-2" and change({"data": ack["data"]}) == change(f), (ack, f)
a.message(carol.id, "end", "end")
assert a.expect("ack") and x.recv()["content"] == "end"
PY
}

@test "the same text again changes nothing: it has the time that it had, and nobody hears of it" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a, b = connect(alice.token), connect(bob.token)
m = sent(a, bob, "one")
edit(a, c, m, "one", "e-1")
assert a.expect("ack")["id"] == "e-1" and "edited_at" not in shown(bob, alice, m)
status, message = patch(alice, c, m, "two")
assert patch(alice, c, m, "two") == (200, message)
assert b.expect("message") and is_change(b.recv(), m, "two")
a.message(bob.id, "end")
assert b.expect("message")["content"] == "end"
PY
}

@test "a note to oneself can be changed, too" {
    py - <<'PY'
from edits import *
alice = user()
c = conversation(alice, alice)
a, a2 = connect(alice.token), connect(alice.token, "two")
m = sent(a, alice, "note")
assert a2.expect("message")
edit(a2, c, m, "other note", "e")
for client in (a, a2):
    while (f := client.recv())["type"] == "message":
        pass
    assert is_change(f, m, "other note"), f
assert a2.expect("ack") and remove(alice, c, m)[0] == 204
PY
}

@test "an update that is typed into psql reaches everybody, as an edit and as a deletion" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a, b, b2 = connect(alice.token), connect(bob.token), connect(bob.token, "two")
m = sent(a, bob, "one")
assert b.expect("message") and b2.expect("message")
sql(f"update messages set content = 'by hand' where id = {m}")
for client in (a, b, b2):
    assert is_change(client.recv(), m, "by hand")
sql(f"update messages set deleted = true where id = {m}")
for client in (a, b, b2):
    assert is_change(client.recv(), m, "", True)
assert sql(f"select content = '' from messages where id = {m}") == "t"
PY
}

# --- who may, and what ---

@test "a stranger gets 404, the other user of the conversation 403, and nothing changes; what is deleted stays so: 409" {
    py - <<'PY'
from edits import *
alice, bob, carol = user(), user(), user()
c, d = conversation(alice, bob), conversation(alice, carol)
a, b, x = connect(alice.token), connect(bob.token), connect(carol.token)
m = sent(a, bob, "one")
assert b.expect("message")
NONE = "There is no message with this message_id in a conversation of yours with this conversation_id"
ONLY = "Only who sent a message may change or delete it"
for who, client, place, status, code, text in (
        (carol, x, (c, m), 404, "unknown_message", NONE), (carol, x, (d, m), 404, "unknown_message", NONE),
        (alice, a, (d, m), 404, "unknown_message", NONE), (alice, a, (c, 2**53), 404, "unknown_message", NONE),
        (alice, a, (2**53, m), 404, "unknown_message", NONE), (bob, b, (c, m), 403, "not_sender", ONLY)):
    assert patch(who, *place, "x") == (status, {"error": text})
    assert remove(who, *place) == (status, {"error": text})
    for frame in (lambda: edit(client, *place, "x", "f"), lambda: delete(client, *place, "f"), lambda: delete(client, *place)):
        frame()
        error = client.expect("error")
        assert (error["error"], error["data"]) == (text, {"code": code, "temporary": False}) and error.get("id") in ("f", None), error
assert shown(alice, bob, m)["content"] == "one" and "edited_at" not in shown(alice, bob, m)
assert remove(alice, c, m)[0] == 204 and patch(alice, c, m, "x") == (409, {"error": "This message was deleted, so it cannot be edited"})
assert is_change(a.recv(), m, "", True)
edit(a, c, m, "x", "late")
error = a.expect("error")
assert (error["id"], error["data"]["code"]) == ("late", "deleted"), error
api("POST", "/logout", None, alice.token)
assert patch(alice, c, m, "x")[0] == 401 and remove(alice, c, m)[0] == 401
PY
}

@test "what is malformed is refused by name: 400, 413, 415, and errors that carry the frame's id" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a = connect(alice.token)
m = sent(a, bob, "one")
for path, says in ((at("x", m), "The conversation's id in the path"), (at(0, m), "The conversation's id in the path"),
                   (at(c, "x"), "The message's id in the path"), (at(c, "0"), "The message's id in the path"), (at(c, "9" * 19), "The message's id")):
    for method, body in (("PATCH", {"content": "x"}), ("DELETE", None)):
        status, answer = api(method, path, body, alice.token)
        assert status == 400 and answer["error"].startswith(says), (method, path, answer)
for body, status, says in (({}, 400, '"content" must be a string'), ({"content": 7}, 400, '"content" must be a string'),
                           ({"content": None}, 400, '"content" must be a string'), ({"content": ""}, 400, '"content" must not be empty'),
                           ({"content": "x" * 16385}, 413, '"content" is too long'), ("[]", 400, "")):
    got, answer = api("PATCH", at(c, m), body, alice.token)
    assert got == status and answer["error"].startswith(says), (str(body)[:50], got, answer)
assert api("PATCH", at(c, m), "content", alice.token, headers={"Content-Type": "text/plain"})[0] == 415
assert api("PATCH", at(c, m), {"content": "x"})[0] == 401 and api("DELETE", at(c, m))[0] == 401
for method in ("GET", "POST", "PUT"):
    assert api(method, at(c, m), None, alice.token)[0] == 405
assert api("PATCH", at(c, m) + "/x", {"content": "x"}, alice.token)[0] == 404
DATA = '"data" must be an object with "conversation_id" and "message_id"'
C = "\"data.conversation_id\" must be a conversation's id, a whole number above zero"
M = "\"data.message_id\" must be a message's id, a whole number above zero"
for kind, more in (("edit", {"content": "x"}), ("delete", {})):
    for data, says in ((None, DATA), (7, DATA), ([c, m], DATA), ({}, C), ({"message_id": m}, C), ({"conversation_id": c}, M),
                       *[({"conversation_id": wrong, "message_id": m}, C) for wrong in ("1", 0, -1, 1.5, 2**63, None)],
                       *[({"conversation_id": c, "message_id": wrong}, M) for wrong in ("1", 0, -1, 1.5, 2**63, None)]):
        a.send({"type": kind, "id": "f", **more, **({} if data is None else {"data": data})})
        error = a.expect("error")
        assert error == {"type": "error", "id": "f", "error": says, "data": {"code": "bad_field", "temporary": False}}, (kind, data, error)
for content, code in ((None, "bad_field"), (7, "bad_field"), ("", "bad_field"), ("x" * 16385, "too_large")):
    a.send({"type": "edit", "content": content, "data": {"conversation_id": c, "message_id": m}})
    assert a.expect("error")["data"]["code"] == code
a.send({"type": "edits"})
assert '"edit", "delete"' in a.expect("error")["error"]
assert shown(bob, alice, m)["content"] == "one"
PY
}

@test "edit_time: after that the text stays, and the message can still be deleted; the text that it has is no edit" {
    server_start strict -o presence=off -o edit_time=1h
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a = connect(alice.token, "strict")
m = sent(a, bob, "one")
sql(f"update messages set created_at = created_at - interval '59 minutes' where id = {m}")
assert patch(alice, c, m, "two", "strict")[0] == 200
sql(f"update messages set created_at = created_at - interval '1 minute' where id = {m}")
TEXT = "This message was sent too long ago to be edited; it can still be deleted"
assert patch(alice, c, m, "three", "strict") == (403, {"error": TEXT})
assert is_change(a.recv(), m, "two")
edit(a, c, m, "three", "e")
error = a.expect("error")
assert (error["id"], error["error"], error["data"]["code"]) == ("e", TEXT, "too_late"), error
# As a client does that did not hear that it was done in time.
edit(a, c, m, "two", "again")
assert a.expect("ack")["id"] == "again"
# Where there is no bound there is none.
assert patch(alice, c, m, "four")[0] == 200
assert remove(alice, c, m, "strict")[0] == 204
PY
}

@test "quota_bytes counts new texts as it counts messages; what changes nothing, and deleting, costs nothing" {
    server_start quota -o presence=off -o quota_bytes=100
    py - <<'PY'
from edits import *
alice, bob, carol = user(), user(), user()
c = conversation(alice, bob)
a = connect(alice.token, "quota")
m, n = sent(a, bob, "x" * 30), sent(a, bob, "x" * 20)
assert patch(alice, c, m, "y" * 30, "quota")[0] == 200
assert is_change(a.recv(), m, "y" * 30)
for _ in range(5):
    assert patch(alice, c, m, "y" * 30, "quota")[0] == 200
assert patch(alice, c, m, "z" * 21, "quota")[0] == 429
assert patch(alice, c, m, "z" * 20, "quota")[0] == 200
assert is_change(a.recv(), m, "z" * 20)
a.message(bob.id, "x", "m")
assert a.expect("error")["data"]["code"] == "quota"
edit(a, c, n, "z", "e")
assert a.expect("error")["data"]["code"] == "quota"
assert patch(alice, c, n, "z", "quota")[0] == 429
assert remove(alice, c, n, "quota")[0] == 204 and remove(alice, c, m, "quota")[0] == 204
# Of another, and where there is none.
d = conversation(carol, bob)
o = sent(connect(carol.token, "quota"), bob, "one")
assert patch(carol, d, o, "two", "quota")[0] == 200
PY
}

@test "what was replaced or deleted is nowhere: not in the tables, nor in what anybody is shown" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
start = cursor_of(bob)
a = connect(alice.token)
SECRET, LONG = f"secret-{alice.name}", f"long-{alice.name} " * 700
m, n, o = sent(a, bob, SECRET), sent(a, bob, LONG), sent(a, bob, "plain")
assert patch(alice, c, m, "harmless")[0] == 200 and remove(alice, c, n)[0] == 204 and remove(alice, c, m)[0] == 204
assert patch(alice, c, o, SECRET)[0] == 200 and patch(alice, c, o, "harmless, too")[0] == 200
b = connect(bob.token, "two", path=f"/ws?cursor={start}")
got, _ = until_resumed(b)
assert [(f["type"], f["content"]) for f in got] == [("message", ""), ("message", ""), ("message", "harmless, too"),
    ("message_changed", ""), ("message_changed", ""), ("message_changed", "harmless, too")], got
histories = [api("GET", f"/messages/{other.id}", token=who.token) for who, other in ((alice, bob), (bob, alice))]
dump = subprocess.run(["pg_dump", "--data-only"], check=True, capture_output=True, text=True).stdout
assert "harmless, too" in dump
for text in (dump, json.dumps(got), json.dumps(histories)):
    assert f"secret-{alice.name}" not in text and f"long-{alice.name}" not in text
assert sql("select count(*) from earlier_texts") == "0"
PY
}

@test "audit: each text that was there is kept, with when it was replaced, for nobody but the owner of the database" {
    server_start audited -o presence=off -o audit=on
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a = connect(alice.token, "audited")
m = sent(a, bob, "one")
for text in ("two", "two", "three"):
    assert patch(alice, c, m, text, "audited")[0] == 200
assert patch(bob, c, m, "not his", "audited")[0] == 403
for _ in range(2):
    assert remove(alice, c, m, "audited")[0] == 204
assert sql(f"select string_agg(content, ',' order by replaced_at) from earlier_texts where message_id = {m}") == "one,two,three"
assert sql(f"select max(abs(extract(epoch from e.replaced_at - m.edited_at))) < 1 from earlier_texts e, messages m"
           f" where m.id = {m} and e.message_id = m.id and e.content = 'three'") == "t"
assert sql("select has_table_privilege('public', 'chatd.earlier_texts', 'select, insert, update, delete')") == "f"
PY
}

@test "a message that comes again with its id, after it was changed, is taken for that one, and changes nothing" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a, b = connect(alice.token), connect(bob.token)
m = sent(a, bob, "one", "key-1")
assert patch(alice, c, m, "two")[0] == 200 and is_change(a.recv(), m, "two")
a.message(bob.id, "one", "key-1")
ack = a.expect("ack")["data"]
assert (ack["message_id"], ack["duplicate"]) == (m, True), ack
a.message(alice.id, "one", "key-1")
assert a.expect("error")["data"]["code"] == "conflict"
assert shown(bob, alice, m)["content"] == "two"
PY
}

# --- order, and who comes back ---

@test "resume: whoever was away gets messages in their latest state at their place, and each change once, at its own" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a = connect(alice.token)
start = cursor_of(bob)
one, two = sent(a, bob, "one"), sent(a, bob, "two")
middle = cursor_of(bob)
patch(alice, c, one, "first"), patch(alice, c, two, "second")
three = sent(a, bob, "three")
patch(alice, c, one, "FIRST"), remove(alice, c, three)
def missed(cursor, name):
    b = connect(bob.token, name, path=f"/ws?cursor={cursor}")
    got, end = until_resumed(b)
    assert end["data"]["recovered"] is True
    assert sorted(map(change, got)) == list(map(change, got)) and (not got or end["data"]["cursor"] == got[-1]["data"]["cursor"])
    assert all(("edited_at" in f["data"]) for f in got)
    b.close()
    return [(f["type"], f["data"]["message_id"], f["content"], f["data"].get("deleted", False)) for f in got], got
changes = [("message_changed", two, "second", False), ("message", three, "", True),
           ("message_changed", one, "FIRST", False), ("message_changed", three, "", True)]
for name in ("main", "two"):
    assert missed(middle, name)[0] == changes
    all_of_it, got = missed(start, name)
    assert all_of_it == [("message", one, "FIRST", False), ("message", two, "second", False)] + changes
    # From each place on, the rest.
    for i, frame in enumerate(got):
        assert missed(frame["data"]["cursor"], name)[0] == all_of_it[i + 1:], i
PY
}

@test "resume: a cursor is good although the change that it names is gone, for the message was changed again" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a, b = connect(alice.token), connect(bob.token)
m, _ = sent(a, bob, "one"), sent(a, bob, "between")
assert b.expect("message") and b.expect("message")
patch(alice, c, m, "two")
old = b.recv()
assert is_change(old, m, "two")
b.close()
patch(alice, c, m, "three")
new = sent(a, bob, "new")
patch(alice, c, m, "four")
for name in ("main", "two"):
    b = connect(bob.token, name, path=f"/ws?cursor={old['data']['cursor']}")
    got, end = until_resumed(b)
    assert end["data"]["recovered"] is True, end
    assert [(f["type"], f["content"]) for f in got] == [("message", "new"), ("message_changed", "four")], got
    # By a frame, too; what came on this connection is not repeated.
    b.send({"type": "resume", "id": "r", "data": {"cursor": old["data"]["cursor"]}})
    assert b.recv() == {"type": "resumed", "id": "r", "data": {"cursor": end["data"]["cursor"], "recovered": True}}
    b.close()
# The cursor of an ack is one of them.
edit(a, c, m, "five", "e")
ack = a.until("ack")["data"]
patch(alice, c, m, "six")
a = connect(alice.token, path=f"/ws?cursor={ack['cursor']}")
got, end = until_resumed(a)
assert end["data"]["recovered"] is True and len(got) == 1 and is_change(got[0], m, "six"), got
PY
}

@test "resume: more than a page of messages and changes of them, also for one who knows very many, comes in order" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
start = cursor_of(bob)
def ids():
    return [int(i) for i in sql(f"select id from messages where conversation_id = {c} and content <> 'hello' order by id").split()]
for n in range(4):
    sql(f"insert into messages (sender_id, receiver_id, content) select {alice.id}, {bob.id}, 'm' from generate_series(1, 70)")
    sql(f"update messages set content = 'changed {n}' where conversation_id = {c} and id % 4 = {n} and content <> 'hello'")
expected = [int(i) for i in sql(f"select id from messages where conversation_id = {c} and content <> 'hello' union"
                                f" select changed from messages where conversation_id = {c} and changed is not null order by 1").split()]
assert len(expected) > 400
def check():
    b = connect(bob.token, path=f"/ws?cursor={start}")
    got, end = until_resumed(b)
    assert end["data"]["recovered"] and list(map(change, got)) == expected, (len(got), len(expected))
    b.close()
check()
sql(f"insert into contacts select {bob.id}, n, nextval('conversation_seq') from generate_series(2000000, 2001100) n")
check()
# And live, while nobody reads: every one of them, once.
b = connect(bob.token, "two")
last = expected[-1]
sql(f"update messages set content = 'again' where conversation_id = {c} and content <> 'hello'")
sql(f"insert into messages (sender_id, receiver_id, content) values ({alice.id}, {bob.id}, 'end')")
got = [b.recv() for _ in range(len(ids()))]
assert got[-1]["content"] == "end" and all(f["content"] == "again" for f in got[:-1])
assert sorted(map(change, got)) == list(map(change, got)) and len({f["data"]["message_id"] for f in got}) == len(got)
PY
}

@test "an event stream brings changes as it brings messages, each with the cursor that a reconnect names" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a = connect(alice.token)
m = sent(a, bob, "one")
def stream(accept, n, **headers):
    h = http.client.HTTPConnection("127.0.0.1", port(n), timeout=WAIT)
    h.request("GET", "/events", headers={"Authorization": f"Bearer {bob.token}", "Accept": accept, **headers})
    return h.getresponse()
def event(s):
    return s.readline()[4:-1].decode(), json.loads(s.readline()[6:]), s.readline()
lines, events = stream("*/*", "main"), stream("text/event-stream", "two")
assert json.loads(lines.readline())["type"] == "resumed" and event(events)[1]["type"] == "resumed"
patch(alice, c, m, "two")
line = json.loads(lines.readline())
id_, data, _ = event(events)
assert is_change(line, m, "two") and data == line and id_ == line["data"]["cursor"], (id_, data)
remove(alice, c, m)
assert is_change(json.loads(lines.readline()), m, "", True)
again = stream("text/event-stream", "main", **{"Last-Event-ID": id_})
assert is_change(event(again)[1], m, "", True) and event(again)[1]["data"]["recovered"] is True
PY
}

@test "messages and changes of them, many at once on two hosts: all are acknowledged, and both users see one order" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a, b, a2, b2 = connect(alice.token), connect(bob.token, "two"), connect(alice.token, "two"), connect(bob.token)
# Each of the two changes what it sent.
own = {id(a): [sent(a, bob, f"a {n}") for n in range(5)], id(b): [sent(b, alice, f"b {n}") for n in range(5)]}
everything = {}                 # by connection: the events it saw
for k, client in (("a2", a2), ("b2", b2)):
    everything[k] = [client.expect("message") for _ in range(10)]
ROUNDS = 30
for n in range(ROUNDS):
    for client, to in ((a, bob), (b, alice)):
        client.message(to.id, f"new {n}", f"m-{n}")
        edit(client, c, own[id(client)][n % 5], f"text {n}", f"e-{n}")
        if n % 3 == 0:
            client.message(to.id, f"more {n}", f"n-{n}")
for client in (a, b):
    acks = []
    while len(acks) < 2 * ROUNDS + 10:
        f = client.recv()
        assert f["type"] in ("ack", "message", "message_changed"), f
        if f["type"] == "ack":
            acks.append(f)
    places = [int(f["data"]["cursor"].split("-")[1]) for f in acks]
    assert places == sorted(places), places
end = sent(a, bob, "end")
for k, client in (("a2", a2), ("b2", b2)):
    got = []
    while not got or got[-1].get("content") != "end":
        got.append(client.recv())
    assert [change(f) for f in got] == sorted({change(f) for f in got})
    everything[k] = got
    assert len([f for f in got if f["type"] == "message"]) == 2 * (ROUNDS + 10) + 1
latest = [{f["data"]["message_id"]: f["content"] for f in got if f["type"] == "message_changed"} for got in everything.values()]
assert latest[0] == latest[1] and len(latest[0]) == 10
for m, content in latest[0].items():
    assert sql(f"select content from messages where id = {m}") == content
PY
}

# --- what fails meanwhile ---

@test "the broker is killed while changes wait and are under way: each is made, acknowledged, and seen" {
    py - <<'PY'
import signal
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a, b, b2 = connect(alice.token), connect(bob.token), connect(bob.token, "two")
ms = [sent(a, bob, f"m {n}") for n in range(4)]
for client in (b, b2):
    for n in range(4):
        assert client.expect("message")
answers = []
# Signed in already: only what is asked then is asked again of the next broker.
rests = {method: http.client.HTTPConnection("127.0.0.1", port(), timeout=WAIT) for method in ("PATCH", "DELETE")}
def ask(connection, method, path, body=None):
    connection.request(method, path, body and json.dumps(body), {"Authorization": f"Bearer {alice.token}", "Content-Type": "application/json"})
    r = connection.getresponse()
    r.read()
    return r.status
def rest(method):
    id_, body = (ms[3], {"content": "by REST"}) if method == "PATCH" else (ms[2], None)
    answers.append(ask(rests[method], method, f"/conversations/{c}/messages/{id_}", body))
for round_ in range(3):
    assert [ask(rests[method], "GET", "/me") for method in ("PATCH", "DELETE")] == [200, 200]
    with nothing_stored():
        edit(a, c, ms[0], f"first {round_}", f"e-{round_}")
        writer_waits()
        for n in range(20):
            edit(a, c, ms[1], f"second {round_} {n}", f"f-{round_}-{n}")
        threads = [threading.Thread(target=rest, args=(method,)) for method in ("PATCH", "DELETE")]
        for thread in threads:
            thread.start()
        [old] = children("broker")
        os.kill(old, signal.SIGKILL)
        eventually(lambda: children("broker") not in ([], [old]))
    for thread in threads:
        thread.join(WAIT)
    acks = [a.until("ack")["id"] for _ in range(21)]
    assert sorted(acks) == sorted([f"e-{round_}"] + [f"f-{round_}-{n}" for n in range(20)]), acks
assert sorted(answers) == [200] * 3 + [204] * 3, answers
a.message(bob.id, "end", "end")
for client in (b, b2):
    got = []
    while not got or got[-1]["content"] != "end":
        got.append(client.recv())
    places = list(map(change, got))
    assert places == sorted(set(places)), places
    latest = {f["data"]["message_id"]: f["content"] for f in got}
    assert [latest[m] for m in ms] == ["first 2", "second 2 19", "", "by REST"], latest
assert sql(f"select string_agg(content, ',' order by id) from messages where id in ({ms[0]}, {ms[1]}, {ms[2]}, {ms[3]})") == "first 2,second 2 19,,by REST"
PY
}

@test "the link to the database is lost while changes wait and are under way: each gets a temporary error, or an ack; later ones are made" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a, b = connect(alice.token), connect(bob.token)
m = sent(a, bob, "one")
assert b.expect("message")
with nothing_stored():
    edit(a, c, m, "under way", "e-0")
    writer_waits()
    for n in range(1, 30):
        edit(a, c, m, f"waits {n}", f"e-{n}")
    # They are in the broker when it has answered this.
    a.send({"type": "resume", "id": "r"})
    assert a.until("resumed")
    sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database()"
        " and application_name = 'chatd writer'")
    answers = [a.recv() for _ in range(30)]
assert all(f["type"] == "error" and f["data"] == {"code": "unavailable", "temporary": True} for f in answers), answers
assert sorted(f["id"] for f in answers) == sorted(f"e-{n}" for n in range(30))
def made():
    edit(a, c, m, "again", "again")
    f = a.recv()
    while f.get("id") != "again":
        f = a.recv()
    return f["type"] == "ack"
eventually(made)
while not is_change(b.recv(), m, "again"):
    pass
assert shown(bob, alice, m)["content"] == "again"
PY
}

@test "an account whose changes pile up gets errors beyond its bound; nobody else's changes and messages wait behind them" {
    py - <<'PY'
from edits import *
alice, bob, carol = user(), user(), user()
c, d = conversation(alice, bob), conversation(carol, bob)
three = [connect(alice.token) for _ in range(3)]
a, x = three[0], connect(carol.token)
m, n = sent(a, bob, "one"), sent(x, bob, "one")
for client in three[1:]:
    assert client.expect("message")
with nothing_stored():
    edit(a, c, m, "under way", "e")
    writer_waits()
    for k, client in enumerate(three):
        for i in range(60):
            edit(client, c, m, f"{k} {i}", f"e-{k}-{i}")
        # They are in the broker when it has answered this.
        client.send({"type": "resume", "id": "r"})
        refused, _ = until_resumed(client)
    # 180 have come, and 128 may wait.
    assert len(refused) == 52 and all(f["type"] == "error" for f in refused), refused
    assert all(f["data"] == {"code": "overloaded", "temporary": True} for f in refused), refused
    edit(x, d, n, "hers", "x-1")
    x.message(bob.id, "her message", "x-2")
    x.send({"type": "resume", "id": "r"})
    assert x.until("resumed")
acks = [x.until("ack") for _ in range(2)]
assert {f["id"] for f in acks} == {"x-1", "x-2"}
theirs = sum(len([None for _ in range(count) if client.until("ack")]) for client, count in zip(three, (61, 60, 8)))
assert theirs == 129
# Of those that waited before hers came, she let pass one turn: a few, in one transaction.
hers = max(int(f["data"]["cursor"].split("-")[1]) for f in acks)
last = int(sql(f"select changed from messages where id = {m}"))
assert last > hers, (last, hers)
PY
}

@test "a batch of one account is its share: others' changes and messages are between those of one that never stops" {
    py - <<'PY'
from edits import *
alice, bob, carol = user(), user(), user()
c, d = conversation(alice, bob), conversation(carol, bob)
a, x, b = connect(alice.token), connect(carol.token), connect(bob.token)
ms = [sent(a, bob, f"m {n}") for n in range(60)]
n = sent(x, bob, "one")
for _ in range(61):
    assert b.expect("message")
with nothing_stored():
    x.message(bob.id, "under way", "x-0")
    writer_waits()
    for i in range(60):
        edit(a, c, ms[i], "text", f"e-{i}")
    a.send({"type": "resume", "id": "r"})
    assert a.until("resumed")
    edit(x, d, n, "hers", "x-1")
    x.message(bob.id, "her message", "x-2")
    x.send({"type": "resume", "id": "r"})
    assert x.until("resumed")
order = [b.recv()["content"] for _ in range(63)]
# The first batch of changes has no more than a share of each, of eight short ones; then messages go.
assert order.index("hers") <= 1 + 8 and order.index("her message") <= 1 + 16, order
for _ in range(60):
    a.until("ack")
PY
}

@test "what the database refuses to change fails by itself, with an error that is logged; the next is made" {
    py - <<'PY'
from edits import *
alice, bob = user(), user()
c = conversation(alice, bob)
a = connect(alice.token)
m = sent(a, bob, "one")
sql("create function trip() returns trigger language plpgsql as $$ begin raise exception 'tripped'; end $$;"
    " create trigger trip before update on messages for each row when (new.content = 'trip') execute function trip()")
assert patch(alice, c, m, "trip") == (500, {"error": "Internal error; it has been logged"})
edit(a, c, m, "trip", "e")
error = a.expect("error")
assert (error["id"], error["data"]["code"]) == ("e", "internal"), error
sql("drop function trip cascade")
assert patch(alice, c, m, "two")[0] == 200 and is_change(a.recv(), m, "two")
PY
    grep -q tripped "$T/main.log"
}
