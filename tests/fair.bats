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

@test "messages: beside one account with a thousand that wait on many connections, another's goes next" {
    py - <<'PY'
from chat import *
mallory, alice, bob = user(), user(), user()
flood = [connect(mallory.token) for _ in range(20)]
a, b = connect(alice.token), connect(bob.token)
with nothing_stored():
    flood[0].message(mallory.id, "first", "first")
    writer_waits()
    for i, w in enumerate(flood):
        for n in range(60):
            w.message(mallory.id, f"{n}", f"{i}-{n}")
        w.ping()    # its session has read all of them
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
from chat import *
n = "narrow"
mallory, bob = user(instance=n), user(instance=n)
flood = [connect(mallory.token, n) for _ in range(8)]
with nothing_stored():
    flood[0].message(bob.id, "first", "first")
    writer_waits()
    for i, w in enumerate(flood):
        for number in range(50):
            w.message(bob.id, f"{number}", f"{i}-{number}")
        w.ping()
def answers(w, count):
    """Their ids; messages of its other connections come between."""
    frames = (w.recv() for _ in range(10**6))
    found = (f for f in frames if f["type"] != "message")
    return [(f["type"], f["id"]) for _, f in zip(range(count), found)]
acks = [answers(w, 50 + (i == 0)) for i, w in enumerate(flood)]
assert acks[0].pop(0) == ("ack", "first")
assert acks == [[("ack", f"{i}-{number}") for number in range(50)] for i in range(8)]
PY
}

@test "messages: connections that end while their account waits do not keep the others waiting" {
    py - <<'PY'
from chat import *
n = "narrow"
mallory, bob = user(instance=n), user(instance=n)
flood = [connect(mallory.token, n) for _ in range(8)]
with nothing_stored():
    flood[0].message(bob.id, "first", "first")
    writer_waits()
    for i, w in enumerate(flood):
        for number in range(50):
            w.message(bob.id, f"{number}", f"{i}-{number}")
        w.ping()
    for w in flood[1:7]:
        w.socket.transport.abort()
acks = [flood[7].until("ack")["id"] for _ in range(50)]
assert acks == [f"7-{number}" for number in range(50)]
PY
}
