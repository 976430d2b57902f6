#!/usr/bin/env bats
# Several hosts on one database are one service: messages, presence, history, and what becomes of
# it when a host, or its broker, dies.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start one
    server_start two
}

teardown_file() {
    server_teardown_file
}

@test "two hosts: messages cross both ways, in order" {
    py - <<'PY'
from chat import *
alice, bob = user(instance="one"), user(instance="two")
a, b = connect(alice.token, "one"), connect(bob.token, "two")
for n in range(50):
    a.message(bob.id, f"to two {n}")
    b.message(alice.id, f"to one {n}")
got = [b.until("message") for _ in range(50)]
assert [f["content"] for f in got] == [f"to two {n}" for n in range(50)]
assert all(f["data"]["sender"] == alice.name for f in got)
got = [a.until("message") for _ in range(50)]
assert [f["content"] for f in got] == [f"to one {n}" for n in range(50)]
PY
}

@test "two hosts: one token, one list of users and one history" {
    py - <<'PY'
from chat import *
alice, bob = user(instance="one"), user(instance="two")
a, b = connect(alice.token, "two"), connect(bob.token, "one")
a.message(bob.id, "x", "c-1")
b.message(alice.id, "y", "c-1")
a.until("ack"), b.until("ack")
for u, other in [(alice, bob), (bob, alice)]:
    h = [api("GET", f"/messages/{other.id}", token=u.token, name=n) for n in ["one", "two"]]
    assert h[0] == h[1] and sorted(m["content"] for m in h[0][1]) == ["x", "y"]
    assert h[0][1] == api("GET", f"/messages/{u.id}", token=other.token, name="two")[1]
for n in ["one", "two"]:
    assert online(alice, bob, n) and online(bob, alice, n)
    assert api("POST", "/login", {"username": alice.name, "password": password()}, name=n)[0] == 200
PY
}

@test "two hosts: presence crosses both ways; a user on both goes with the last connection" {
    py - <<'PY'
from chat import *
alice, bob, carol = user(instance="one"), user(instance="one"), user(instance="one")
a1, c2 = connect(alice.token, "one"), connect(carol.token, "two")
b1 = connect(bob.token, "one")
assert seen(a1, bob, name="two") == seen(c2, bob, name="one") == [(bob, True)]
b2 = connect(bob.token, "two")
b1.close()
assert seen(a1, bob, name="two") == seen(c2, bob, name="one") == []
assert online(bob, alice, "one") and online(bob, alice, "two")
b2.close()
assert seen(a1, bob, name="two") == seen(c2, bob, name="one") == [(bob, False)]
assert not online(bob, alice, "one") and not online(bob, alice, "two")
PY
}

@test "at most 8 PostgreSQL connections a host, with 30 clients connected and busy" {
    py - <<'PY'
from chat import *
us = [user(instance="one") for _ in range(10)]
clients = [connect(u.token, n) for u in us for n in ["one", "one", "one"]]
stop = False
def rest(u):
    while not stop:
        assert api("GET", "/users", token=u.token, name="one")[0] == 200
        assert api("GET", f"/messages/{us[0].id}", token=u.token, name="one")[0] == 200
threads = [threading.Thread(target=rest, args=(u,)) for u in us[:6]]
for t in threads:
    t.start()
most = 0
count = ("select count(*) from pg_stat_activity where datname = current_database() "
         "and application_name like 'chatd %'")
for n in range(15):
    for i, c in enumerate(clients):
        c.message(us[(i + 1) % 10].id, f"m {n}", f"{i}-{n}")
    most = max(most, int(sql(count)))
stop = True
for t in threads:
    t.join()
for i, c in enumerate(clients):
    while c.until("ack")["id"] != f"{i}-14":
        pass
# Two hosts share this database.
assert 4 <= most <= 16, most
others = sql("select string_agg(distinct application_name, ', ') from pg_stat_activity where datname = current_database() "
             "and application_name not like 'chatd %' and pid <> pg_backend_pid()")
assert others == "", others
PY
}

@test "a host that stops (SIGTERM): its clients are told 1012, its users are offline elsewhere at once" {
    server_start three
    py - <<'PY'
from chat import *
import signal
alice, bob = user(instance="one"), user(instance="one")
a, b = connect(alice.token, "one"), connect(bob.token, "three")
assert seen(a, bob, name="one") == [(bob, True)]
begin = time.monotonic()
os.kill(int(open(f"{T}/three.pid").read()), signal.SIGTERM)
assert b.closed() == 1012
while (d := a.until("user_status")["data"])["user_id"] != bob.id:
    pass
took = time.monotonic() - begin
assert d["online"] is False and not online(bob, alice, "one")
assert took < 3, took
PY
    wait_gone "$(server_pid three)"
    rm "$T/three.pid"
}

@test "kill -9 of a whole host: its processes all end, its users are offline elsewhere within 10 s" {
    server_start four
    py - <<'PY'
from chat import *
import signal
alice, bob, carol = user(instance="one"), user(instance="one"), user(instance="one")
a, b, c = connect(alice.token, "one"), connect(bob.token, "four"), connect(carol.token, "four")
c1 = connect(carol.token, "one")
assert seen(a, bob, carol, name="one") == [(bob, True), (carol, True)]
master = int(open(f"{T}/four.pid").read())
all_ = children("", "four")
assert len(all_) >= 1 + 2 + 2 + 4, all_
begin = time.monotonic()
os.kill(master, signal.SIGKILL)
while (d := a.until("user_status")["data"])["user_id"] != bob.id:
    assert d["user_id"] != carol.id, "who is connected elsewhere too stays online"
took = time.monotonic() - begin
assert d["online"] is False and not online(bob, alice, "one") and online(carol, alice, "one")
assert took < 10, took
def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
eventually(lambda: not any(running(pid) for pid in all_))
assert b.closed() in (1006, 1012)
# What is sent to them meanwhile waits in the history, and the others go on.
a.message(bob.id, "for later", "c-1")
assert a.until("ack")["data"]["duplicate"] is False
b = connect(bob.token, "two")
assert [m["content"] for m in api("GET", f"/messages/{alice.id}", token=bob.token, name="two")[1]] == ["for later"]
b.message(carol.id, "hello")
assert c1.until("message")["content"] == "hello"
PY
    rm "$T/four.pid"
}

@test "kill -9 of one host's broker: nobody is announced as gone, and messages cross again" {
    py - <<'PY'
from chat import *
import signal
alice, bob = user(instance="one"), user(instance="one")
a, b = connect(alice.token, "one"), connect(bob.token, "two")
seen(a, bob, name="one"), seen(b, alice, name="one")
host = sql(f"select host_id from sessions where user_id = {alice.id}")
[broker] = children("broker", "one")
os.kill(broker, signal.SIGKILL)
b.message(alice.id, "meanwhile")
a.message(bob.id, "from there", "c-1")
# The ack and the other's message may come in either order, and strangers' presence between.
got = {}
while not {"message", "ack"} <= got.keys():
    f = a.recv()
    got[f["type"]] = f
assert got["message"]["content"] == "meanwhile" and got["ack"]["id"] == "c-1", got
assert b.until("message")["content"] == "from there"
# The old host's rows are swept after two seconds; that, too, must announce nobody.
eventually(lambda: sql(f"select count(*) from hosts where id = {host}") == "0")
assert seen(a, alice, bob, name="two") == seen(b, alice, bob, name="two") == []
assert online(alice, bob, "two") and online(bob, alice, "one")
PY
}

@test "who comes and goes elsewhere while a host's broker is away is announced there after" {
    # The change lock is held from before the broker dies until both have flipped, so that its
    # successor cannot register the sessions before.
    py - <<'PY'
from chat import *
import signal
alice, comes, goes = (user(instance="one") for _ in range(3))
a, g = connect(alice.token, "one"), connect(goes.token, "two")
assert seen(a, comes, goes, name="one") == [(goes, True)]
host = sql(f"select host_id from sessions where user_id = {goes.id}")
psql = subprocess.Popen(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, text=True, bufsize=1)
psql.stdin.write("begin; lock table change_lock in share update exclusive mode; \\echo locked\n")
while psql.stdout.readline().strip() != "locked":
    pass
[broker] = children("broker", "one")
os.kill(broker, signal.SIGKILL)
eventually(lambda: children("broker", "one") not in ([], [broker]))
psql.stdin.write(f"insert into sessions (host_id, session_id, user_id) values ({host}, 1000001, {comes.id});\n"
                 f"delete from sessions where user_id = {goes.id};\ncommit;\n")
psql.stdin.close()
psql.wait()
try:
    got = set(seen(a, comes, goes, name="two"))
    assert got == {(comes, True), (goes, False)}, [(u.name, on) for u, on in got]
finally:
    sql("delete from sessions where session_id = 1000001")
PY
}

@test "a third host joins while the others run, and serves at once" {
    server_start five
    py - <<'PY'
from chat import *
alice, bob = user(instance="one"), user(instance="five")
a, b = connect(alice.token, "one"), connect(bob.token, "five")
b.message(alice.id, "hello", "c-1")
assert a.until("message")["content"] == "hello" and b.until("ack")
a.message(bob.id, "welcome")
assert b.until("message")["content"] == "welcome"
PY
    server_stop five
}

@test "a session that is halted: its user is offline after presence_lease, though nobody sees the client leave" {
    server_start halted -o presence_lease=2s
    py - <<'PY'
from frames import *
from server import *
alice, bob, carol = (user(instance="halted") for _ in range(3))
a, c = (connect(u.token, "halted") for u in (alice, carol))
b = raw(handshake(bob.token), "halted")
assert Answer(b).status == 101
assert (bob, True) in seen(a, bob, carol, name="halted")
[session] = children(f"session {carol.name} ", "halted")
# Halted and going on in time: nothing happens, also later.
for number in signal.SIGSTOP, signal.SIGCONT:
    os.kill(session, number)
[session] = children(f"session {bob.name} ", "halted")
os.kill(session, signal.SIGSTOP)
b.close()
while (d := a.until("user_status")["data"])["user_id"] != bob.id:
    pass
assert d["online"] is False, d
assert not online(bob, alice, "halted") and online(carol, alice, "halted")
c.message(alice.id, "still here")
assert a.until("message")["content"] == "still here"
log = open(f"{T}/halted.log").read()
assert f"session[{session}] was halted for presence_lease and is ended" in log, log
PY
    server_stop halted
}

@test "a broker that hangs: its users are offline elsewhere within presence_lease, and back when it goes on" {
    server_start lease1 -o presence_lease=4s
    server_start lease2 -o presence_lease=4s
    py - <<'PY'
from chat import *
import signal
alice, bob = user(instance="lease1"), user(instance="lease2")
a, b = connect(alice.token, "lease1"), connect(bob.token, "lease2")
assert seen(a, bob, name="lease1") == [(bob, True)]
[broker] = children("broker", "lease2")
os.kill(broker, signal.SIGSTOP)
begin = time.monotonic()
try:
    while (d := a.until("user_status")["data"])["user_id"] != bob.id:
        pass
    # That is what the lease promises.
    assert time.monotonic() - begin < 4, time.monotonic() - begin
    assert d["online"] is False and not online(bob, alice, "lease1")
    a.message(bob.id, "meanwhile", "m-1")
    a.until("ack")
finally:
    os.kill(broker, signal.SIGCONT)
while (d := a.until("user_status")["data"])["user_id"] != bob.id:
    pass
assert d["online"] is True and online(bob, alice, "lease1")
assert b.until("message")["content"] == "meanwhile"
assert children("broker", "lease2") == [broker]
PY
    server_stop lease1
    server_stop lease2
}

@test "a broker that hangs while many long messages are being stored for it holds up nobody else" {
    server_start large
    server_start small
    py - <<'PY'
from chat import *
import signal
alice, bob, carol = user(instance="large"), user(instance="small"), user(instance="large")
a, b, c = connect(alice.token, "large"), connect(bob.token, "small"), connect(carol.token, "large")
[broker] = children("broker", "large")
def change_lock():
    """A session that waits for the change lock, and then keeps it."""
    p = subprocess.Popen(["psql", "-qXAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    p.stdin.write("begin; lock table change_lock in share update exclusive mode; select 'taken';\n")
    p.stdin.flush()
    return p
def taken(p):
    while p.stdout.readline().strip() != "taken":
        pass
def waits(query):
    """Whoever runs this waits for the lock. Others may, too: who has gone offline meanwhile, say."""
    return sql(f"""select count(*) from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock' and query like '%{query}%'""") == "1"
# The first message is on its way alone; those that come meanwhile go together, behind the second lock.
first = change_lock()
taken(first)
a.message(carol.id, "one", "0")
eventually(lambda: waits("message_send"))
LONG, COUNT = '"' * 16000, 14  # no more bytes may wait for an answer
for n in range(COUNT):
    a.message(carol.id, LONG, f"m-{n}")
a.send({"type": "ping", "id": "p"})
a.until("pong")
second = change_lock()
eventually(lambda: waits("lock table change_lock"))
first.communicate("commit;\n")
taken(second)
a.until("ack")
eventually(lambda: waits("message_send"))
os.kill(broker, signal.SIGSTOP)
try:
    second.communicate("commit;\n")
    b.message(alice.id, "not held up", "b-1")
    b.until("ack")
finally:
    os.kill(broker, signal.SIGCONT)
got = [c.until("message")["content"] for _ in range(1 + COUNT)]
assert got == ["one"] + [LONG] * COUNT
assert a.until("message")["content"] == "not held up"
PY
    server_stop large
    server_stop small
}

@test "a clock that differs from the database's is warned of, once until they agree again" {
    py - <<'PY'
from chat import *
from preload import preloaded
from removal import server_start
import re, struct
with open(f"{T}/control", "wb") as f:
    f.truncate(24)
os.chmod(f"{T}/control", 0o644)
def step(seconds):
    with open(f"{T}/control", "r+b") as f:
        f.write(struct.pack("=q", seconds))
def said():
    with open(f"{T}/stepped.log") as f:
        return [line.rstrip().split(": ", 1)[1] for line in f if "this host's clock" in line]
def seconds(line):
    """What the round trip cannot explain: less than the difference, by up to the seconds that a statement may take."""
    [found] = re.findall(r"clock is (\d+\.\d) s ", line)
    return float(found)
def attach_anew():
    [host] = sql("select max(id) from hosts").split()
    sql(f"select pg_terminate_backend(backend) from hosts where id = {host}")
    eventually(lambda: sql(f"select max(id) > {host} from hosts") == "t")
os.environ.update(preloaded("faults/shim.so", CHATD_FAULTS=f"{T}/control"))
step(-100)
server_start("stepped")
for name in "LD_PRELOAD", "CHATD_FAULTS":
    del os.environ[name]
eventually(lambda: len(said()) == 1)
assert "s behind the database's: tokens expire too late here" in said()[0] and 90 <= seconds(said()[0]) <= 100, said()
attach_anew()
attach_anew()
step(0)
attach_anew()
eventually(lambda: len(said()) == 2)
assert said()[1] == "this host's clock and the database's agree again", said()
step(100)
attach_anew()
eventually(lambda: len(said()) == 3)
assert "s ahead of the database's: tokens expire too early here" in said()[2] and 90 <= seconds(said()[2]) <= 100, said()
PY
    server_stop stepped
}
