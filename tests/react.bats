#!/usr/bin/env bats
# A message answers another one of its conversation, which its sender sees. Whoever sees a message reacts to it: all who
# see it are told how many did so with what, in its place among the messages, on every host, also who comes back later.

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

# --- replies ---

@test "replies: frames and histories name the message that is answered, on every host, in direct conversations and groups" {
    py - <<'PY'
from reactions import *
alice, bob = people(2)
a, b, b2 = connect(alice.token), connect(bob.token), connect(bob.token, "two")
c, g = know(alice, bob), group(alice, "Team", bob)
for where in (c, g):
    first = post(alice, where, "one?")
    say_to(a, where, "two", first, "r-1" if where == c else "r-2")
    ack = a.until("ack")
    second = ack["data"]["message_id"]
    frames = [frame_of(w, second) for w in (b, b2)]
    assert frames[0] == frames[1] and frames[0]["data"]["reply_to"] == first, frames
    status, made = answer(bob, where, "three", second, "two")
    assert status == 201, made
    for w in (a, b2):
        assert frame_of(w, made["message_id"])["data"]["reply_to"] == second
    shown = {m["id"]: m.get("reply_to") for m in history(alice, where)}
    assert (shown[first], shown[second], shown[made["message_id"]]) == (None, first, second), shown
    last = [x["last_message"] for x in listed(alice) if x["id"] == where][0]
    assert (last["content"], last["reply_to"]) == ("three", second)
status, sent = api("POST", "/messages", {"content": "four", "receiver_id": alice.id, "reply_to": first}, bob.token)
assert status == 404, sent # that is of the group
status, sent = api("POST", "/messages", {"content": "four", "receiver_id": alice.id, "reply_to": history(bob, c)[0]["id"]}, bob.token)
assert status == 201 and one(alice, c, sent["message_id"])["reply_to"] == history(bob, c)[0]["id"]
PY
}

@test "replies: whoever comes back gets them as they were, and they stay when what they answer is deleted, or gone" {
    py - <<'PY'
from reactions import *
alice, bob = people(2)
c = know(alice, bob)
b = connect(bob.token, path="/ws?cursor=")
cursor = b.expect("resumed")["data"]["cursor"]
b.close()
first = post(alice, c, "one?")
status, made = answer(alice, c, "two", first)
second = made["message_id"]
edited = api("PATCH", f"/conversations/{c}/messages/{second}", {"content": "zwei"}, alice.token)
assert edited[0] == 200 and edited[1]["reply_to"] == first, edited
assert api("DELETE", f"/conversations/{c}/messages/{first}", token=alice.token)[0] == 204
for name in ("main", "two"):
    b = connect(bob.token, name, path=f"/ws?cursor={cursor}")
    assert frame_of(b, second)["data"]["reply_to"] == first
    b.close()
assert one(bob, c, second)["reply_to"] == first
# Even an answer to a message that is deleted already.
assert answer(bob, c, "three", first)[0] == 201
sql(f"delete from messages where id = {first}")
assert one(bob, c, second)["reply_to"] == first
PY
}

@test "replies: a repeat is a duplicate, also when what it answers is gone; one that answers another is a conflict" {
    py - <<'PY'
from reactions import *
alice, bob = people(2)
for c in (know(alice, bob), group(alice, "Team", bob)):
    first, other = post(alice, c, "one?"), post(bob, c, "two?")
    key = f"k-{c}"
    status, made = answer(alice, c, "yes", first, key=key)
    assert (status, made["duplicate"]) == (201, False), made
    again = {**made, "duplicate": True}
    assert answer(alice, c, "yes", first, key=key) == (200, again)
    assert answer(alice, c, "yes", other, key=key)[0] == answer(alice, c, "no", first, key=key)[0] == 409
    assert api("POST", f"/conversations/{c}/messages", {"content": "yes"}, alice.token, headers={"Idempotency-Key": key})[0] == 409
    sql(f"delete from messages where id = {first}")
    assert answer(alice, c, "yes", first, "two", key) == (200, again)
    a = connect(alice.token)
    say_to(a, c, "yes", first, key)
    assert a.until("ack")["data"]["duplicate"] is True
PY
}

@test "replies: what is of another conversation, from before one came, after one went, or nowhere, is no message: unknown_message" {
    py - <<'PY'
from reactions import *
alice, bob, carol, dave = people(4)
c, other, g = know(alice, bob), know(bob, carol), group(alice, "Team", bob)
old = post(alice, g, "before carol")
assert add(alice, g, carol)[0] == 201
theirs, ours = post(bob, other, "to carol"), post(alice, c, "to bob")
TEXT = 'There is no message with the id "reply_to" in this conversation'
for who, where, to in ((alice, c, theirs), (alice, c, old), (bob, c, theirs), (bob, g, ours), (carol, g, old), (alice, c, 2**53), (alice, g, 2**53)):
    assert answer(who, where, "x", to) == (404, {"error": TEXT}), (who.name, where, to)
    w = connect(who.token)
    # A good one beside it, in the same batch or not, is stored.
    say_to(w, where, "x", to, "bad")
    say(w, where, "good", f"good-{where}-{to}")
    error = w.until("error")
    assert (error["id"], error["error"], error["data"]) == ("bad", TEXT, {"code": "unknown_message", "temporary": False}), error
    assert w.until("ack")["id"] == f"good-{where}-{to}"
    w.close()
assert answer(bob, g, "seen", old)[0] == 201
assert answer(dave, g, "x", old) == (404, {"error": "You are in no conversation with this id"})
# No conversation is made for one that cannot be.
status, refused = api("POST", "/messages", {"content": "x", "receiver_id": dave.id, "reply_to": ours}, alice.token)
assert (status, refused) == (404, {"error": TEXT})
assert sql(f"select count(*) from contacts where user_id = {dave.id}") == "0"
PY
}

@test "replies: many at once, good and bad, each get their own answer" {
    py - <<'PY'
from reactions import *
alice, bob = people(2)
c = know(alice, bob)
a = connect(alice.token)
first = post(bob, c, "one?")
kinds = [(first, "ack"), (2**40, "error"), (None, "ack")]
for i in range(60):
    to = kinds[i % 3][0]
    say_to(a, c, f"m {i}", to, f"r-{i}") if to else say(a, c, f"m {i}", f"r-{i}")
got = {}
while len(got) < 60:
    f = a.recv()
    if f["type"] in ("ack", "error"):
        got[f["id"]] = f["type"]
assert got == {f"r-{i}": kinds[i % 3][1] for i in range(60)}
shown = [(m["content"], m.get("reply_to")) for m in history(alice, c, "?limit=40")]
assert shown == [(f"m {i}", kinds[i % 3][0]) for i in range(60) if i % 3 != 1], shown
PY
}

@test "replies: what is malformed is refused by name; psql is held to the same" {
    py - <<'PY'
from reactions import *
alice, bob, carol = people(3)
c, other = know(alice, bob), know(alice, carol)
a = connect(alice.token)
for wrong in ("1", 0, -1, 1.5, 2**63, None, [1], True):
    status, refused = answer(alice, c, "x", wrong)
    assert status == 400 and refused["error"] == "\"reply_to\" must be a message's id, a whole number above zero", (wrong, refused)
    say_to(a, c, "x", wrong, "f")
    error = a.until("error")
    assert (error["id"], error["error"], error["data"]["code"]) == (
        "f", "\"data.reply_to\" must be a message's id, a whole number above zero", "bad_field"), (wrong, error)
first, theirs = post(alice, c, "one"), post(alice, other, "two")
b = connect(bob.token, "two")
sql(f"insert into messages (sender_id, receiver_id, content, reply_to) values ({alice.id}, {bob.id}, 'by hand', {first})")
frame = b.until("message")
assert (frame["content"], frame["data"]["reply_to"]) == ("by hand", first)
for to in (theirs, 2**40):
    try:
        sql(f"insert into messages (sender_id, receiver_id, content, reply_to) values ({alice.id}, {bob.id}, 'x', {to})")
    except subprocess.CalledProcessError:
        continue
    raise AssertionError(to)
PY
}

# --- reactions ---

@test "reactions: all who see the message are told the counts, on every host, once, in order; with an id there is an ack" {
    py - <<'PY'
from reactions import *
alice, bob, carol = people(3)
a, a2, b, b2, s = connect(alice.token), connect(alice.token, "two"), connect(bob.token), connect(bob.token, "two"), connect(carol.token)
for where in (know(alice, bob), group(alice, "Team", bob)):
    m = post(alice, where, "one")
    before = one(bob, where, m)
    def told(*, by=None):
        frames = [frame_of(w, m, "message_changed") for w in (a, a2, b, b2)]
        assert all(f == frames[0] for f in frames), frames
        d = frames[0]["data"]
        assert (frames[0]["content"], d["conversation_id"], d["edited_at"], d["deleted"]) == ("one", where, None, False), frames[0]
        assert all(set(r) == {"emoji", "count"} for r in d.get("reactions", [])), d
        return counts(d)
    react(b, where, m, "👍", f"r-{where}")
    frame = frame_of(a, m, "message_changed")
    ack = b.until("ack")
    assert ack == {"type": "ack", "id": f"r-{where}", "data": {"message_id": m, "cursor": frame["data"]["cursor"]}}, (ack, frame)
    assert put(alice, where, m, "👍", "two") == (204, None)
    assert put(alice, where, m, "❤️") == (204, None)
    for w in (a, a2, b, b2):
        while counts((f := frame_of(w, m, "message_changed"))["data"]) != {"👍": 2, "❤️": 1}:
            pass
    # Once more is once.
    assert put(alice, where, m, "👍")[0] == put(bob, where, m, "👍", "two")[0] == take(bob, where, m, "❤️")[0] == 204
    react(b2, where, m, "👍", "again")
    assert b2.until("ack")["data"]["cursor"].split("-")[1] == f["data"]["cursor"].split("-")[1]
    for who, own in ((alice, ["👍", "❤️"]), (bob, ["👍"])):
        shown = one(who, where, m)
        assert counts(shown) == {"👍": 2, "❤️": 1} and mine(shown) == own, shown
        assert {k: v for k, v in shown.items() if k != "reactions"} == before, shown
        last = [x["last_message"] for x in listed(who) if x["id"] == where][0]
        assert last == shown, last
    react(b, where, m, "👍", remove=True)
    assert told() == {"👍": 1, "❤️": 1}
    assert take(alice, where, m, "❤️")[0] == 204
    assert told() == {"👍": 1}
    assert take(alice, where, m, "👍", "two")[0] == 204
    assert told() == {} and one(alice, where, m) == before
assert drain(s) == []
PY
}

@test "reactions: an edit keeps them, the answer to it shows them, and who comes back gets the latest state, once" {
    py - <<'PY'
from reactions import *
alice, bob = people(2)
g = group(alice, "Team", bob)
old = post(alice, g, "old")
b = connect(bob.token, path="/ws?cursor=")
cursor = b.expect("resumed")["data"]["cursor"]
b.close()
new = post(alice, g, "new")
for m in (old, new):
    assert [put(bob, g, m, e)[0] for e in ("a", "b", "c")] == [204] * 3 and take(bob, g, m, "b")[0] == put(alice, g, m, "a")[0] == 204
status, edited = api("PATCH", f"/conversations/{g}/messages/{old}", {"content": "old!"}, alice.token)
assert status == 200 and counts(edited) == {"a": 2, "c": 1} and mine(edited) == ["a"] and edited["edited_at"], edited
assert put(bob, g, old, "d")[0] == 204
assert one(bob, g, old)["edited_at"] == edited["edited_at"]
for name in ("main", "two"):
    b = connect(bob.token, name, path=f"/ws?cursor={cursor}")
    got = []
    while (f := b.recv())["type"] != "resumed":
        got.append((f["type"], f["content"], counts(f["data"])))
    assert got == [("message", "new", {"a": 2, "c": 1}), ("message_changed", "new", {"a": 2, "c": 1}),
                   ("message_changed", "old!", {"a": 2, "c": 1, "d": 1})], got
    b.close()
PY
}

@test "reactions: strangers, and who has left, are told that there is no such message; in a block nobody reacts, but takes back" {
    py - <<'PY'
from reactions import *
alice, bob, carol, dave = people(4)
c, g = know(alice, bob), group(alice, "Team", bob, dave)
m, n = post(alice, c, "one"), post(alice, g, "two")
assert put(dave, g, n, "x")[0] == 204 and remove(alice, g, dave)[0] == 204
assert add(alice, g, carol)[0] == 201 # who does not see it
before = sql("select count(*) from reactions")
NONE = (404, {"error": "There is no message with this message_id in a conversation of yours with this conversation_id"})
for who, where, message in ((carol, c, m), (carol, g, n), (dave, g, n), (dave, c, m), (bob, c, n), (bob, g, m), (bob, c, 2**53), (bob, 2**53, m)):
    w = connect(who.token)
    for do in (put, take):
        assert do(who, where, message, "x") == NONE, (who.name, where, message)
        react(w, where, message, "x", "r", remove=do is take)
        error = w.until("error")
        assert (error["id"], error["data"]) == ("r", {"code": "unknown_message", "temporary": False}), error
    w.close()
assert sql("select count(*) from reactions") == before and counts(one(alice, g, n)) == {"x": 1}
assert put(alice, c, m, "y")[0] == put(bob, c, m, "y")[0] == put(bob, g, n, "y")[0] == 204
assert api("PUT", f"/users/{bob.id}/block", token=alice.token)[0] == 204
for who in (alice, bob):
    assert put(who, c, m, "z") == (403, {"error": "This user does not accept messages from you"})
    assert take(who, c, m, "y")[0] == put(who, g, n, "z")[0] == 204
assert counts(one(alice, c, m)) == {} and counts(one(alice, g, n)) == {"x": 1, "y": 1, "z": 2}
PY
}

@test "reactions: whoever has left sees none that came later, and of a text that was changed later not what it answers or names" {
    py - <<'PY'
from reactions import *
alice, bob, carol = people(3)
start = cursor_of(bob)
g = group(alice, "Team", bob, carol)
plain, kept, early = (post(alice, g, text) for text in ("plain", "kept", "early"))
naming = answer(alice, g, f"@{carol.name}?", plain)[1]["message_id"]
named = answer(alice, g, f"@{carol.name}!", plain)[1]["message_id"]
def change(message, text):
    assert api("PATCH", f"/conversations/{g}/messages/{message}", {"content": text}, alice.token)[0] == 200
change(early, "edited")
assert put(carol, g, kept, "x")[0] == put(carol, g, plain, "x")[0] == 204
assert remove(alice, g, bob)[0] == 204
change(naming, f"@{carol.name}, @{alice.name}")
for message in (plain, early, named):
    assert put(carol, g, message, "y")[0] == 204
NONE, HIDDEN = (None, None, None, None), ("", True, None, None, None)
want = {plain: ("plain", *NONE), kept: ("kept", None, None, None, {"x": 1}), early: HIDDEN, naming: HIDDEN,
        named: (f"@{carol.name}!", None, plain, [carol.id], None)}
def state(content, m):
    return (content, m.get("deleted") or None, m.get("reply_to"), m.get("mentions"), counts(m) or None)
shown = history(bob, g)
assert {m["id"]: state(m["content"], m) for m in shown} == want, shown
assert not any("edited_at" in m for m in shown), shown
w = connect(bob.token, "two")
w.send({"type": "resume", "data": {"cursor": start}, "id": "end"})
frames = [f for f in until(w, "end") if f["type"] in ("message", "message_changed")]
assert {f["data"]["message_id"]: state(f["content"], f["data"]) for f in frames} == want, frames
assert {m["id"]: counts(m) for m in history(carol, g)}[plain] == {"x": 1, "y": 1}
PY
}

@test "reactions: deleting a message drops them, and nobody reacts to it any more; an account takes its own with it" {
    py - <<'PY'
from reactions import *
alice, bob, carol = people(3)
g = group(alice, "Team", bob, carol)
m, n = post(alice, g, "one"), post(alice, g, "two")
for who in (alice, bob, carol):
    assert put(who, g, m, "x")[0] == put(who, g, n, "x")[0] == 204
b = connect(bob.token, "two")
assert api("DELETE", f"/conversations/{g}/messages/{m}", token=alice.token)[0] == 204
frame = frame_of(b, m, "message_changed")
assert frame["data"]["deleted"] and "reactions" not in frame["data"], frame
shown = one(bob, g, m)
assert shown["deleted"] and "reactions" not in shown and sql(f"select count(*) from reactions where message_id = {m}") == "0"
assert put(bob, g, m, "x") == (409, {"error": "This message was deleted, so nobody can react to it"})
assert take(bob, g, m, "x")[0] == 204 and one(bob, g, m) == shown
react(b, g, m, "x", "r")
assert b.until("error")["data"]["code"] == "deleted"
sql(f"delete from users where id = {carol.id}")
frame = frame_of(b, n, "message_changed")
assert counts(frame["data"]) == counts(one(bob, g, n)) == {"x": 2}, frame
sql(f"delete from messages where id = {n}")
assert sql(f"select count(*) from reactions where message_id = {n}") == "0"
PY
}

@test "reactions: a message has at most 20 kinds, also when many come at once, and any number of each" {
    py - <<'PY'
from reactions import *
alice, bob, carol = people(3)
g = group(alice, "Team", bob, carol)
m = post(alice, g, "one")
TEXT = "A message may not have more than 20 kinds of reactions"
a, b = connect(alice.token), connect(bob.token)
for w in (a, b):
    for i in range(30):
        react(w, g, m, f"k{i}", f"r-{i}")
got = {}
for w in (a, b):
    while len([k for k in got if k[0] is w]) < 30:
        f = w.recv()
        if f["type"] in ("ack", "error"):
            got[w, f["id"]] = f["type"]
            assert f["type"] == "ack" or (f["error"], f["data"]) == (TEXT, {"code": "too_many_reactions", "temporary": False}), f
shown = one(alice, g, m)
assert len(shown["reactions"]) == 20, shown
for w, who in ((a, alice), (b, bob)):
    assert set(mine(one(who, g, m))) == {f"k{i}" for i in range(30) if got[w, f"r-{i}"] == "ack"}
kind = shown["reactions"][0]
assert put(carol, g, m, "another") == (409, {"error": TEXT}) and put(carol, g, m, kind["emoji"])[0] == 204
last = shown["reactions"][-1]["emoji"]
for who in (alice, bob):
    assert take(who, g, m, last)[0] == 204
assert put(carol, g, m, "another")[0] == 204
assert list(counts(one(bob, g, m)).items())[-1] == ("another", 1) and counts(one(bob, g, m))[kind["emoji"]] == kind["count"] + 1
PY
}

@test "reactions: in a batch the last of a user counts, and each gets an answer" {
    py - <<'PY'
from reactions import *
alice, bob = people(2)
c = know(alice, bob)
m, n = post(alice, c, "one"), post(alice, c, "two")
a = connect(alice.token)
for i in range(48):
    react(a, c, (m, n)[i % 2], "x", f"r-{i}", remove=i % 3 == 1)
got = set()
while len(got) < 48:
    f = a.recv()
    assert f["type"] in ("ack", "message_changed"), f
    if f["type"] == "ack":
        got.add(f["id"])
# The last of m, 46, takes it back, and that of n, 47, puts it.
assert counts(one(bob, c, m)) == {} and counts(one(bob, c, n)) == {"x": 1}
assert sql(f"select count(*) from reactions where message_id in ({m}, {n})") == "1"
PY
}

@test "reactions: what is malformed is refused by name" {
    py - <<'PY'
from reactions import *
alice, bob = people(2)
c = know(alice, bob)
m = post(alice, c, "one")
a = connect(alice.token)
PATH = "The emoji in the path must be UTF-8 of 1 to 32 bytes, without spaces and control characters, and percent-encoded"
FIELD = '"data.emoji" must be a string of 1 to 32 bytes, without spaces and control characters'
for wrong in ("a b", " ", "\n", "\x7f", "\u0085", "\u2028", "\u202e", "x" * 33, "👍" * 8 + "x"):
    for do in (put, take):
        assert do(alice, c, m, wrong) == (400, {"error": PATH}), wrong
for wrong in ("a b", "", "\n", "\u202e", "x" * 33, 7, None, ["x"], {}):
    react(a, c, m, wrong, "f")
    error = a.until("error")
    assert (error["id"], error["error"], error["data"]["code"]) == ("f", FIELD, "bad_field"), (wrong, error)
for wrong in (0, 1, "true", None, []):
    react(a, c, m, "x", "f", remove=wrong)
    assert a.until("error")["error"] == '"data.remove" must be true or false'
a.send({"type": "react", "id": "f", "data": {"conversation_id": c, "message_id": m}})
assert a.until("error")["error"] == FIELD
a.send({"type": "react", "id": "f", "data": {"emoji": "x", "message_id": m}})
assert a.until("error")["error"].startswith('"data.conversation_id" must be')
for path in (f"/conversations/{c}/messages/{m}/reactions/%ff", f"/conversations/{c}/messages/{m}/reactions/%00"):
    assert api("PUT", path, None, alice.token) == (400, {"error": PATH})
for path, says in ((at("x", m, "x"), "The conversation's id"), (at(c, 0, "x"), "The message's id")):
    assert api("PUT", path, None, alice.token)[1]["error"].startswith(says)
assert api("PUT", f"/conversations/{c}/messages/{m}/reactions/", None, alice.token)[0] == 404
assert api("GET", at(c, m, "x"), None, alice.token)[0] == 405 and api("PUT", at(c, m, "x"))[0] == 401
assert counts(one(alice, c, m)) == {}
# What JSON and paths have to escape comes back as it was.
odd = ['"\\', "/", "%41", "x" * 32, "👩‍👩‍👧‍👦", "é", "+1"]
for emoji in odd:
    assert put(alice, c, m, emoji)[0] == 204
assert mine(one(alice, c, m)) == odd
PY
}

@test "reactions: those that are typed into psql reach everybody, and are held to the same" {
    py - <<'PY'
from reactions import *
alice, bob, carol = people(3)
c, g = know(alice, bob), group(alice, "Team", bob)
m, n = post(alice, c, "one"), post(alice, g, "two")
b = connect(bob.token, "two")
sql(f"insert into reactions values ({m}, {alice.id}, 'x'), ({n}, {alice.id}, 'y'), ({n}, {bob.id}, 'y'), ({n}, {bob.id}, 'x')")
assert counts(frame_of(b, m, "message_changed")["data"]) == {"x": 1}
assert counts(frame_of(b, n, "message_changed")["data"]) == {"y": 2, "x": 1}
sql(f"delete from reactions where user_id = {alice.id}")
assert counts(frame_of(b, m, "message_changed")["data"]) == {}
assert counts(frame_of(b, n, "message_changed")["data"]) == {"y": 1, "x": 1}
deleted = post(alice, g, "three")
assert api("DELETE", f"/conversations/{g}/messages/{deleted}", token=alice.token)[0] == 204
state = sql("select md5(string_agg(r::text, ',' order by r)) from reactions r")
for row in (f"({m}, {carol.id}, 'x')", f"({n}, {carol.id}, 'x')", f"({2**40}, {alice.id}, 'x')", f"({deleted}, {alice.id}, 'x')",
            f"({m}, {alice.id}, 'a b')", f"({m}, {alice.id}, '')", f"({m}, {alice.id}, repeat('x', 33))", f"({m}, {alice.id}, chr(8238))",
            ", ".join(f"({m}, {alice.id}, 'k{i}')" for i in range(21))):
    try:
        sql(f"insert into reactions values {row}")
    except subprocess.CalledProcessError:
        assert sql("select md5(string_agg(r::text, ',' order by r)) from reactions r") == state
        continue
    raise AssertionError(row)
PY
}

# --- mentions ---

@test "mentions: the members whom a message of a group names, in order, in frames and histories; after an edit, those that it names then" {
    py - <<'PY'
from reactions import *
alice, bob, carol, dave = people(4)
g = group(alice, "Team", bob, carol)
a, b, c = connect(alice.token), connect(bob.token, "two"), connect(carol.token)
text = f"@{carol.name} and @{bob.name.upper()}, not @{dave.name}, @{carol.name} again"
say(a, g, text, "m-1")
m = a.until("ack")["data"]["message_id"]
for w in (b, c):
    assert frame_of(w, m)["data"]["mentions"] == [carol.id, bob.id]
for who in (alice, carol):
    assert one(who, g, m)["mentions"] == [carol.id, bob.id]
    assert listed(who)[0]["last_message"]["mentions"] == [carol.id, bob.id]
status, edited = api("PATCH", f"/conversations/{g}/messages/{m}", {"content": f"@{alice.name}!"}, alice.token)
assert (status, edited["mentions"]) == (200, [alice.id]), edited
assert put(bob, g, m, "x")[0] == 204
for w in (b, c):
    while counts((f := frame_of(w, m, "message_changed"))["data"]) != {"x": 1}:
        pass
    assert f["data"]["mentions"] == [alice.id], f
# What was right then stays.
assert remove(alice, g, bob)[0] == 204
old = post(carol, g, f"@{bob.name} is gone")
assert "mentions" not in one(alice, g, old) and one(alice, g, m)["mentions"] == [alice.id]
assert api("PATCH", f"/conversations/{g}/messages/{m}", {"content": "nobody"}, alice.token)[0] == 200
assert "mentions" not in one(alice, g, m)
n = post(alice, g, f"@{carol.name}")
assert api("DELETE", f"/conversations/{g}/messages/{n}", token=alice.token)[0] == 204 and "mentions" not in one(alice, g, n)
# In a conversation of two nobody is mentioned.
d = know(alice, bob)
assert "mentions" not in one(alice, d, post(alice, d, f"@{bob.name} @{alice.name}"))
# From psql, too.
sql(f"insert into messages (sender_id, conversation_id, content) values ({alice.id}, {g}, 'hi @{carol.name}')")
assert c.until("message") and history(carol, g)[-1]["mentions"] == [carol.id]
PY
}

@test "mentions: where a name begins and ends" {
    py - <<'PY'
from reactions import *
owner, short, long, *_ = people(3)
sql(f"update users set username = 'ann' where id = {short.id}; update users set username = 'Ann.lee' where id = {long.id}")
g = group(owner, "Team", short, long)
for text, named in (("@ann", [short]), ("@ANN!", [short]), ("(@ann)", [short]), ("@ann.", [short]), ("@ann.lee", [long]), ("@ann.lee.", [long]),
                    ("@ann.le", [short]), ("@ann-lee", [short]), ("@ann_", [short]), ("@anna", []), ("@an", []), ("@ann.leex", [short]), ("x@ann", []), (".@ann", []),
                    ("@ @ann", [short]), ("@@ann", [short]), ("é@ann", [short]), ("@ annn", []), ("@anné", [short]), ("@ann@ann.lee", [short]),
                    ("@" + "a" * 40, []), ("@ann." + "x" * 40, [short]), ("@ann\n@ann.lee\t@ann", [short, long])):
    assert one(owner, g, post(owner, g, text)).get("mentions", []) == [u.id for u in named], text
PY
}

@test "mentions: at most 20, and of a text with many names the first 50 are looked up" {
    py - <<'PY'
from reactions import *
owner, *others = people(25)
g = group(owner, "Team", *others)
m = post(owner, g, " ".join(f"@{o.name}" for o in others))
assert one(owner, g, m)["mentions"] == [o.id for o in others[:20]]
assert one(owner, g, post(owner, g, "@nobody " * 49 + f"@{others[0].name}"))["mentions"] == [others[0].id]
assert "mentions" not in one(owner, g, post(owner, g, "@nobody " * 50 + f"@{others[0].name}"))
PY
}
