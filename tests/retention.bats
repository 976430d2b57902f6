#!/usr/bin/env bats
# Retention: what is too old goes, a few at a time and by one host; what is left is whole, and nobody is
# told that nothing was missed when something was.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start main -o presence=off -o retention_interval=50ms
    server_start two -o presence=off -o retention_interval=50ms
}

teardown_file() {
    server_teardown_file
}

# The next test begins without messages: newer ones would go before its old ones.
teardown() {
    psql -qX -c "update chatd.conversations set days = null where days is not null" \
        -c "update chatd.retention set days = null, swept = 0" -c "delete from chatd.messages"
}

@test "what is too old goes, at rest or not, and what comes meanwhile is delivered" {
    py - <<'PY'
from chats import *
from operators import told
def removed():
    [line] = [line for line in told("main", "metrics") if line.startswith("chatd_retention_removed_messages_total ")]
    return int(line.split()[1])
before = removed()
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token, "two")
a.message(bob.id, "first", "m-1")
b.until("message")
age(f"sender_id = {alice.id}", 100)
fill(alice, bob, 500, 100)
a.message(bob.id, "last", "m-2")
while b.until("message")["content"] != "last":
    pass # psql's are delivered as well
assert keep(90) == "retention all: kept 90 days"
eventually(lambda: sql(f"select string_agg(content, ' ') from messages where sender_id = {alice.id}") == "last")
eventually(lambda: removed() == before + 501)
for n in range(5):
    a.message(bob.id, f"live {n}", f"l-{n}")
assert [b.expect("message")["content"] for n in range(5)] == [f"live {n}" for n in range(5)]
[talk] = listed(bob)
assert talk["last_message"]["content"] == "live 4" and talk["unread"] == 6, talk
assert [m["content"] for m in history(bob, talk["id"])] == ["last"] + [f"live {n}" for n in range(5)]
PY
}

@test "whatever hangs on a message goes with it: reactions, earlier texts; an answer to it stays" {
    py - <<'PY'
from reactions import *
alice, bob = user(), user()
talk = know(alice, bob)
old = write(alice, bob, "old")
answered = answer(bob, talk, "new", old)[1]["message_id"]
assert put(bob, talk, old, "👍")[0] == 204
sql(f"insert into earlier_texts (message_id, content) values ({old}, 'older')")
age(f"id <= {old}", 31)
keep(30)
eventually(lambda: sql(f"select count(*) from messages where id = {old}") == "0")
assert sql(f"select count(*) from reactions where message_id = {old}") == "0"
assert sql(f"select count(*) from earlier_texts where message_id = {old}") == "0"
assert one(alice, talk, answered)["reply_to"] == old
PY
}

@test "a cursor from before what was removed gets \"recovered\":false in its conversation, and others get what was missed" {
    py - <<'PY'
from chats import *
alice, bob, carol = user(), user(), user()
a, c = connect(alice.token), connect(carol.token)
a.message(carol.id, "to carol")
carols = c.until("message")["data"]["cursor"]
c.close()
b = connect(bob.token)
number = write(alice, bob, "removed")
b.until("message")
a.message(bob.id, "seen")
after = b.until("message")["data"]["cursor"]
b.close()
write(alice, bob, "missed")
write(alice, carol, "missed, too")
age(f"id = {number}", 3)
# Whoever changes what is about to go moves nobody else's horizon.
sql(f"update messages set content = 'edited' where id = {number}")
keep(2, room=sql(f"select conversation_id from messages where id = {number}"))
eventually(lambda: sql(f"select count(*) from messages where id = {number}") == "0")
for name in ("main", "two"):
    b = connect(bob.token, name, path=f"/ws?cursor={carols}")
    assert b.expect("resumed")["data"]["recovered"] is False
    b.send({"type": "resume", "id": "r", "data": {"cursor": after}})
    assert b.until("resumed")["data"]["recovered"] is False # the edit was missed
    c = connect(carol.token, name, path=f"/ws?cursor={carols}")
    assert c.expect("message")["content"] == "missed, too"
    assert c.expect("resumed")["data"]["recovered"] is True
    c.send({"type": "resume", "id": "r", "data": {"cursor": carols}})
    assert c.until("resumed")["data"]["recovered"] is True
PY
}

@test "when the newest message of all is too old, the sequence and its cursor stay, over a loss of the database, too" {
    py - <<'PY'
from chats import *
alice, bob = user(), user()
b = connect(bob.token)
number = write(alice, bob, "the last one")
cursor = b.until("message")["data"]["cursor"]
age(f"id = {number}", 3)
keep(2)
eventually(lambda: sql("select count(*) from messages") == "0")
before = sql("select string_agg(id::text, ' ') from hosts")
sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'chatd%' and datname = current_database()")
eventually(lambda: sql("select count(*) from hosts where id > " + before.split()[-1]) == "2")
eventually(lambda: sql(f"select count(*) from sessions where user_id = {bob.id}") == "1")
with open(f"{T}/main.log") as f:
    assert "went back" not in f.read()
for name in ("main", "two"):
    again = connect(bob.token, name, path=f"/ws?cursor={cursor}")
    assert again.expect("resumed")["data"] == {"cursor": cursor, "recovered": True}
    again.close()
number = write(alice, bob, "the next one")
got = b.expect("message") # nothing came in between
assert got["content"] == "the next one" and got["data"]["message_id"] == number
PY
}

@test "a room's time is set while its members change and old messages go: each waits for the others" {
    py - <<'PY'
from groups import *
alice, bob = user(), user()
g = group(alice, "Room", bob)
with held(f"select from chatd.retention for update") as step:
    done = []
    setter = subprocess.Popen([f"{os.environ['BUILD']}/chatctl", "-o", f"db_name={os.environ['DB']}", "retention", "set", "--room", str(g), "5"],
                              stdout=subprocess.PIPE, text=True)
    eventually(lambda: sql("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like 'update chatd.conversations set days%'") == "1")
    # It holds nothing that a change of members waits for.
    carol = user()
    assert add(alice, g, carol)[0] in (200, 201, 204)
    assert setter.poll() is None
assert setter.communicate(timeout=WAIT)[0] == f"room {g}: kept 5 days\n" and setter.returncode == 0
PY
}

@test "a conversation may keep for less time than the others, for more, or for ever, and as the others again" {
    py - <<'PY'
from chats import *
alice = user()
def talk(days):
    other = user()
    fill(alice, other, 3, days)
    return sql(f"select conversation_id from contacts where user_id = {alice.id} and contact_id = {other.id}")
def left(room):
    return int(sql(f"select count(*) from messages where conversation_id = {room}"))
ever, more, common, less = talk(1000), talk(100), talk(100), talk(10)
keep(7, room=less), keep(365, room=more), keep("forever", room=ever)
keep(90)
eventually(lambda: (left(less), left(common)) == (0, 0))
assert (left(more), left(ever)) == (3, 3)
shown = json.loads(ctl("show", "-j"))
assert shown[0] == {"room": None, "name": None, "days": 90, "over": 0}, shown
assert [(r["room"], r["days"], r["over"]) for r in shown[1:]] == [(int(ever), 0, 0), (int(more), 365, 0), (int(less), 7, 0)], shown
assert ctl("set", "-n", "--room", ever, "default") == "messages 3: would be removed"
assert ctl("set", "-n", "--room", ever, "999") == "messages 3: would be removed"
assert ctl("set", "-n", "--room", ever, "1001") == ctl("set", "-n", "--room", ever, "forever") == "messages 0: would be removed"
assert left(ever) == 3
# Looked at long ago, and passed over.
eventually(lambda: int(sql("select swept from retention")) >= int(sql(f"select max(id) from messages where conversation_id = {ever}")))
assert keep("default", room=ever) == f"room {ever}: kept as all are"
eventually(lambda: left(ever) == 0)
assert left(more) == 3
PY
}

@test "by the order of messages: one with a later time of its own holds nothing up for ever, one from the future stays" {
    py - <<'PY'
from chats import *
alice, bob = user(), user()
fill(alice, bob, 1, -1000)
fill(alice, bob, 300, 40)
keep(30)
eventually(lambda: sql(f"select count(*) from messages where sender_id = {alice.id}") == "1")
PY
}

@test "only the first host removes, at most 200 at a time; when it is gone, the next one does" {
    server_start third -o presence=off -o retention_interval=1d
    server_stop main
    server_stop two
    server_start fourth -o presence=off -o retention_interval=1d
    py - <<'PY'
from chats import *
eventually(lambda: sql("select count(*) from hosts") == "2")
first, second = sql("select string_agg(id::text, ',' order by id) from hosts").split(",")
alice, bob = user(instance="third"), user(instance="third")
fill(alice, bob, 250, 40)
keep(30)
def step(host):
    return sql(f"select removed || ' ' || some_left from chatd_api.retention_step({host}, 200)")
assert step(second) == "0 false"
assert step(first) == "200 true"
# With the change lock held, it does not wait for the disk.
assert sql(f"begin; select from chatd_api.retention_step({first}, 200); show synchronous_commit; rollback").split()[-1] == "off"
assert step(first) == "50 false"
assert step(first) == "0 false"
PY
    server_stop third
    server_start two -o presence=off -o retention_interval=50ms
    py - <<'PY'
from chats import *
alice, bob = user(instance="two"), user(instance="two")
fill(alice, bob, 1, 40)
keep(30)
# The fourth host is the first of those that are left, and looks once a day.
assert sql("select removed from chatd_api.retention_step((select min(id) from hosts), 200)") == "1"
fill(alice, bob, 1, 40)
PY
    server_stop fourth
    py - <<'PY'
from chats import *
eventually(lambda: sql("select count(*) from messages where created_at < now() - interval '30 days'") == "0")
PY
    server_start main -o presence=off -o retention_interval=50ms
}

@test "changes of groups that nobody can be told of any more go after a day; who resumes gets the latest of each" {
    py - <<'PY'
from groups import *
def changes(g):
    return sql(f"select string_agg(coalesce(user_id::text, 'group'), ' ' order by change) from group_changes"
               f" where conversation_id = {g}") or ""
def grow_older(g):
    sql(f"update group_changes set changed_at = changed_at - interval '2 days' where conversation_id = {g};"
        " update retention set thinned = 0")
alice, bob, carol, dave = people(4)
b = connect(bob.token)
g = group(alice, "first", bob)
cursor = b.until("conversation")["data"]["cursor"]
gone = group(alice, "gone", bob)
for name_ in "second", "third":
    rename(alice, g, name_)
add(alice, g, carol)
add(alice, g, dave)
leave(dave, g)
sql(f"delete from users where id = {carol.id}")
sql(f"delete from conversations where id = {gone}")
everything = f"group group group {carol.id} {dave.id} {dave.id} group"
assert changes(g) == everything, changes(g)
assert len(changes(gone).split()) > 1
newest = sql("select max(change) from group_changes")
b.close()
# Half a day is too young.
sql("update group_changes set changed_at = changed_at - interval '12 hours'")
assert sql("select group_changes_thin(200)") == "f"
assert changes(g) == everything
grow_older(g)
eventually(lambda: changes(g) == f"{dave.id} group")
# Of a conversation that is gone all go, but for the newest change of all, from which the sequence goes on.
grow_older(gone)
eventually(lambda: len(changes(gone).split()) == 1)
assert sql("select max(change) from group_changes") == newest
rename(alice, g, "fourth")
sql("update retention set thinned = 0")
eventually(lambda: changes(gone) == "")
b = connect(bob.token, path=f"/ws?cursor={cursor}")
got = []
while (frame := b.recv())["type"] != "resumed":
    got.append((frame["type"], frame["data"].get("name"), frame["data"].get("user_id"), frame["data"].get("role")))
assert frame["data"]["recovered"] is True, frame
assert got == [("member", None, dave.id, None), ("conversation", "fourth", None, None)], got
PY
}

@test "chatctl retention: what cannot be, and that a dry run changes nothing" {
    py - <<'PY'
from chats import *
for words, status, text in (
        (["set", "0"], 2, 'chatctl: "0" is no time to keep messages: 1 to 36500 days, "forever"; "default" needs --room'),
        (["set", "36501"], 2, None), (["set", "-5"], 2, None), (["set", "default"], 2, None), (["set", "x"], 2, None),
        (["set", "--room", "x", "3"], 2, 'chatctl: --room: "x" is no id of a conversation; chatctl room list shows them'),
        (["set", "--room", "123456789", "3"], 4, "chatctl: there is no conversation 123456789"),
        (["set", "-n", "--room", "123456789", "3"], 4, "chatctl: there is no conversation 123456789"),
        (["set"], 2, None), (["show", "x"], 2, None), (["show", "--room", "1"], 2, None)):
    done = ctl_run(*words)
    assert done.returncode == status and (text is None or done.stderr.strip() == text), (words, done)
assert ctl("set", "-n", "-j", "20") == '[{"what":"messages","name":"0","done":"would be removed"}]'
assert sql("select days is null from retention") == "t"
alice, bob = user(), user()
fill(alice, bob, 2, 40)
keep("forever")
rooms = sql("select string_agg(id::text, ',') from (select id from conversations order by id limit 2) c").split(",")
for room in rooms:
    keep("forever", room=room)
done = ctl_run("show", "--limit", "1")
assert done.stderr.strip() == f"chatctl: there may be more: --after {rooms[0]}", done
assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["-", rooms[0]], done
done = ctl_run("show", "-j", "--after", rooms[0])
assert [r["room"] for r in json.loads(done.stdout)] == [int(rooms[1])], done
PY
}
