#!/usr/bin/env bats
# One account, or address, that takes all it can get, and what others notice of it: counted, not
# timed. The turns by themselves are in unit/test_turns.c and unit/test_waitlist.c; figures are those
# of the bench (mode fair).

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

@test "messages: one that goes to a crowd of connections costs more, so that a batch is done in time" {
    py - <<'PY'
from flood import *
mallory = user()
clients = [connect(mallory.token) for _ in range(40)]
with nothing_stored():
    flood(clients[:8], mallory.id, 5)
    clients[0].ping()
clients[39].until("message")
eventually(lambda: sql(f"select count(*) from messages where sender_id = {mallory.id}") == "41")
# Each wakes 39 sessions, and costs 34 of the 256 kB at which a batch ends.
batches = [int(n) for n in sql(f"select count(*) from messages where sender_id = {mallory.id}"
                               " group by xmin::text order by min(id)").split()]
assert max(batches) == 8, batches
PY
}

@test "messages: what one account sends to a group in a row is handed out together, which wakes each member once" {
    py - <<'PY'
from flood import *
from groups import *
mallory, crowd = user(), [user() for _ in range(40)]
one, other = (group(mallory, name, *crowd) for name in ("One", "Other"))
clients = [connect(mallory.token) for _ in range(8)]
members = [connect(u.token) for u in crowd]
def batches(groups):
    """How many messages each transaction had, of 20 that were sent to these in turn."""
    last = sql("select max(id) from messages") or 0
    with nothing_stored():
        say(clients[0], one, "first", f"first-{len(groups)}")
        writer_waits()
        for n in range(20):
            say(clients[0], groups[n % len(groups)], f"{n}", f"{len(groups)}-{n}")
        clients[0].ping()
    eventually(lambda: sql(f"select count(*) from messages where id > {last}") == "21")
    numbers = [members[39].until("message")["data"]["message_id"] for _ in range(21)]
    assert numbers == sorted(numbers)
    return [int(n) for n in sql(f"select count(*) from messages where id > {last} group by xmin::text order by min(id)").split()]
sizes = batches([one])
assert sizes == [1, 20], sizes
# Each is the first to its group after another: it wakes 48 sessions, and costs 43 of the 256 kB at which a batch ends.
sizes = batches([one, other])
assert max(sizes) == 7, sizes
PY
}

@test "messages: a group so large that one message fills a batch gets as much again with it, and its sender waits then" {
    py - <<'PY'
from flood import *
from groups import *
mallory, alice, crowd = user(), user(), [user() for _ in range(36)]
g = group(mallory, "Crowd", *crowd)
clients = [connect(mallory.token) for _ in range(4)]
members, a = [connect(u.token) for u in crowd], connect(alice.token)
last = sql("select max(id) from messages") or 0
# It goes to 40 connections: more than 256 kB.
content = "x" * 8000
with nothing_stored():
    say(clients[0], g, "first", "first")
    writer_waits()
    for i, w in enumerate(clients):
        say(w, g, content, f"{i}-0")
        w.ping()
    a.message(crowd[0].id, "hello", "hello")
    a.ping()
a.until("ack")
assert len([members[35].until("message") for _ in range(5)]) == 5
sizes = [int(n) for n in sql(f"select count(*) from messages where sender_id = {mallory.id} group by xmin::text order by min(id)").split()]
assert sum(sizes) == 5 and max(sizes) == 2, sizes
# Alice's goes with the first of them, or before.
before = sql(f"select count(*) from messages where id > {last} and id < (select max(id) from messages where sender_id = {alice.id})")
assert int(before) <= 2, before
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

@test "long messages: what the broker reads at once, for the host or for one who resumes, is bounded in bytes" {
    py - <<'PY'
from chat import *
alice, bob = user(), user()
[broker] = children("broker")
def peak():
    """In MB."""
    with open(f"/proc/{broker}/status") as f:
        [kilobytes] = [int(line.split()[1]) for line in f if line.startswith("VmHWM")]
    return kilobytes / 1000
before = peak()
b, start = connect(bob.token), cursor_of(bob)
# Six times as long in a frame: 40 MB in all.
sql(f"insert into messages (sender_id, receiver_id, content) select {alice.id}, {bob.id}, repeat(chr(1), 65536) from generate_series(1, 100)")
first = [b.until("message")["data"]["message_id"] for _ in range(100)]
again = connect(bob.token, path=f"/ws?cursor={start}")
assert [again.until("message")["data"]["message_id"] for _ in range(100)] == first == sorted(set(first))
assert again.until("resumed")["data"]["recovered"] is True
with open(f"/proc/{broker}/maps") as maps:
    assert "libasan" in maps.read() or peak() - before < 6, (before, peak())
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

# --- auth workers ---

@test "auth workers: while one address has twenty registrations waiting, a known user's login is hashed next" {
    py - <<'PY'
from hashes import *
with Hashes() as h:
    alice = h.member("203.0.113.1", "alice")
    with h.held():
        first = h.register("192.0.2.1", "first")
        many = h.registrations("192.0.2.1", *(f"a{n}" for n in range(20)))
        known = h.login("203.0.113.1", alice, "alice")
    answers(200, known)
    answers(201, first, *many)
    # One was with the worker.
    assert h.hashed()[:3] == ["alice", "first", "alice"] and len(h.hashed()) == 23, h.hashed()
PY
}

@test "auth workers: strangers take turns by address, whether they register or guess, and 64 bits of IPv6 are one" {
    py - <<'PY'
from hashes import *
with Hashes() as h:
    alice, bob = h.member("203.0.113.1", "alice"), h.member("203.0.113.1", "bob")
    with h.held():
        many = [h.register("192.0.2.1", "first")]
        many += [h.register(f"2001:db8::{n}", f"a{n}") for n in range(1, 7)]
        wrong = [h.login("2001:db8::7", alice, "w1"), h.login("2001:db8::8", bob, "w2")]
        many += [h.register("192.0.2.2", f"b{n}") for n in range(1, 4)]
        right = h.login("192.0.2.3", alice, "alice")    # where she has not been
        many += [h.register("2001:db8:0:1::1", "c1")]
    answers(200, right)
    answers(201, *many)
    answers(401, *wrong)
    assert h.hashed() == ["alice", "bob", "first", "a1", "b1", "alice", "c1", "a2", "b2", "a3", "b3",
                          "a4", "a5", "a6", "w1", "w2"], h.hashed()
PY
}

@test "auth workers: where auth_queue is full, whoever has most waiting loses its last, and known users have places of their own" {
    py - <<'PY'
from hashes import *
with Hashes("-o", "auth_queue=4") as h:
    users = [h.member(f"203.0.113.{n}", f"u{n}") for n in range(5)]
    with h.held():
        first = h.register("192.0.2.1", "first")
        a = [h.register("192.0.2.1", f"a{n}") for n in range(4)]
        refused(h.send_registration("192.0.2.1", "a4"))
        b = h.register("192.0.2.2", "b")
        refused(a.pop())
        c = h.login("192.0.2.3", users[0], "c")
        refused(a.pop())
        known = [h.login(f"203.0.113.{n}", users[n], f"u{n}") for n in range(4)]
        refused(h.login("203.0.113.4", users[4], "u4"))  # one of each
    answers(201, first, *a, b)
    answers(401, c)
    answers(200, *known)
    # Of the known ones four go in a row, then one of the others.
    assert h.hashed()[5:] == ["first", "u0", "u1", "u2", "u3", "a0", "b", "c", "a1"], h.hashed()
PY
}

@test "auth workers: known users' logins cannot shut others out" {
    py - <<'PY'
from hashes import *
with Hashes() as h:
    users = [h.member("203.0.113.1", f"u{n}") for n in range(9)]
    with h.held():
        first, stranger = h.register("192.0.2.1", "first"), h.register("192.0.2.1", "a")
        known = [h.login("203.0.113.1", u, f"u{n}") for n, u in enumerate(users)]
    answers(201, first, stranger)
    answers(200, *known)
    assert h.hashed()[9:] == ["first", "u0", "u1", "u2", "u3", "a", "u4", "u5", "u6", "u7", "u8"], h.hashed()
PY
}

@test "auth workers: a new password is its account's work, whatever its address has waiting, and takes turns, too" {
    py - <<'PY'
from hashes import *
with Hashes() as h:
    alice = h.member("192.0.2.1", "alice")
    with h.held():
        first = h.register("192.0.2.1", "first")
        many = [h.register("192.0.2.1", f"a{n}") for n in range(5)]
        mine = h.password("192.0.2.1", alice, "alice", "new")
    answers(200, mine)
    answers(201, first, *many)
    order = h.hashed()[1:]
    # What it needs next comes while one of the others is with the worker, or just before.
    assert order[:3] == ["first", "a0", "alice"] and order.index("new") in (3, 4, 5), order
PY
}

@test "auth workers: what a session that has gone asked for is not hashed, and a registration makes no account" {
    py - <<'PY'
from hashes import *
with Hashes() as h:
    alice = h.member("203.0.113.1", "alice")
    def gone(say, label, payload):
        h.labels.add(label)
        before = h.asked()
        c = Channel(SILENT, name=h.name)
        c.say("HELLO", hello("192.0.2.1"))
        c.say(say, payload)
        eventually(lambda: h.asked() > before)
        c.say("USERS")                                  # which it may not: the broker ends it
        c.ended()
    names = []
    def registration(label):
        names.append(some_name())
        return text(names[-1]) + text(f"{names[-1]}@example.com") + text(word(label))
    with h.held():
        gone("REGISTER", "first", registration("first"))    # which is with the worker already
        gone("REGISTER", "gone", registration("gone"))
        gone("LOGIN", "guess", text(alice.name) + text(word("guess")))
        last = h.register("192.0.2.1", "last")
    answers(201, last)
    assert h.hashed() == ["alice", "first", "last"], h.hashed()
    for name in names:
        assert sql(f"select count(*) from users where username = '{name}'") == "0"
PY
}

@test "auth workers: a registration whose session goes while the database is busy makes no account" {
    py - <<'PY'
from hashes import *
with Hashes() as h:
    alice = h.member("203.0.113.1", "alice")
    name = some_name()
    waits = ("select count(*) from pg_stat_activity where datname = current_database()"
             " and application_name = 'chatd pool' and wait_event_type = 'Lock'")
    c = Channel(SILENT, name=h.name)
    with h.held():
        with h.waiting():
            c.say("HELLO", hello("192.0.2.1"))
            c.say("REGISTER", text(name) + text(f"{name}@example.com") + text(word("gone")))
        last = h.register("192.0.2.1", "last")
        lock = contextlib.ExitStack()
        lock.enter_context(locked("users", "access exclusive"))
        # The only reader waits for this one.
        known = h.send_login("203.0.113.1", alice, "alice")
        eventually(lambda: sql(waits) == "1")
    with lock:
        # The worker gets one at a time: what the first one's hash leads to is waiting, too.
        eventually(lambda: "last" in h.hashed())
        c.say("USERS")
        c.ended()
    answers(200, known)
    answers(201, last)
    assert sql(f"select count(*) from users where username = '{name}'") == "0"
PY
}

@test "registrations: one address has no more under way than the auth workers would take, and others are not kept from the readers" {
    py - <<'PY'
from hashes import *
with Hashes("-o", "auth_queue=3") as h:
    alice = h.member("203.0.113.1", "alice")
    with locked("users", "access exclusive"):
        many = [h.send_registration(f"2001:db8::{n}", "a") for n in range(1, 8)]
        def answered():
            return select.select([c.socket for c in many], [], [], 0)[0]
        eventually(lambda: len(answered()) == 3)
        for c in [c for c in many if c.socket in answered()]:
            refused(c)
            many.remove(c)
        known = h.send_login("203.0.113.1", alice, "alice")
    answers(201, *many)
    answers(200, known)
PY
}
