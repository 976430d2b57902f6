#!/usr/bin/env bats
# Groups: their members come and go, and have roles; whatever happens in a group reaches those who are in it then,
# on every host, in one order with everything else, and nobody else.

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

@test "a group: its members hear of it on every host, and of each message, in order, once; nobody else does" {
    py - <<'PY'
from groups import *
alice, bob, carol, dave = people(4)
a, a2, b, c, d = connect(alice.token), connect(alice.token, "two"), connect(bob.token), connect(carol.token, "two"), connect(dave.token)
status, made = api("POST", "/conversations", {"name": "Te\"am ☃", "members": [bob.id, carol.id, bob.id]}, alice.token)
assert status == 201 and made == {
    "id": made["id"], "kind": "group", "name": "Te\"am ☃", "created_at": made["created_at"], "role": "owner", "member_count": 3,
    "history": "joined", "unread": 0, "read_upto": made["read_upto"], "delivered_upto": made["read_upto"], "last_message": None}, made
g = made["id"]
frames = [w.recv() for w in (a, a2, b, c)]
assert all(f == frames[0] for f in frames), frames
data = frames[0]["data"]
assert frames[0] == {"type": "conversation", "data": {
    "conversation_id": g, "kind": "group", "name": "Te\"am ☃", "created_at": made["created_at"], "member_count": 3, "cursor": data["cursor"]}}
say(a, g, "one", "m-1")
ack = a.recv()
assert (ack["type"], ack["id"], ack["data"]["duplicate"]) == ("ack", "m-1", False), ack
frames = [w.recv() for w in (a2, b, c)]
assert all(f == frames[0] for f in frames), frames
assert frames[0] == {"type": "message", "content": "one", "data": {
    "message_id": ack["data"]["message_id"], "conversation_id": g, "sender_id": alice.id, "sender": alice.name,
    "created_at": frames[0]["data"]["created_at"], "cursor": frames[0]["data"]["cursor"]}}
for i in range(20):
    say((a, b, c)[i % 3], g, str(i), f"n-{i}")
    assert [w.recv()["content"] for w in (a, a2, b, c) if w is not (a, b, c)[i % 3]] == 3 * [str(i)]
    assert (a, b, c)[i % 3].recv()["id"] == f"n-{i}"
# Once more, as after a lost acknowledgement.
say(a, g, "one", "m-1")
again = a.recv()
assert (again["data"]["message_id"], again["data"]["duplicate"]) == (ack["data"]["message_id"], True), again
assert drain(d) == []
say(d, g, "intruder", "x")
error = d.recv()
assert (error["id"], error["data"]["code"]) == ("x", "unknown_conversation"), error
for w in (a, a2, b, c):
    assert drain(w) == []
[message] = [m for m in history(bob, g) if m["content"] == "one"]
assert message == {"id": ack["data"]["message_id"], "conversation_id": g, "sender_id": alice.id, "content": "one",
                   "created_at": message["created_at"]}
PY
}

@test "who comes sees what follows, and who goes what was before, on every host; the history says the same" {
    py - <<'PY'
from groups import *
alice, bob, carol, dave = people(4)
a, b, c, c2 = connect(alice.token), connect(bob.token, "two"), connect(carol.token), connect(carol.token, "two")
g = group(alice, "Team", bob)
post(alice, g, "before")
status, member = add(alice, g, carol)
assert status == 201 and member == {"user_id": carol.id, "username": carol.name, "role": "member", "since": member["since"], "online": False,
                                    "read_upto": member["read_upto"], "delivered_upto": member["read_upto"]}, member
assert add(alice, g, carol, "admin", "two") == (200, member)
post(bob, g, "with carol", "two")
assert remove(alice, g, carol, "two") == (204, None)
assert remove(alice, g, carol)[0] == 404
post(alice, g, "after")
came, went = ("member", carol.id, "member"), ("member", carol.id, None)
made = ("conversation", "Team", 2)
for w in (a, b):
    assert brief(caught_up(w, alice, g)) == [made, ("message", "before"), came, ("message", "with carol"), went,
                                            ("message", "after")] + w.__dict__.setdefault("marks", []), w
    b.marks = [("message", "mark")]
for w in (c, c2):
    got = drain(w)
    assert brief(got) == [came, ("message", "with carol"), went], got
    assert got[0]["data"]["username"] == carol.name
assert [m["content"] for m in history(carol, g)] == ["with carol"]
assert history(carol, g, "?after=0&limit=1") == history(carol, g, "?before=999999") == history(carol, g)
assert [m["content"] for m in history(bob, g, "?limit=3")] == ["after", "mark", "mark"]
for gone in (carol, dave):
    assert show(gone, g)[0] == members(gone, g)[0] == rename(gone, g, "x")[0] == add(gone, g, dave)[0] == 404
    assert api("POST", f"/conversations/{g}/messages", {"content": "x"}, gone.token)[0] == 404
    assert api("PUT", f"/conversations/{g}/read", {"message_id": 1}, gone.token)[0] == 404
    assert remove(gone, g, gone)[0] == 404
assert api("GET", f"/conversations/{g}/messages", token=dave.token)[0] == 404
assert [x["id"] for x in listed(carol)] == []
PY
}

@test "history: new members see all of it where the group says so, from then on" {
    py - <<'PY'
from groups import *
alice, bob, carol = people(3)
g = group(alice, "Team", history="all")
assert show(alice, g)[1]["history"] == "all"
post(alice, g, "one")
assert add(alice, g, bob)[0] == 201
assert [m["content"] for m in history(bob, g)] == ["one"] and listed(bob)[0]["unread"] == 0
assert listed(bob)[0]["last_message"]["content"] == "one"
status, changed = api("PATCH", f"/conversations/{g}", {"history": "joined"}, alice.token)
assert (status, changed["history"], changed["name"]) == (200, "joined", "Team"), changed
assert add(alice, g, carol)[0] == 201
assert history(carol, g) == [] and listed(carol)[0]["last_message"] is None
post(bob, g, "two")
assert [m["content"] for m in history(carol, g)] == ["two"] and [m["content"] for m in history(bob, g)] == ["one", "two"]
# An edit of what a member has not seen is not told either.
b, c = connect(bob.token), connect(carol.token)
one = history(alice, g)[0]["id"]
assert api("PATCH", f"/conversations/{g}/messages/{one}", {"content": "one!"}, alice.token)[0] == 200
assert brief(caught_up(c, alice, g)) == []
assert brief(drain(b)) == [("message_changed", "one!"), ("message", "mark")]
assert api("DELETE", f"/conversations/{g}/messages/{one}", token=carol.token)[0] == 404
PY
}

@test "roles: who may do what, row by row" {
    py - <<'PY'
from groups import *
owner, admin, admin2, member, stranger, new = people(6)
g = group(owner, "Team", admin, admin2, member)
for who in (admin, admin2):
    status, changed = put_role(owner, g, who, "admin")
    assert (status, changed["role"]) == (200, "admin"), changed
as_it_was = {owner.id: "owner", admin.id: "admin", admin2.id: "admin", member.id: "member"}
assert roles(member, g) == as_it_was
#       what                                            owner admin member stranger
rows = [(lambda who: rename(who, g, "New"),              200, 200, 403, 404),
        (lambda who: add(who, g, new, "member"),         201, 201, 403, 404),
        (lambda who: add(who, g, new, "admin"),          201, 403, 403, 404),
        (lambda who: put_role(who, g, admin2, "member"), 200, 403, 403, 404),
        (lambda who: put_role(who, g, member, "admin"),  200, 403, 403, 404),
        (lambda who: put_role(who, g, owner, "member"),  409, 403, 403, 404),
        (lambda who: put_role(who, g, new, "member"),    404, 403, 403, 404),
        (lambda who: remove(who, g, new),                404, 404, 404, 404),
        (lambda who: remove(who, g, member),             204, 204, None, 404),
        (lambda who: remove(who, g, admin2),             204, 403, 403, 404),
        (lambda who: remove(who, g, owner),              None, 403, 403, 404)]
for number, (do, *expected) in enumerate(rows):
    for who, status in zip((owner, admin, member, stranger), expected):
        if status is None:
            continue # they leave: elsewhere
        got = do(who)
        assert got[0] == status, (number, who.name, got)
        if status == 403:
            assert got[1]["code"] == "forbidden" if "code" in got[1] else "role" in got[1]["error"], got
        sql(f"update members set role = 'admin' where conversation_id = {g} and user_id in ({admin.id}, {admin2.id});"
            f"update members set until = null, role = 'admin' where user_id = {admin2.id} and conversation_id = {g};"
            f"update members set until = null, role = 'member' where user_id = {member.id} and conversation_id = {g};"
            f"update members set until = 0 where user_id = {new.id} and conversation_id = {g}")
        assert roles(owner, g) == as_it_was, number
# A direct conversation has no roles.
d = know(owner, admin)
for got in (rename(owner, d, "x"), add(owner, d, new), put_role(owner, d, admin, "admin"), remove(owner, d, owner)):
    assert got[0] == 403, got
PY
}

@test "the owner gives the group away, or leaves it: the longest admin, else the longest member gets it; the last one out closes it" {
    py - <<'PY'
from groups import *
one, two, three, four = people(4)
g = group(one, "Team")
for who in (two, three, four):
    assert add(one, g, who)[0] == 201
assert put_role(one, g, four, "admin")[0] == 200
w = connect(three.token)
assert put_role(one, g, two, "owner")[1]["role"] == "owner"
assert roles(three, g) == {one.id: "admin", two.id: "owner", three.id: "member", four.id: "admin"}
assert put_role(two, g, two, "owner")[0] == 200 and put_role(one, g, three, "admin")[0] == 403
leave(two, g)
assert roles(three, g) == {one.id: "owner", three.id: "member", four.id: "admin"}
leave(one, g)
assert roles(three, g) == {three.id: "member", four.id: "owner"}
leave(four, g)
assert roles(three, g) == {three.id: "owner"}
assert brief(caught_up(w, three, g)) == [
    ("member", one.id, "admin"), ("member", two.id, "owner"), ("member", two.id, None), ("member", one.id, "owner"),
    ("member", one.id, None), ("member", four.id, "owner"), ("member", four.id, None), ("member", three.id, "owner")]
leave(three, g)
for who in (one, two, three, four):
    assert show(who, g)[0] == 404 and add(who, g, one)[0] == 404
assert [m["content"] for m in history(three, g)] == ["mark"]
PY
}

@test "resume: each change of the group once, in its latest state, at its place; nothing of what was not theirs" {
    py - <<'PY'
from groups import *
alice, bob, carol, dave = people(4)
begin = {who: cursor_of(who) for who in (alice, bob, carol, dave)}
g = group(alice, "Team", bob)
post(alice, g, "one")
for role in ("admin", "member", "admin"):
    put_role(alice, g, bob, role)
rename(bob, g, "Crew")
post(bob, g, "two")
add(alice, g, carol)
post(alice, g, "three")
remove(alice, g, carol)
post(alice, g, "four")
add(alice, g, carol)
post(alice, g, "five")
add(alice, g, dave)
leave(dave, g)
post(alice, g, "six")
def resumed(who, name):
    w = connect(who.token, name)
    w.send({"type": "resume", "data": {"cursor": begin[who]}, "id": "drain"})
    return brief(until(w, "drain"))
for n in ("main", "two"):
    assert resumed(alice, n) == resumed(bob, n) == [
        ("message", "one"), ("member", bob.id, "admin"), ("conversation", "Crew", 2 + 1), ("message", "two"), ("message", "three"),
        ("message", "four"), ("member", carol.id, "member"), ("message", "five"), ("member", dave.id, None), ("message", "six")], resumed(alice, n)
    assert resumed(carol, n) == [("member", carol.id, "member"), ("message", "five"), ("member", dave.id, None), ("message", "six")]
    assert resumed(dave, n) == [("member", dave.id, None)]
PY
}

@test "unread: nothing from before one came, or from an earlier time; the list has groups in their place" {
    py - <<'PY'
from groups import *
alice, bob, carol = people(3)
def unread(who):
    return {x["id"]: x["unread"] for x in listed(who)}
g = group(alice, "Team", carol)
h = group(alice, "Empty", bob)
for i in range(3):
    post(alice, g, str(i))
assert unread(carol) == {g: 3} and unread(bob) == {h: 0}
add(alice, g, bob)
assert unread(bob) == {g: 0, h: 0} and [x["id"] for x in listed(bob)] == [g, h]
d = know(alice, bob)
assert [x["id"] for x in listed(bob)] == [d, g, h]
m = post(alice, g, "new")
assert unread(bob) == {d: 1, g: 1, h: 0} and [x["id"] for x in listed(bob)] == [g, d, h]
assert listed(bob)[0]["last_message"]["id"] == m and "peer" not in listed(bob)[0]
remove(alice, g, bob)
post(alice, g, "without bob")
assert unread(bob) == {d: 1, h: 0}
add(alice, g, bob)
assert unread(bob) == {d: 1, g: 0, h: 0}
post(carol, g, "again")
assert unread(bob)[g] == 1 and [x["content"] for x in history(bob, g)] == ["again"]
assert api("PUT", f"/conversations/{g}/read", {"message_id": 10**9}, bob.token) == (204, None) and unread(bob)[g] == 0
# Pages.
status, page = api("GET", "/conversations?limit=2", token=bob.token)
assert [x["id"] for x in page["conversations"]] == [g, d] and page["next"], page
status, page = api("GET", f"/conversations?limit=2&before={page['next']}", token=bob.token)
assert [x["id"] for x in page["conversations"]] == [h] and page["next"] is None, page
PY
}

@test "members who have blocked each other see all of each other in their group; a stranger's typing there is shown to nobody" {
    py - <<'PY'
from blocks import block
from groups import *
alice, bob, carol, dave = people(4)
g = group(alice, "Team", bob, carol)
block(bob, alice)
a, b, c, d = connect(alice.token), connect(bob.token, "two"), connect(carol.token), connect(dave.token)
m, n = post(alice, g, "alice's"), post(bob, g, "bob's")
for w in (a, b, c):
    got = {f["data"]["message_id"]: f["content"] for f in (w.until("message"), w.until("message"))}
    assert got == {m: "alice's", n: "bob's"}
def typing(w):
    w.send({"type": "typing", "data": {"conversation_id": g}})
typing(d)
d.send({"type": "resume"})
d.until("resumed")
for w, who, seers in ((a, alice, (b, c)), (b, bob, (a, c))):
    typing(w)
    for seer in seers:
        assert seer.until("typing")["data"] == {"conversation_id": g, "user_id": who.id, "username": who.name}
mark(b, "read", g, m)
mark(a, "read", g, n)
for w in (a, b, c):
    assert {w.until("receipt")["data"]["user_id"] for _ in range(2)} == {alice.id, bob.id}
assert api("PUT", f"/conversations/{g}/messages/{m}/reactions/%F0%9F%91%8D", token=bob.token)[0] == 204
for who, other in ((alice, bob), (bob, alice)):
    seen = {x["user_id"]: x for x in members(who, g)[1]}
    assert seen[other.id]["read_upto"] == (m if other is bob else n), seen
PY
}

@test "who was removed neither writes nor reads: typing, receipts, edits; the others see theirs" {
    py - <<'PY'
from groups import *
alice, bob, carol = people(3)
g = group(alice, "Team", bob, carol)
a, b, c = connect(alice.token), connect(bob.token, "two"), connect(carol.token)
m = post(carol, g, "carol's")
def typing(w):
    w.send({"type": "typing", "data": {"conversation_id": g}})
def seen_typing(who):
    return {"type": "typing", "data": {"conversation_id": g, "user_id": who.id, "username": who.name}}
last = post(alice, g, "mark")
for w in (a, b, c):
    while w.recv()["data"].get("message_id") != last:
        pass
typing(b)
assert a.recv() == c.recv() == seen_typing(bob)
mark(b, "read", g, m)
for w in (a, b, c):
    f = w.recv()
    assert f["type"] == "receipt" and f["data"]["user_id"] == bob.id and f["data"]["read_upto"] == m, f
remove(alice, g, carol)
for w in (a, b, c):
    assert brief([w.recv()]) == [("member", carol.id, None)]
typing(c)
mark(c, "read", g, m, "r")
assert c.recv()["data"]["code"] == "unknown_conversation"
for type_ in ("edit", "delete"):
    c.send({"type": type_, "content": "x", "data": {"conversation_id": g, "message_id": m}, "id": type_})
    assert c.recv()["data"]["code"] == "unknown_message"
typing(b)
assert a.recv() == seen_typing(bob)
post(bob, g, "end")
assert drain(c) == []
PY
}

@test "a message of another: owner and admins delete it, nobody edits it; a member does neither" {
    py - <<'PY'
from groups import *
owner, admin, member, other = people(4)
g = group(owner, "Team", admin, member, other)
put_role(owner, g, admin, "admin")
w = connect(other.token)
for who, status in ((owner, 204), (admin, 204), (other, 403)):
    m = post(member, g, "a text")
    # What is read after a deletion has no text any more.
    assert w.until("message")["content"] == "a text"
    path = f"/conversations/{g}/messages/{m}"
    assert api("PATCH", path, {"content": "words in the mouth"}, who.token)[0] == 403
    assert api("DELETE", path, token=who.token)[0] == status, who.name
    if status == 204:
        assert brief([w.recv()]) == [("message_changed", "")]
m = post(owner, g, "the owner's")
assert w.until("message")["content"] == "the owner's"
assert api("DELETE", f"/conversations/{g}/messages/{m}", token=admin.token)[0] == 204
assert brief(caught_up(w, owner, g)) == [("message_changed", "")]
assert [x["content"] for x in history(other, g)] == ["", "", "a text", "", "mark"]
# In a conversation of two nobody deletes the other's.
d = know(owner, member)
[first] = history(member, d)
assert api("DELETE", f"/conversations/{d}/messages/{first['id']}", token=member.token)[0] == 403
PY
}

@test "a conversation with one user: made once, with whoever asks, and not against a block" {
    py - <<'PY'
from groups import *
alice, bob, carol = people(3)
def direct(who, other, name="main"):
    return api("POST", "/conversations", {"user_id": other.id if other else 10**9}, who.token, name)
status, made = direct(alice, bob)
assert status == 201 and (made["kind"], made["name"], made["peer"]["id"], made["last_message"]) == ("direct", None, bob.id, None), made
status, same = direct(bob, alice, "two")
assert (status, same["id"], same["peer"]["id"]) == (200, made["id"], alice.id), same
assert listed(alice) == [] # it has no message yet
w = connect(bob.token)
say(w, made["id"], "hi", "m")
assert w.expect("ack")
assert [x["id"] for x in listed(alice)] == [made["id"]]
assert direct(alice, None)[0] == 404
assert api("PUT", f"/users/{alice.id}/block", token=carol.token)[0] == 204
assert direct(alice, carol)[0] == 403
status, own = direct(alice, alice)
assert (status, own["peer"]["id"]) == (201, alice.id), own
PY
}

@test "what is wrong is said, by its name" {
    server_start few -o max_members=3 -o presence=off
    py - <<'PY'
from groups import *
alice, bob, carol, dave = people(4)
g = group(alice, "Team", bob)
def refused(got, status, words):
    assert got[0] == status and words in got[1]["error"], got
def make(at="main", **body):
    return api("POST", "/conversations", body, alice.token, at)
for name in ("", " x", "x ", "a\nb", "x" * 65, "\u202e", 7, None, ["x"]):
    refused(make(name=name), 400, '"name"')
    refused(rename(alice, g, name), 400, '"name"')
refused(make(), 400, '"user_id"')
for ids in (7, "2", [0], [1.5], ["2"], [-1], [None], [10**19], list(range(1, 1002))):
    refused(make(name="x", members=ids), 400, '"members"')
refused(make(name="x", members=[bob.id, 10**9]), 404, "user")
refused(make(name="x", history="some"), 400, '"history"')
refused(make(user_id="2"), 400, '"user_id"')
refused(api("PATCH", f"/conversations/{g}", {}, alice.token), 400, "nothing to change")
refused(api("PATCH", "/conversations/0", {"name": "x"}, alice.token), 400, "id")
refused(api("POST", f"/conversations/{g}/members", {}, alice.token), 400, '"user_id"')
refused(add(alice, g, carol, "owner"), 400, '"role"')
refused(put_role(alice, g, bob, "king"), 400, '"role"')
refused(put_role(alice, g, bob, 7), 400, '"role"')
refused(api("PATCH", f"/conversations/{g}/members/x", {"role": "admin"}, alice.token), 400, "user's id")
refused(api("DELETE", f"/conversations/{g}/members/0", token=alice.token), 400, "user's id")
status, answer = add(alice, g, user(instance="main"))
assert status == 201
refused(add(alice, g, type("X", (), {"id": 10**9})), 404, "user")
# Whoever has blocked a user is not put into a group by that one.
assert api("PUT", f"/users/{alice.id}/block", token=dave.token)[0] == 204
refused(add(alice, g, dave), 403, "accept")
refused(make(name="x", members=[dave.id]), 403, "accept")
assert add(alice, g, carol)[0] == 201
assert add(bob, g, dave)[0] == 403
# Bounds.
refused(make("few", name="x", members=[bob.id, carol.id, user().id]), 409, "max_members")
h = group(alice, "Few", bob, carol, name_of="few")
refused(add(alice, h, user(), name="few"), 409, "max_members")
sql(f"insert into conversations (kind, name) select 'group', 'g' || i from generate_series(1, 998) i;"
    f"insert into members (conversation_id, user_id, role) select id, {bob.id}, 'owner' from conversations where name ~ '^g[0-9]+$'")
refused(add(alice, group(alice, "x"), bob), 409, "many groups")
refused(api("POST", "/conversations", {"name": "x"}, bob.token), 409, "many groups")
sql("delete from conversations where name ~ '^g[0-9]+$'")
assert add(alice, group(alice, "x"), bob)[0] == 201
for i in range(400):
    status, answer = rename(carol, g, "x")
    if status == 429:
        break
    assert status == 403, answer
assert status == 429 and "groups" in answer["error"], answer
assert rename(alice, g, "y")[0] == 200
# A large group counts as many changes; leaving one is always possible.
eve = user()
large = {"name": "x", "members": [10**9 + i for i in range(1000)]}
assert [api("POST", "/conversations", large, eve.token)[0] for _ in range(2)] == [404, 429]
sql(f"insert into members (conversation_id, user_id, role) select {g}, {eve.id}, 'member'")
assert remove(eve, g, eve)[0] == 204
PY
    server_stop few
}

@test "psql: an INSERT reaches the group and its members; what is done to members by hand is done as if by them" {
    py - <<'PY'
from groups import *
import subprocess
alice, bob, carol = people(3)
a, b = connect(alice.token), connect(bob.token, "two")
g = int(sql(f"select group_make('By hand', {alice.id}, '{{{bob.id}}}')"))
sql(f"insert into messages (conversation_id, sender_id, content) values ({g}, {bob.id}, 'one')")
sql(f"insert into members (conversation_id, user_id, role) values ({g}, {carol.id}, 'member')")
sql(f"insert into messages (conversation_id, sender_id, content) select {g}, {carol.id}, i from generate_series(2, 4) i")
sql(f"update conversations set name = 'By foot' where id = {g}")
sql(f"delete from members where conversation_id = {g} and user_id = {carol.id}")
sql(f"update members set until = 0 where conversation_id = {g} and user_id = {alice.id}")
def fails(statement):
    try:
        sql(statement)
    except subprocess.CalledProcessError:
        return True
for who in (alice, carol, user()):
    assert fails(f"insert into messages (conversation_id, sender_id, content) values ({g}, {who.id}, 'x')")
assert fails(f"insert into messages (sender_id, content) values ({bob.id}, 'x')")
assert fails(f"insert into members (conversation_id, user_id, role) values ({know(alice, bob)}, {carol.id}, 'member')")
assert fails(f"update members set role = null where conversation_id = {g} and user_id = {bob.id}")
assert fails(f"update members set role = 'owner' where conversation_id = {g} and user_id = {bob.id}; "
             f"insert into members (conversation_id, user_id, role) values ({g}, {user().id}, 'owner')")
expected = [("conversation", "By hand", 2), ("message", "one"), ("member", carol.id, "member")] + [("message", str(i)) for i in (2, 3, 4)] \
    + [("conversation", "By foot", 3), ("member", carol.id, None), ("member", alice.id, None), ("member", bob.id, "owner"), ("message", "hello")]
got = brief([b.recv() for _ in expected])
def no_count(frames):
    return [f[:2] for f in frames]
assert no_count(got) == no_count(expected), got
got = brief([a.recv() for _ in expected[:-1]])
assert no_count(got) == no_count(expected[:-2] + expected[-1:]), got
assert drain(a) == []
# A conversation of two may be named as well.
d = know(alice, bob)
sql(f"insert into messages (conversation_id, sender_id, content) values ({d}, {alice.id}, 'to two')")
assert history(bob, d)[-1]["content"] == "to two" and history(bob, d)[-1]["receiver_id"] == bob.id
assert int(sql(f"select member_count from conversations where id = {g}")) == 1
PY
}

@test "an account is removed: the others hear of a change of the group, and it has an owner; a removed group leaves nobody in it" {
    py - <<'PY'
from groups import *
alice, bob, carol = people(3)
b, c = connect(bob.token), connect(carol.token, "two")
g = group(alice, "Team", bob, carol)
m = post(alice, g, "alice's")
for w in (b, c):
    assert brief([w.recv(), w.recv()]) == [("conversation", "Team", 3), ("message", "alice's")]
try:
    sql(f"delete from users where id = {alice.id}")
    assert False, "whoever has written stays"
except subprocess.CalledProcessError:
    pass
sql(f"delete from messages where sender_id = {alice.id}; delete from users where id = {alice.id}")
for w in (b, c):
    assert brief([w.recv(), w.recv()]) == [("conversation", "Team", 2), ("member", bob.id, "owner")]
assert roles(carol, g) == {bob.id: "owner", carol.id: "member"}
post(bob, g, "still here")
assert brief([c.recv()]) == [("message", "still here")]
sql(f"delete from messages where conversation_id = {g}; delete from conversations where id = {g}")
# Each hears of the others up to the own end.
for w, who in ((b, bob), (c, carol)):
    while ("member", who.id, None) not in (got := brief([w.recv()])):
        assert got in ([("message", "still here")], [("member", bob.id + carol.id - who.id, None)]), got
assert show(bob, g)[0] == 404 and listed(bob) == []
say(b, g, "x", "x")
assert b.expect("error")["data"]["code"] == "unknown_conversation"
PY
}

@test "a crowd: messages reach all, on every host; nobody is told who types, and receipts go to the reader alone" {
    py - <<'PY'
from groups import *
alice, bob, carol = people(3)
sql("insert into users (username, email, password_hash) select 'crowd' || i, 'crowd' || i || '@x', '!' from generate_series(1, 60) i")
g = group(alice, "Crowd", bob, carol)
a, b, b2, c = connect(alice.token), connect(bob.token), connect(bob.token, "two"), connect(carol.token, "two")
def typing_and_read():
    m = post(alice, g, "read me")
    for w in (a, b, b2, c):
        assert w.until("message")["content"] == "read me"
    b.send({"type": "typing", "data": {"conversation_id": g}})
    mark(b, "read", g, m)
    for w in (b, b2):
        assert w.until("receipt")["data"]["read_upto"] == m
    seen = []
    post(alice, g, "end")
    for w in (a, c):
        frames = through(w, "message")
        assert frames[-1]["content"] == "end", frames
        seen.append([f["type"] for f in frames[:-1]])
    assert [w.until("message")["content"] for w in (b, b2)] == ["end", "end"]
    return seen
few = typing_and_read()
assert all(sorted(s) == ["receipt", "typing"] for s in few), few
sql(f"insert into members (conversation_id, user_id, role) select {g}, id, 'member' from users where username ~ '^crowd'")
many = typing_and_read()
assert all(not {"receipt", "typing"} & set(s) for s in many), many
status, page = members(alice, g, "?limit=10")
assert status == 200 and len(page) == 10
status, rest = members(alice, g, f"?after={page[-1]['user_id']}")
assert status == 200 and len(rest) == 53 and len(members(carol, g)[1]) == 63
assert show(carol, g)[1]["member_count"] == 63
PY
}

@test "presence=contacts: those in a group see each other, in frames and lists; others do not" {
    server_start near -o presence=contacts -o presence_debounce=0
    server_start far -o presence=contacts -o presence_debounce=0
    py - <<'PY'
from groups import *
alice, bob, carol, dave = people(4)
group(alice, "Team", bob, carol)
know(carol, dave)
a, d = connect(alice.token, "near"), connect(dave.token, "far")
def online_for(who):
    status, users = api("GET", "/users", token=who.token, name="far")
    return {u["id"] for u in users if u["online"]} & {x.id for x in (alice, bob, carol, dave)}
b = connect(bob.token, "far")
f = a.expect("user_status")
assert (f["data"]["user_id"], f["data"]["online"]) == (bob.id, True), f
c = connect(carol.token, "near")
for w in (a, b, d):
    f = w.expect("user_status")
    assert (f["data"]["user_id"], f["data"]["online"]) == (carol.id, True), f
assert online_for(alice) == {alice.id, bob.id, carol.id} and online_for(dave) == {carol.id, dave.id}
assert online_for(carol) == {alice.id, bob.id, carol.id, dave.id}
b.close()
for w in (a, c):
    f = w.expect("user_status")
    assert (f["data"]["user_id"], f["data"]["online"]) == (bob.id, False), f
assert drain(d) == []
# What it costs to come and go is bounded: by the latest hundred groups without a crowd.
sql(f"select group_make('g', {dave.id}, '{{{carol.id}}}') from generate_series(1, 120)")
assert sql(f"select count(*) from groups_shown({dave.id})") == "100"
sql("insert into users (username, email, password_hash) select 'many' || i, 'many' || i || '@x', '!' from generate_series(1, 60) i")
big = int(sql(f"select group_make('big', {dave.id}, (select array_agg(id) from users where username ~ '^many'))"))
assert sql(f"select count(*) filter (where g = {big}), count(*) from groups_shown({dave.id}) g") == "0|100"
PY
    server_stop near
    server_stop far
}

@test "at random: whoever is connected, on whatever host, is told of exactly what a member may see, in order" {
    local seed=${SEED:-$RANDOM}
    echo "SEED=$seed"
    SEED=$seed py - <<'PY'
from groups import *
import os
chance = random.Random(int(os.environ["SEED"]))
users = people(6)
gs = [group(users[0], "one", *users[1:3]), group(users[1], "two", history="all")]
clients = {} # of each user: (socket, what it has got, the cursor that it began from)
told = {who: [] for who in users} # places, over all connections
def name():
    return chance.choice(("main", "two"))
def take(who, frames):
    told[who] += [int(f["data"]["cursor"].split("-")[1]) for f in frames if "cursor" in f["data"] and f["type"] != "ack"]
def attach(who):
    w = connect(who.token, name())
    w.send({"type": "resume", "data": {"cursor": who.cursor}, "id": "here"})
    take(who, until(w, "here"))
    clients[who] = w
def detach(who):
    w = clients.pop(who)
    w.send({"type": "resume", "id": "end"})
    while (f := w.recv()).get("id") != "end":
        take(who, [f])
    who.cursor = f["data"]["cursor"]
    w.close()
for who in users:
    who.cursor = cursor_of(who)
    attach(who)
def step():
    who, g = chance.choice(users), chance.choice(gs)
    kind = chance.choice(["say"] * 6 + ["come"] * 3 + ["go"] * 2 + ["role", "name", "net", "net", "edit"])
    if kind == "say":
        api("POST", f"/conversations/{g}/messages", {"content": "x"}, who.token, name())
    elif kind == "come":
        sql(f"insert into members as m (conversation_id, user_id, role) values ({g}, {who.id}, 'member')"
            " on conflict on constraint members_pkey do update set until = null where m.until is not null")
    elif kind == "go":
        remove(who, g, who, name())
    elif kind == "role":
        sql(f"update members set role = case role when 'member' then 'admin' else 'member' end"
            f" where conversation_id = {g} and user_id = {who.id} and role <> 'owner' and until is null")
    elif kind == "name":
        sql(f"update conversations set name = 'n{chance.randrange(100)}' where id = {g}")
    elif kind == "edit":
        sql(f"update messages set content = content || 'x' where id = (select max(id) from messages where conversation_id = {g})")
    else:
        (detach if who in clients else attach)(who)
for _ in range(150):
    step()
for who in users:
    if who not in clients:
        attach(who)
    last = write(next(u for u in users if u is not who), who, "end")
    while (f := clients[who].recv())["data"].get("message_id") != last:
        take(who, [f])
# Who was in which group when, by the log of changes: the places that each may have been told.
may = {who: set() for who in users}
must = {who: set() for who in users}
rows = [r.split("|") for r in sql(
    f"select change, conversation_id, coalesce(user_id, 0), coalesce(role, '-'), made from group_changes"
    f" where conversation_id in ({gs[0]}, {gs[1]}) order by change").splitlines()]
changes = [(int(c), int(g), int(u), r) for c, g, u, r, m in rows]
messages = [tuple(map(int, r.split("|"))) for r in sql(
    f"select id, conversation_id, coalesce(changed, 0) from messages where conversation_id in ({gs[0]}, {gs[1]})").splitlines()]
ids = {u.id: u for u in users}
spells = {(who, g): [] for who in users for g in gs} # [from, to]
for g, first in zip(gs, (users[:3], users[1:2])):
    made = next(c for c, k, u, r in changes if k == g)
    for who in first:
        spells[who, g].append([made, None])
    for c, k, u, r in changes:
        if k != g or u == 0:
            continue
        s = spells[ids[u], g]
        if r == "-":
            s[-1][1] = c
        elif not s or s[-1][1] is not None:
            s.append([c, None])
everything = [(c, g) for c, g, u, r in changes] + [(i, g) for i, g, c in messages] + [(c, g) for i, g, c in messages if c]
for who in users:
    got = told[who]
    assert got == sorted(set(got)), (who.id, [x for x in got if got.count(x) > 1], "repeated or out of order")
    for place, g in everything:
        # A resume shows all of the second one, from before they came, too.
        if any((a <= place or g == gs[1]) and (b is None or place <= b) for a, b in spells[who, g]):
            may[who].add(place)
    known = set(got) & {p for p, g in everything}
    assert known <= may[who], (who.id, sorted(known - may[who]))
    # What is there in the end, in its latest state, of the present or last time in the group.
    for g in gs:
        for a, b in spells[who, g][-1:]:
            must[who] |= {i for i, k, c in messages if k == g and a < i and (b is None or i <= b)
                          and (not c or (b is not None and c > b))}
            must[who] |= {c for i, k, c in messages if k == g and c and a < i and (b is None or c <= b)}
    assert must[who] <= set(got), (who.id, sorted(must[who] - set(got)))
assert any(must.values()), "nothing happened"
PY
}

# --- what happens at the same time ---

@test "a member who comes while a message is on its way into the database gets it" {
    py - <<'PY'
from groups import *
alice, bob = people(2)
a, b = connect(alice.token), connect(bob.token)
g = group(alice, "Team")
assert brief([a.recv()]) == [("conversation", "Team", 1)]
with locked("messages", "share"):
    with held(f"insert into members (conversation_id, user_id, role) values ({g}, {bob.id}, 'member')"):
        say(a, g, "hello, bob", "m")  # nobody else is in the group here
        writer_waits()
    for w in (a, b):
        assert brief([w.recv()]) == [("member", bob.id, "member")]
assert a.recv()["id"] == "m"
assert brief([b.recv()]) == [("message", "hello, bob")]
PY
}

@test "the groups that a host reads are those that have not ended before its place, and say from where on they count" {
    py - <<'PY'
from groups import *
alice, bob = people(2)
place = lambda: int(sql("select change_last()"))
g = group(alice, "Team", history="all")
before = place()
add(alice, g, bob)
came = place()
remove(alice, g, bob)
left = place()
def groups_at(place):
    return sql(f"select group_id, since, until, joined from chatd_api.group_list('{{{bob.id}}}', {place})")
was = f"{g}|0|{left}|{came}"
assert [groups_at(p) for p in (before, came, left)] == [was, was, "|||"], [groups_at(p) for p in (before, came, left)]
add(alice, g, bob)
assert groups_at(left) == groups_at(place()) == f"{g}|0||{place()}"
PY
}

@test "who connects while the host reads past the making of a group, before there was a session, is in it" {
    py - <<'PY'
from groups import *
alice, bob, other = people(3)
w = connect(other.token)
listener = sql(f"select h.backend from hosts h join sessions s on s.host_id = h.id where s.user_id = {other.id}")
with locked("instance", "access exclusive"):
    sql(f"select from chatd_api.group_make({alice.id}, 'Team', '{{{bob.id}}}', false, 100, 'off')")
    sql(f"insert into messages (sender_id, receiver_id, content) values ({alice.id}, {other.id}, 'a bell')")
    eventually(lambda: sql("select count(*) from pg_stat_activity where query like '%chatd_api.event_read%'"
                           f" and wait_event_type = 'Lock' and pid = {listener}") == "1")
    since = sql("select clock_timestamp()")
    b = connect(bob.token)
    # His groups have been read meanwhile.
    eventually(lambda: int(sql("select count(*) from pg_stat_activity where datname = current_database() and state = 'idle'"
                               f" and query like '%chatd_api.group_list%' and query_start > '{since}'")) > 0)
assert w.until("message")["content"] == "a bell"
[g] = map(int, sql(f"select conversation_id from members where user_id = {bob.id}").split())
number = post(alice, g, "hello", "two")
assert b.until("message")["data"]["message_id"] == number
PY
}

@test "who reads and who gives a group away, or leaves it, do not wait for each other in a circle" {
    py - <<'PY'
from groups import *
low, high = people(2)
for change in (lambda g: put_role(high, g, low, "owner"), lambda g: remove(high, g, high)):
    g = group(high, "Team", low)
    # Receipts of both, of the lower number first, as another host stores them.
    receipts = subprocess.Popen(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    def put(who):
        receipts.stdin.write(f"update members set delivered_upto = delivered_upto + 1 where conversation_id = {g} and user_id = {who.id};"
                             " select 'put';\n")
        receipts.stdin.flush()
        assert receipts.stdout.readline() == "put\n"
    receipts.stdin.write("begin;\n")
    put(low)
    answers = []
    changing = threading.Thread(target=lambda: answers.append(change(g)))
    changing.start()
    eventually(lambda: sql("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
                           r" and query ~ 'chatd_api.member\_'") == "1")
    put(high)
    receipts.communicate("commit;\n")
    changing.join()
    assert receipts.returncode == 0 and answers[0][0] in (200, 204), answers
    assert roles(low, g)[low.id] == "owner"
PY
}

@test "resume: what was changed in groups that one has left hides no change in others" {
    py - <<'PY'
from groups import *
alice, bob, mallory = people(3)
g = group(alice, "Team", bob)
m = post(alice, g, "here")
gone = [int(sql(f"select group_make('left {i}', {mallory.id}, '{{{bob.id}}}')")) for i in range(60)]
sql(f"insert into messages (conversation_id, sender_id, content) select unnest('{{{','.join(map(str, gone))}}}'::bigint[]), {mallory.id}, 'x'")
start = cursor_of(bob)
sql(f"update members set until = 0 where user_id = {bob.id} and conversation_id = any ('{{{','.join(map(str, gone))}}}')")
sql(f"update messages set content = 'y' where sender_id = {mallory.id}")
assert api("DELETE", f"/conversations/{g}/messages/{m}", token=alice.token)[0] == 204
w = connect(bob.token)
w.send({"type": "resume", "data": {"cursor": start}, "id": "end"})
got = until(w, "end")
assert [f["data"]["message_id"] for f in got if f["type"] == "message_changed"] == [m], got
assert [f["data"]["conversation_id"] for f in got if f["type"] == "member"] == gone
PY
}

@test "a text that was changed after one has left is not shown, in the history or by resume; that there was one is" {
    py - <<'PY'
from groups import *
alice, bob, carol = people(3)
start = {who: cursor_of(who) for who in (bob, carol)}
g = group(alice, "Team", bob, carol)
m = post(alice, g, "for all")
post(alice, g, "as it was")
assert remove(alice, g, bob)[0] == 204
assert api("PATCH", f"/conversations/{g}/messages/{m}", {"content": "for those who stayed"}, alice.token)[0] == 200
def texts(who):
    w = connect(who.token)
    w.send({"type": "resume", "data": {"cursor": start[who]}, "id": "end"})
    frames = [f for f in until(w, "end") if f["type"] in ("message", "message_changed")]
    return [x["content"] for x in history(who, g)], [f["content"] for f in frames]
assert texts(bob) == (["", "as it was"], ["", "as it was"]), texts(bob)
assert history(bob, g)[0]["deleted"] is True and "edited_at" not in history(bob, g)[0]
assert texts(carol) == (["for those who stayed", "as it was"], ["for those who stayed", "as it was", "for those who stayed"]), texts(carol)
PY
}
