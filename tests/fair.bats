#!/usr/bin/env bats
# One account that takes all it can get, and what others notice of it: counted, not timed. The
# turns by themselves are in unit/test_turns.c; figures are those of the bench (mode fair).

load lib/server

setup_file() {
    server_setup_file
    server_start main -o presence=off
    # So few that one account could fill it.
    server_start narrow -o presence=off -o batch_max=4 -o batch_queue=40
}

teardown_file() {
    server_teardown_file
}

@test "messages: beside one account of which hundreds wait on many connections, another's goes next" {
    py - <<'PY'
from flood import *
mallory, alice, bob = user(), user(), user()
clients = [connect(mallory.token) for _ in range(8)]
a, b = connect(alice.token), connect(bob.token)
with nothing_stored():
    flood(clients, mallory.id, 30)
    a.message(bob.id, "hello", "hello")
    a.ping()
a.expect("ack")
b.expect("message")
before = int(sql(f"select count(*) from messages where sender_id = {mallory.id} and id <"
                 f" (select id from messages where sender_id = {alice.id})"))
# What was under way, and one turn.
assert before <= 10, before
PY
}

@test "messages: one account cannot fill batch_queue: it is read no further, and all of it is stored in order" {
    py - <<'PY'
from flood import *
n = "narrow"
mallory, bob = user(instance=n), user(instance=n)
clients = [connect(mallory.token, n) for _ in range(8)]
with nothing_stored():
    flood(clients, bob.id, 20)
def answers(w, count):
    """Their ids; messages of its other connections come between."""
    frames = (w.recv() for _ in range(10**6))
    found = (f for f in frames if f["type"] != "message")
    return [(f["type"], f["id"]) for _, f in zip(range(count), found)]
acks = [answers(w, 20 + (i == 0)) for i, w in enumerate(clients)]
assert acks[0].pop(0) == ("ack", "first")
assert acks == [[("ack", f"{i}-{number}") for number in range(20)] for i in range(8)]
PY
}

@test "messages: connections that end while their account waits do not keep the others waiting" {
    py - <<'PY'
from flood import *
n = "narrow"
mallory, bob = user(instance=n), user(instance=n)
clients = [connect(mallory.token, n) for _ in range(8)]
with nothing_stored():
    flood(clients, bob.id, 20)
    for w in clients[1:7]:
        w.socket.transport.abort()
acks = [clients[7].until("ack")["id"] for _ in range(20)]
assert acks == [f"7-{number}" for number in range(20)]
PY
}

@test "lists: they never have the last reader, and what a session that has gone asked for is not run" {
    py - <<'PY'
from rawhttp import *
import signal
mallory, alice = user(), user()
before = set(children("session"))
lists = [raw() for _ in range(10)]
def ask_for_users(s):
    s.sendall(f"GET /users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {mallory.token}\r\n\r\n".encode())
sql(f"alter database {os.environ['DB']} set track_functions = 'all'")
def calls():
    """Complete as soon as those who made them have ended."""
    ours = "datname = current_database() and application_name like 'chatd %'"
    pids = ", ".join(sql(f"select pid from pg_stat_activity where {ours} and pg_terminate_backend(pid)").split())
    eventually(lambda: sql(f"select count(*) from pg_stat_activity where pid in ({pids})") == "0")
    eventually(lambda: api("GET", "/messages/1", token=alice.token)[0] in (200, 404))
    return int(sql("select coalesce(sum(calls), 0) from pg_stat_user_functions where funcname = 'user_list'"))
for s in lists:    # so that each is known already
    ask_for_users(s)
    assert s.recv(100).startswith(b"HTTP/1.1 200")
begun = calls()
with locked("sessions", "access exclusive"):
    for s in lists:
        ask_for_users(s)
    waiting = ("select count(*) from pg_stat_activity where datname = current_database()"
               " and application_name = 'chatd pool' and wait_event_type = 'Lock'")
    eventually(lambda: sql(waiting) == "2")
    assert api("POST", "/login", {"username": mallory.name, "password": password()})[0] == 200
    assert sql(waiting) == "2"
    gone = set(children("session")) - before
    for pid in gone:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not gone & set(children("session")))
assert api("GET", "/users", token=alice.token)[0] == 200
# Those two, and the last one.
assert calls() == begun + 3, (calls(), begun)
PY
}
