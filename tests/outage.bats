#!/usr/bin/env bats
# PostgreSQL away: what clients are told meanwhile, and that everything goes on afterwards.
#
# The cluster is this file's own, so that stopping it disturbs nobody.

load lib/server

setup_file() {
    export DESCRIBED=1
    unset TEST_CLUSTER
    server_setup_file
    server_start
}

teardown_file() {
    server_teardown_file
}

# Whatever a test left behind.
setup() {
    "$ROOT/tests/tools/cluster" start --fast "$TEST_CLUSTER"
}

@test "PostgreSQL away: 503 with Retry-After on REST, and after its return everything works" {
    py - <<'PY'
from postgres import *
from rawhttp import *
a, b = user(), user()
kept = Http()
kept.send(head("GET", "/users", token=a.token))
assert kept.answer().status == 200
master = open(f"{T}/main.pid").read()
[broker] = children("broker")
stop()
def away(r):
    r.error(503, "temporarily")
    assert int(r.headers["retry-after"]) > 0, r.fields
    return r
eventually(lambda: ask("GET", "/users", token=a.token).status == 503)
for _ in range(2):
    kept.send(head("GET", "/users", token=a.token))
    assert "connection" not in away(kept.answer()).headers
away(ask("GET", f"/messages/{b.id}", token=a.token))
away(sent(post("/login", {"username": a.name, "password": password()})))
away(sent(post("/login", {"username": "nobody", "password": "x"})))
away(sent(post("/register", {"username": "later", "password": "secret-words", "email": "later@example.com"})))
try:
    connect(a.token)
    raise AssertionError("a WebSocket while nobody knows who may come")
except Refused as e:
    assert e.status == 503 and int(e.headers["Retry-After"]) > 0
# What needs no database is answered as ever.
ask("GET", "/users").error(401)
ask("GET", "/users", token=a.token + "x").error(401)
ask("GET", "/nothing").error(404)
sent(post("/register", {"username": "later"})).error(400)
start()
serves(a)
kept.send(head("GET", "/users", token=a.token))
assert kept.answer().status == 200
status, answer = api("POST", "/register", {"username": "later", "password": "secret-words", "email": "later@example.com"})
assert status == 201, answer
assert api("POST", "/login", {"username": "later", "password": "secret-words"})[0] == 200
assert api("GET", f"/messages/{b.id}", token=a.token) == (200, [])
assert children("broker") == [broker] and open(f"{T}/main.pid").read() == master
PY
}

@test "PostgreSQL away: a WebSocket gets a temporary error, stays open, and goes on afterwards" {
    py - <<'PY'
from postgres import *
a, b = user(), user()
wa, wb = connect(a.token), connect(b.token)
stop()
wa.message(b.id, "lost?", "m1")
e = wa.until("error")
assert e["id"] == "m1" and e["data"]["temporary"] is True and e["data"]["code"] == "unavailable" and e["error"], e
wa.message(b.id, "without id")
e = wa.until("error")
assert "id" not in e and e["data"]["temporary"] is True, e
wa.ping()
wa.send({"type": "ping"})
wa.until("pong")
start()
serves(b)
# The message that did not work out can be sent again, under its name, and arrives once.
wa.message(b.id, "lost?", "m1")
ack = wa.until("ack")
assert ack["id"] == "m1" and ack["data"]["duplicate"] is False, ack
wa.message(b.id, "end", "m2")
wa.until("ack")
got = [m for m in contents(wb, "end") if m != "works"]      # those of serves()
assert got == ["lost?", "end"], got
wb.message(a.id, "and back")
assert wa.until("message")["content"] == "and back"
for w in (wa, wb):
    assert w.close() == 1000
PY
}

@test "PostgreSQL killed at once (pg_ctl -m immediate): messages, presence and logins are back" {
    py - <<'PY'
from postgres import *
a, b, c = user(), user(), user()
wa, wb = connect(a.token), connect(b.token)
wa.message(b.id, "before", "1")
wa.until("ack")
stop(signal.SIGQUIT)
start()
serves(c)
# The table of sessions is empty after a crash; it fills again by itself.
eventually(lambda: online(a, by=c) and online(b, by=c))
eventually(lambda: not online(c, by=c))
wa.message(b.id, "after", "2")
wa.until("ack")
assert contents(wb, "after") == ["before", "after"]
assert api("POST", "/login", {"username": c.name, "password": password()})[0] == 200
wb.close()
eventually(lambda: not online(b, by=c))
PY
}

@test "connections cut: what was inserted meanwhile by psql arrives afterwards, in order and once" {
    py - <<'PY'
from postgres import *
a, b = user(), user()
wa, wb = connect(a.token), connect(b.token)
for turn, count in enumerate((5, 1500)):
    wa.message(b.id, f"{turn} before", f"{turn}-1")
    wa.until("ack")
    sql(CUT + f"""insert into messages (sender_id, receiver_id, content)
                  select {a.id}, {b.id}, '{turn} psql ' || i from generate_series(1, {count}) i order by i""")
    wa.message(b.id, f"{turn} after", f"{turn}-2")
    expected = [f"{turn} before"] + [f"{turn} psql {i}" for i in range(1, count + 1)] + [f"{turn} after"]
    got = contents(wb, f"{turn} after")
    assert got == expected, (len(got), got[:10])
    # The sender's connection did not send those of psql: it gets them as well, and not its own.
    sql(f"insert into messages (sender_id, receiver_id, content) values ({a.id}, {b.id}, '{turn} end')")
    got = contents(wa, f"{turn} end")
    assert got == expected[1:-1] + [f"{turn} end"], (len(got), got[:10])
    assert contents(wb, f"{turn} end") == [f"{turn} end"]
PY
}

@test "connections cut again and again: each message is acknowledged, stored and delivered once" {
    py - <<'PY'
from postgres import *
a, b = user(), user()
wa, wb = connect(a.token), connect(b.token)
acked = {}
def settle(name):
    """Sends until it is acknowledged."""
    while True:
        frame = wa.recv()
        if frame["type"] == "ack":
            acked[frame["id"]] = frame["data"]["message_id"]
        elif frame["type"] == "error":
            assert frame["data"]["temporary"], frame
            wa.message(b.id, frame["id"], frame["id"])
        if name in acked:
            return
for round_ in range(6):
    names = [f"{round_}-{i}" for i in range(25)]
    for i, name in enumerate(names):
        wa.message(b.id, name, name)
        if i == 5:
            cut()
    for name in names:
        if name not in acked:
            settle(name)
wa.message(b.id, "end", "end")
got = contents(wb, "end")
assert sorted(got[:-1]) == sorted(acked) and len(acked) == 150, (len(got), len(acked))
stored = dict(row.split("|") for row in sql(f"select client_id, id from messages where sender_id = {a.id} and client_id <> 'end'").splitlines())
assert {k: int(v) for k, v in stored.items()} == acked
assert [acked[name] for name in got[:-1]] == sorted(acked.values()), "not in the order of ids"
PY
}

@test "connections cut: REST is back by itself, at once" {
    py - <<'PY'
from postgres import *
a = user()
for _ in range(3):
    cut()
    statuses = set()
    def ok():
        status, _ = api("GET", "/users", token=a.token)
        statuses.add(status)
        return status == 200
    eventually(ok, 5)
    assert statuses <= {200, 503}, statuses
serves(a)
PY
}

@test "the link lost: the connections that read are made anew, too, lest they read from a server that was replaced" {
    py - <<'PY'
from postgres import *
import subprocess
def pids(where):
    out = subprocess.run(["psql", "-qXAt", "-c", f"select pid from pg_stat_activity where application_name {where} and datname = current_database()"],
                         check=True, capture_output=True, text=True).stdout
    return set(out.split())
a = user()
readers, listener = pids("like 'chatd pool%'"), pids("like 'chatd listener%'")
assert readers and len(listener) == 1, (readers, listener)
subprocess.run(["psql", "-qXAt", "-c", f"select pg_terminate_backend({listener.pop()})"], check=True, capture_output=True)
eventually(lambda: len(pids("like 'chatd pool%'")) == len(readers) and not pids("like 'chatd pool%'") & readers)
serves(a)
PY
}

@test "one host cut off: what happens on another host meanwhile is delivered afterwards, in order and once" {
    main=$(psql -qXAt -c "select string_agg(pid::text, ',') from pg_stat_activity
                           where datname = current_database() and application_name like 'chatd %'")
    server_start other
    MAIN=$main py - <<'PY'
from postgres import *
def admin(text):
    subprocess.run(["psql", "-qXAt", "-d", "postgres", "-c", text], check=True, stdout=subprocess.DEVNULL)
a, b, c = user(instance="other"), user(), user()
wa, wb = connect(a.token, "other"), connect(b.token)
wa.message(b.id, "before", "0")
wa.until("ack")
assert wb.until("message")["content"] == "before"
# Those who are in stay; the host that loses its connections gets no new ones.
name = os.environ["DB"]
admin(f"alter database {name} allow_connections false")
try:
    admin(f"select pg_terminate_backend(pid) from unnest(array[{os.environ['MAIN']}]) pid")
    eventually(lambda: api("GET", "/users", token=c.token)[0] == 503)
    eventually(lambda: not online(b, by=a, name="other"))       # the other host notices
    for i in range(10):
        wa.message(b.id, f"meanwhile {i}", f"{i + 1}")
        assert wa.until("ack")["id"] == f"{i + 1}"
    wb.message(a.id, "from the island", "x")
    e = wb.until("error")
    assert e["id"] == "x" and e["data"]["temporary"] is True
    wb.ping()
finally:
    admin(f"alter database {name} allow_connections true")
eventually(lambda: online(b, by=a, name="other"))
wa.message(b.id, "end", "end")
got = contents(wb, "end")
assert got == [f"meanwhile {i}" for i in range(10)] + ["end"], got
wb.message(a.id, "from the island", "x")
assert wb.until("ack")["data"]["duplicate"] is False
assert wa.until("message")["content"] == "from the island"
PY
    server_stop other
}

@test "chatd started while PostgreSQL is away comes up, says 503, and serves when it is there" {
    py -c 'from postgres import *; stop()'
    server_start early
    py - <<'PY'
from postgres import *
from rawhttp import *
r = sent(post("/register", {"username": "early", "password": "secret-words", "email": "early@example.com"}), name="early").error(503)
assert int(r.headers["retry-after"]) > 0
start()
def registered():
    status, answer = api("POST", "/register", {"username": "early", "password": "secret-words", "email": "early@example.com"}, name="early")
    assert status in (201, 503), answer
    return status == 201
eventually(registered)
a, b = user(instance="early"), user(instance="early")
wa, wb = connect_again(a, "early"), connect_again(b, "early")
wa.message(b.id, "Hello!", "1")
wa.until("ack")
assert wb.until("message")["content"] == "Hello!"
serves(a)                               # nor has it kept the first server from coming back
PY
    server_stop early
}
