#!/usr/bin/env bats
# Who is online: user_status frames and GET /users.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start
    server_start contacts -o presence=contacts
    server_start off -o presence=off
}

teardown_file() {
    server_teardown_file
}

@test "user_status: {\"type\":\"user_status\",\"data\":{\"user_id\",\"online\"}} when a user comes and goes" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a = connect(alice.token)
b = connect(bob.token)
def next_of(who):
    while (f := a.until("user_status"))["data"]["user_id"] != who.id:
        pass
    return f
assert next_of(bob) == {"type": "user_status", "data": {"user_id": bob.id, "online": True, "username": bob.name}}
b.close()
assert next_of(bob) == {"type": "user_status", "data": {"user_id": bob.id, "online": False, "username": bob.name}}
PY
}

@test "user_status goes out with the first connection and the last close only" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a = connect(alice.token)
first = connect(bob.token)
assert seen(a, bob) == [(bob, True)]
second, third = connect(bob.token), connect(bob.token)
assert seen(a, bob) == []
first.close()
second.close()
assert seen(a, bob) == [] and online(bob, alice)
third.close()
assert seen(a, bob) == [(bob, False)] and not online(bob, alice)
again = connect(bob.token)
assert seen(a, bob) == [(bob, True)]
again.close()
assert seen(a, bob) == [(bob, False)]
PY
}

@test "user_status reaches everybody connected, on all their connections, but never the user himself" {
    py - <<'PY'
from chat import *
bob, others = user(), [user() for _ in range(4)]
b0 = connect(bob.token)
clients = [connect(u.token) for u in others for _ in range(2)]
extra = connect(bob.token)
extra.close()
b0.close()
for c in clients:
    assert seen(c, bob) == [(bob, False)]
b = connect(bob.token)
for c in clients:
    assert seen(c, bob) == [(bob, True)]
assert seen(b, bob) == []
# He hears of the others, once each.
for c in clients:
    c.close()
assert sorted((u.id, on) for u, on in seen(b, bob, *others)) == [(u.id, False) for u in others]
PY
}

@test "GET /users agrees with the user_status frames, also at the moment they arrive" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a = connect(alice.token)
for _ in range(10):
    b = connect(bob.token)
    while (d := a.until("user_status")["data"])["user_id"] != bob.id:
        pass
    assert d["online"] and online(bob, alice) and online(alice, alice)
    b.close()
    while (d := a.until("user_status")["data"])["user_id"] != bob.id:
        pass
    assert not d["online"] and not online(bob, alice)
PY
}

@test "GET /users: all users by id, with online and last_seen, and nobody's email" {
    py - <<'PY'
from chat import *
alice, bob, never = user(), user(), user()
a, b = connect(alice.token), connect(bob.token)
b.close()
eventually(lambda: not online(bob, alice))
status, users = api("GET", "/users", token=alice.token)
ids = [u["id"] for u in users]
assert status == 200 and ids == sorted(ids) and {alice.id, bob.id, never.id} <= set(ids)
assert len(users) == int(sql("select count(*) from users"))
assert all(set(u) == {"id", "username", "online", "last_seen"} for u in users)
rows = {u["id"]: u for u in users}
assert rows[alice.id]["username"] == alice.name
assert [rows[u.id]["online"] for u in (alice, bob, never)] == [True, False, False]
for u in (alice, bob):
    assert len(rows[u.id]["last_seen"]) == 24 and rows[u.id]["last_seen"].endswith("Z")
assert api("GET", "/users")[0] == 401
PY
}

@test "REST requests make nobody online" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
a = connect(alice.token)
assert api("GET", "/users", token=bob.token)[0] == 200
assert api("GET", f"/messages/{alice.id}", token=bob.token)[0] == 200
assert seen(a, bob) == [] and not online(bob, alice)
PY
}

@test "a client that vanishes without a close frame is offline at once: end of file, and reset" {
    py - <<'PY'
from frames import *
alice, bob = user(), user()
a = connect(alice.token)
for reset in [False, True]:
    w = Raw(bob.token)
    assert seen(a, bob) == [(bob, True)]
    if reset:
        w.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    w.socket.close()
    while (d := a.until("user_status")["data"])["user_id"] != bob.id:
        pass
    assert d["online"] is False and not online(bob, alice)
PY
}

@test "kill -9 of the session process makes its user offline" {
    py - <<'PY'
from chat import *
import signal
alice, bob = user(), user()
a, b, b2 = connect(alice.token), connect(bob.token), connect(bob.token)
assert seen(a, bob) == [(bob, True)]
pids = children(f"session {bob.name} ")
assert len(pids) == 2
os.kill(pids[0], signal.SIGKILL)
eventually(lambda: len(children(f"session {bob.name} ")) == 1)
assert seen(a, bob) == [] and online(bob, alice)
os.kill(pids[1], signal.SIGKILL)
while (d := a.until("user_status")["data"])["user_id"] != bob.id:
    pass
assert d["online"] is False and not online(bob, alice)
PY
}

@test "presence=contacts: only who shares a conversation hears, from its beginning on" {
    py - <<'PY'
from chat import *
n = "contacts"
alice, bob, carol = user(instance=n), user(instance=n), user(instance=n)
a, c = connect(alice.token, n), connect(carol.token, n)
# The end of what has reached them is marked by a contact of both, who comes and goes.
marker = user(instance=n)
for u in (alice, carol):
    sql(f"insert into messages (sender_id, receiver_id, content) values ({marker.id}, {u.id}, 'hello')")
def statuses(client, until):
    got = []
    while True:
        data = client.until("user_status")["data"]
        if data["user_id"] != marker.id:
            got.append((data["user_id"], data["online"]))
        elif data["online"] == until:
            return got
def mark():
    m = connect(marker.token, n)
    got = [statuses(x, True) for x in (a, c)]
    m.close()
    assert [statuses(x, False) for x in (a, c)] == [[], []]
    return got
b = connect(bob.token, n)
assert mark() == [[], []]
assert not online(bob, alice, n) and not online(bob, carol, n) and online(bob, bob, n)
b.message(alice.id, "now we know each other", "c-1")
b.expect("ack")
assert online(bob, alice, n) and online(alice, bob, n) and not online(bob, carol, n)
b.close()
assert mark() == [[(bob.id, False)], []]
b = connect(bob.token, n)
assert mark() == [[(bob.id, True)], []]
# A conversation without a message yet is one, too.
assert api("POST", "/conversations", {"user_id": bob.id}, token=carol.token, name=n)[0] == 201
assert online(bob, carol, n) and online(carol, bob, n)
a.close()
assert b.until("user_status")["data"] == {"user_id": alice.id, "online": False, "username": alice.name}
PY
}

@test "presence=off: nobody hears, and GET /users tells nobody but oneself" {
    py - <<'PY'
from chat import *
n = "off"
alice, bob, carol = user(instance=n), user(instance=n), user(instance=n)
a, carols = connect(alice.token, n), connect(carol.token)
b = connect(bob.token, n)
assert seen(carols, bob) == [(bob, True)] and online(bob, alice) # by an instance whose presence is on
assert online(bob, bob, n) and not online(bob, alice, n)
b.message(alice.id, "hello", "c-1")
b.expect("ack")
assert a.expect("message")["content"] == "hello"
b.close()
eventually(lambda: not online(bob, alice))      # the other instance has heard of it
assert seen(carols, bob) == [(bob, False)]
[row] = [u for u in api("GET", "/users", token=alice.token, name=n)[1] if u["id"] == bob.id]
assert row == {"id": bob.id, "username": bob.name, "online": False, "last_seen": None}
a.silent()
PY
}

@test "users who come and go fast: online and offline alternate, and the end agrees" {
    py - <<'PY'
from chat import *
alice, us = user(), [user() for _ in range(6)]
a = connect(alice.token)
def flap(u):
    for _ in range(5):
        connect(u.token).close()
threads = [threading.Thread(target=flap, args=(u,)) for u in us]
for t in threads:
    t.start()
for t in threads:
    t.join()
eventually(lambda: not any(online(u, alice) for u in us))
got = seen(a, *us)
for u in us:
    flips = [on for who, on in got if who is u]
    assert flips == [True, False] * (len(flips) // 2), flips
PY
}

@test "presence_debounce: who comes back in time was never gone, here or on another host; who does not is" {
    server_start deb1 -o presence_debounce=1500ms
    server_start deb2 -o presence_debounce=1500ms
    py - <<'PY'
from chat import *
alice, bob = user(instance="deb1"), user(instance="deb1")
a = connect(alice.token, "deb1")
b = connect(bob.token, "deb1")
assert seen(a, bob, name="deb2") == [(bob, True)]
change = lambda: int(sql(f"select change from presence where user_id = {bob.id}"))
before = change()
for name in ("deb1", "deb2", "deb1"):
    b.socket.transport.abort()
    b = connect(bob.token, name)
assert change() == before and online(bob, alice, "deb1") and online(bob, alice, "deb2")
b.close()
while (d := a.until("user_status")["data"])["user_id"] != bob.id:
    pass
assert d["online"] is False and change() > before and not online(bob, alice, "deb1")
PY
    server_stop deb1
    server_stop deb2
}

@test "a stop of the server does not wait for presence_debounce" {
    server_start deb3 -o presence_debounce=1m
    py - <<'PY'
from chat import *
import signal
alice, bob = user(), user(instance="deb3")
a, b = connect(alice.token), connect(bob.token, "deb3")
assert seen(a, bob) == [(bob, True)]
os.kill(int(open(f"{T}/deb3.pid").read()), signal.SIGTERM)
assert b.closed() == 1012
while (d := a.until("user_status")["data"])["user_id"] != bob.id:
    pass
assert d["online"] is False and not online(bob, alice)
PY
    wait_gone "$(server_pid deb3)"
    rm "$T/deb3.pid"
}

@test "2500 users come at once on a host that dies: each is announced once as here, and once as gone" {
    py - <<'PY'
from chat import *
alice, marker = user(), user()
a = connect(alice.token)
sql("insert into users (username, email, password_hash) select 'many' || n, 'many' || n, '*' from generate_series(1, 2500) n")
sql("insert into hosts (id, name, backend) select 900000, 'dies', max(backend) from hosts")
sql("insert into sessions (host_id, session_id, user_id) select 900000, id, id from users where username like 'many%'")
want = set(map(int, sql("select id from users where username like 'many%'").splitlines()))
assert len(want) == 2500
def told():
    while (d := a.until("user_status")["data"])["user_id"] not in want:
        pass
    return d["user_id"], d["online"]
came = []
for n in range(2500):
    if n % 50 == 0:
        sql("update hosts set beat = beat + 1 where id = 900000") # it lives until all are announced
    came.append(told())
assert sorted(came) == sorted((who, True) for who in want)
# Nobody listens behind it any more: the others remove it, and its sessions in several statements.
sql("update hosts set backend = 0 where id = 900000")
assert sorted(told() for _ in range(2500)) == sorted((who, False) for who in want)
assert sql("select count(*) from sessions where host_id = 900000") == "0"
m = connect(marker.token)
while (d := a.until("user_status")["data"])["user_id"] != marker.id:
    assert d["user_id"] not in want, d
PY
}

@test "presence that went back, as after a restore: all of it is compared, and told" {
    server_start back
    py - <<'PY'
from chat import *
n = "back"
watcher, x = user(instance=n), user(instance=n)
w = connect(watcher.token, n)
def told():
    while (d := w.until("user_status")["data"])["user_id"] != x.id:
        pass
    return d["online"]
def visit():
    x_here = connect(x.token, n)
    came = told()
    x_here.close()
    return came and not told()
assert visit()
def logged(text):
    with open(f"{T}/{n}.log") as f:
        return f.read().count(text)
def relink():
    before = logged("the database is up")
    sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name like 'chatd %'")
    eventually(lambda: logged("the database is up") > before)
# Under a number that this host has read as "gone".
sql(f"update presence set online = true where user_id = {x.id}")
relink()
assert told()
assert logged("presence went back: comparing all of it") == 1
# It was a state like any other: it ends with the next visit.
connect(x.token, n).close()
assert not told()
# And the next time that the link comes up there is nothing to compare.
relink()
assert visit()
assert logged("presence went back") == 1
# All numbers are lower than those that this host has seen.
sql(f"""
    update presence set online = online or user_id = {x.id},
        change = (select -count(*) from presence q where q.change <= presence.change);
    update presence set change = -change;
    select setval('presence_seq', max(change)) from presence""")
relink()
assert told()
connect(x.token, n).close()
assert not told()
PY
    server_stop back
}

@test "200 clients whose broker comes back: rows in a few batches, nobody flaps, nobody is told" {
    server_start storm
    py - <<'PY'
from chat import *
import signal
n = "storm"
alice, us = user(instance=n), [user(instance=n) for _ in range(20)]
sql(f"alter database {os.environ['DB']} set track_functions = 'all'")
sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name like 'chatd %'")
eventually(lambda: api("GET", "/users", token=alice.token, name=n)[0] == 200)
def calls():
    return int(sql("select coalesce(sum(calls), 0) from pg_stat_user_functions where funcname = 'session_open'"))
before = calls()
a = connect(alice.token, n)
clients = [connect(us[i % 20].token, n) for i in range(200)]
assert set(seen(a, *us, name=n)) == {(u, True) for u in us}
changes = lambda: sql(f"select max(change) from presence where user_id in ({', '.join(str(u.id) for u in us)})")
changed = changes()
[broker] = children("broker", n)
os.kill(broker, signal.SIGKILL)
# All are registered again, and the rows of the dead broker's host are gone.
eventually(lambda: sql("select count(*), count(distinct host_id) from sessions s where user_id <> " + str(alice.id)
                       + f" and exists (select from hosts h where h.id = s.host_id)") in ("200|1", "200|2")
           and sql("select count(*) from sessions") == "201" and len(children("broker", n)) == 1)
assert changes() == changed
for c in clients:
    c.ping()
stranger = user(instance=n)
connect(stranger.token, n)
# Statistics are written when a connection ends, or a while later. One call for each that came by
# itself: alice, the 200, and the strangers; then a few for all together.
eventually(lambda: calls() - before >= 204)
assert calls() - before <= 202 + 40, calls() - before
got = []
while (f := a.until("user_status")["data"])["user_id"] != stranger.id:
    got.append(f)
names = {u.id for u in us}
assert not [f for f in got if f["user_id"] in names], got
PY
    server_stop storm
}
