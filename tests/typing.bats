#!/usr/bin/env bats
# Who is writing to whom: shown to whom it concerns while it is so, stored nowhere, and never at the
# cost of messages. The statement by itself is in sql.bats.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    # As many as come; the tests of the rate have servers of their own. Slow readers may take their time.
    local name
    for name in main two; do
        server_start "$name" -o presence=off -o typing_rate=1000 -o ping_interval=10m -o write_timeout=10m
    done
}

teardown_file() {
    server_teardown_file
}

@test "one host: every connection of the receiver sees who is writing, no other connection of the sender does, and nothing is acknowledged" {
    py - <<'PY'
from typists import *
alice, bob = user(), user()
know(alice, bob)
a, a2, b, b2 = connect(alice.token), connect(alice.token), connect(bob.token), connect(bob.token)
say(a, bob, "t-1")
for c in (b, b2):
    assert c.recv() == seen_of(alice, bob)
a.send({"type": "ping", "id": "p"})
assert a.recv() == {"type": "pong", "id": "p"}
say(b, alice)
for c in (a, a2):
    assert c.recv() == seen_of(bob, alice)
PY
}

@test "two hosts: every connection of the receiver on every host sees it once, no other connection of the sender does" {
    py - <<'PY'
from typists import *
alice, bob = user(), user()
know(alice, bob)
a, a2, b, b2, b3 = [connect(u.token, n) for u, n in ((alice, "main"), (alice, "two"), (bob, "main"), (bob, "two"), (bob, "two"))]
for client, sender, receiver, seers in ((a, alice, bob, (b, b2, b3)), (b2, bob, alice, (a, a2)), (a2, alice, bob, (b, b2, b3)),
                                        (b, bob, alice, (a, a2))):
    say(client, receiver)
    for c in seers:
        assert c.recv() == seen_of(sender, receiver)
PY
}

@test "to strangers, to nobody and to oneself: nobody sees it, and the sender hears nothing" {
    py - <<'PY'
from typists import *
alice, bob, carol, dave = (user() for _ in range(4))
know(alice, bob)
know(carol, bob)
# A note to oneself makes nobody a stranger, but it is not to be shown.
sql(f"insert into messages (sender_id, receiver_id, content) values ({alice.id}, {alice.id}, 'note')")
a, a2, b, d2 = connect(alice.token), connect(alice.token, "two"), connect(bob.token), connect(dave.token, "two")
d, c = connect(dave.token), connect(carol.token)
for receiver in (alice, dave, carol, 2**53, 2**62):
    say(a, receiver, "t")
for client in (d, d2):
    for receiver in (alice, bob, 2**53, dave):
        say(client, receiver, "t")
# The sender's broker is done with all of that when it has answered this.
for client in (a, d, d2):
    client.send({"type": "resume", "id": "r"})
    assert client.recv()["id"] == "r"
say(c, bob)
assert b.recv() == seen_of(carol, bob)
# Whoever is known hears it on both hosts, and nothing came before.
say(b, carol), say(b, alice)
assert c.recv() == seen_of(bob, carol)
assert a.recv() == a2.recv() == seen_of(bob, alice)
PY
}

@test "a frame may name the conversation in place of the receiver: whoever is no member, or alone there, says it to nobody" {
    py - <<'PY'
from typists import *
alice, bob, carol, dave = (user() for _ in range(4))
know(alice, bob)
know(carol, bob)
know(carol, dave)
sql(f"insert into messages (sender_id, receiver_id, content) values ({alice.id}, {alice.id}, 'note')")
def number(one, other):
    return int(sql(f"select conversation_id from contacts where user_id = {one.id} and contact_id = {other.id}"))
a, a2, b, c, d = connect(alice.token), connect(alice.token, "two"), connect(bob.token, "two"), connect(carol.token), connect(dave.token)
def there(client, conversation):
    client.send({"type": "typing", "data": {"conversation_id": conversation}})
there(a, number(alice, bob))
assert b.recv() == seen_of(alice, bob)
there(b, number(alice, bob))
assert a.recv() == a2.recv() == seen_of(bob, alice)
# Carol is no member of it, nobody else of a note to oneself, and nobody at all of what is not there.
for client, conversation in ((c, number(alice, bob)), (a, number(alice, alice)), (a, number(carol, dave)), (a, 2**53), (d, number(carol, bob))):
    there(client, conversation)
for client in (a, c, d):
    client.send({"type": "resume", "id": "r"})
    assert client.recv()["id"] == "r"
there(c, number(carol, bob)), there(c, number(carol, dave))
assert b.recv() == seen_of(carol, bob) and d.recv() == seen_of(carol, dave)
say(b, alice)
assert a.recv() == a2.recv() == seen_of(bob, alice)
for data in ({"conversation_id": 1, "receiver_id": bob.id}, {"conversation_id": 0}):
    a.send({"type": "typing", "id": "t", "data": data})
    assert a.expect("error")["data"]["code"] == "bad_field"
PY
}

@test "an event stream shows it, too: as a line, or as an event without an id" {
    py - <<'PY'
from typists import *
alice, bob = user(), user()
know(alice, bob)
a = connect(alice.token)
def stream(accept, n):
    c = http.client.HTTPConnection("127.0.0.1", port(n), timeout=WAIT)
    c.request("GET", "/events", headers={"Authorization": f"Bearer {bob.token}", "Accept": accept})
    return c.getresponse()
lines, events = stream("*/*", "main"), stream("text/event-stream", "two")
assert json.loads(lines.readline())["type"] == "resumed"
assert events.readline().startswith(b"id: ") and b'"resumed"' in events.readline() and events.readline() == b"\n"
say(a, bob)
assert json.loads(lines.readline()) == seen_of(alice, bob)
line = events.readline()
assert line.startswith(b"data: ") and json.loads(line[6:]) == seen_of(alice, bob), line
PY
}

@test "a malformed frame gets the error of other frames, which names the member, with its id if it has one" {
    py - <<'PY'
from typists import *
alice, bob = user(), user()
know(alice, bob)
a, b = connect(alice.token), connect(bob.token)
RECEIVER = '"data.receiver_id" must be a user id, a whole number above zero'
DATA = '"data" must be an object with "receiver_id"'
for more, says in [({}, DATA), ({"data": None}, DATA), ({"data": 7}, DATA), ({"data": [2]}, DATA), ({"data": {}}, RECEIVER),
                   *[({"data": {"receiver_id": wrong}}, RECEIVER) for wrong in ("2", 2.5, 0, -1, 2**63, True, None, [2], {})],
                   ({"receiver_id": 2}, DATA)]:
    a.send({"type": "typing", "id": "t-1", **more})
    error = a.recv()
    assert error == {"type": "error", "id": "t-1", "error": says, "data": {"code": "bad_field", "temporary": False}}, (more, error)
    a.send({"type": "typing", **more})
    error = a.recv()
    assert error["error"] == says and "id" not in error, error
a.send({"type": "typing", "id": "", "data": {"receiver_id": bob.id}})
assert a.recv()["error"] == '"id" must be a string of 1 to 64 bytes'
a.send({"type": "typings", "data": {"receiver_id": bob.id}})
assert '"typing"' in a.expect("error")["error"]
# Members that nobody knows are ignored, and who is writing is not what the client says.
a.send({"type": "typing", "content": "x", "data": {"receiver_id": bob.id, "user_id": bob.id, "username": "somebody"}})
assert b.recv() == seen_of(alice, bob)
PY
}

@test "before a client has said who it is, a typing frame is refused like any other" {
    py - <<'PY'
from typists import *
bob = user()
c = connect(subprotocols=["chatd.v1"])
say(c, bob, "t")
error = c.recv()
assert (error["id"], error["data"]["code"]) == ("t", "unauthorized"), error
assert c.closed() == 4401
PY
}

@test "typing_rate: so many in a second of one user, over all connections; another's are passed on, and the log does not grow" {
    server_start strict -o presence=off -o typing_rate=2
    py - <<'PY'
from typists import *
n = "strict"
alice, *others = (user(instance=n) for _ in range(11))
know(alice, *others)
marks = [user(instance=n) for _ in range(5)]
for i, m in enumerate(marks):
    know(m, *others[2 * i:2 * i + 2])
def logged():
    with open(f"{T}/{n}.log") as f:
        return len(f.readlines())
a = [connect(alice.token, n) for _ in range(5)]
clients = [connect(u.token, n) for u in others]
lines, begun = logged(), time.monotonic()
# Each connection begins with another receiver: what is said twice while it waits goes once.
for round in range(20):
    for i, w in enumerate(a):
        for u in others[2 * i:] + others[:2 * i]:
            say(w, u)
for w in a:
    w.send({"type": "resume"})
    w.expect("resumed")
passed = 2 + 2 * (time.monotonic() - begun)
assert logged() == lines
# What another says goes on, and marks the end for all: they have two each in a second.
for i, m in enumerate(marks):
    w = connect(m.token, n)
    for u in others[2 * i:2 * i + 2]:
        say(w, u)
def until_mark(w, mark):
    got = 0
    while (f := w.recv())["data"]["user_id"] != mark.id:
        assert f["data"]["user_id"] == alice.id, f
        got += 1
    return got
got = sum(until_mark(w, marks[i // 2]) for i, w in enumerate(clients))
assert 2 <= got <= passed, (got, passed)
PY
    server_stop strict
}

@test "typing_rate=0: nobody's is passed on, nor shown to anybody from another host" {
    server_start off -o presence=off -o typing_rate=0
    py - <<'PY'
from typists import *
alice, bob, carol = user(), user(), user()
know(alice, bob, carol)
a, b, b2 = connect(alice.token, "off"), connect(bob.token), connect(bob.token, "off")
c = connect(carol.token)
say(a, bob, "t")
a.send({"type": "resume", "id": "r"})
assert a.recv()["id"] == "r"
say(c, bob)
assert b.recv() == seen_of(carol, bob)
c.message(bob.id, "hello")
# The bell for that came before the one for this.
assert b2.expect("message")["content"] == "hello"
PY
    server_stop off
}

@test "while the database does not answer, each pair waits once, and goes then; who was disabled meanwhile is not shown" {
    py - <<'PY'
from typists import *
alice, bob, carol, dave, erin = (user() for _ in range(5))
know(alice, bob, carol, dave, erin)
a, b, c, d, e = (connect(u.token) for u in (alice, bob, carol, dave, erin))
waiting = ("select count(*) from pg_locks join pg_stat_activity using (pid)"
           " where not granted and datname = current_database() and query ~ 'typing_tell'")
# Nothing else needs this table that holds the change lock, for which dave would wait.
with locked("contacts", "access exclusive"):
    say(a, bob)
    eventually(lambda: sql(waiting) == "1")
    # Few of each: a statement that waits for ten seconds is given up, and what waits behind it with it.
    for w in (a, c, d):
        for n in range(4):
            say(w, bob)
        w.send({"type": "resume"})
        w.expect("resumed")
    sql(f"update users set disabled = true where id = {dave.id}")
    # One statement, and the readers serve others.
    assert sql(waiting) == "1"
    assert api("GET", "/me", token=alice.token)[0] == 200
assert [b.recv() for _ in range(3)] == [seen_of(who, bob) for who in (alice, alice, carol)]
assert d.closed() == 4403
say(e, bob)
assert b.recv() == seen_of(erin, bob)
PY
}

@test "while the database is away it is dropped without a word; when it is back, what comes is passed on" {
    py - <<'PY'
from typists import *
def ups():
    with open(f"{T}/main.log") as one, open(f"{T}/two.log") as other:
        return [f.read().count("the database is up") for f in (one, other)]
alice, bob, carol = user(), user(), user()
know(alice, bob, carol)
a, b, c = connect(alice.token), connect(bob.token), connect(carol.token)
up, db = ups(), os.environ["DB"]
def users():
    return api("GET", "/users", token=alice.token)[0]
sql(f"revoke connect on database {db} from public, {db}")
try:
    sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name like 'chatd %'")
    eventually(lambda: users() == 503)
    for n in range(5):
        say(a, bob, "t")
    a.send({"type": "ping", "id": "p"})
    assert a.recv() == {"type": "pong", "id": "p"}
    # All of that is in the broker, or was never.
    assert users() == 503
finally:
    sql(f"grant connect on database {db} to {db}")
eventually(lambda: users() == 200 and all(now > before for now, before in zip(ups(), up)))
say(c, bob)
assert b.recv() == seen_of(carol, bob)
PY
}

@test "a reader that is behind gets no typing frames, and all messages in order; when it has read them, it gets what comes" {
    py - <<'PY'
from frames import *
from typists import *
alice, bob, carol, dave = (user() for _ in range(4))
know(alice, bob, carol, dave)
def reader():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(WAIT)
    s.connect(("127.0.0.1", port()))
    s.sendall(handshake(bob.token))
    assert Answer(s).status == 101
    w = Raw.__new__(Raw)
    w.socket = s
    return w
b = reader()
[session] = children(f"session {bob.name} ")
a, c, d = connect(alice.token), connect(carol.token), connect(dave.token)
told = [(a, seen_of(alice, carol)), (d, seen_of(dave, carol))]
SIZE = 16000
# Of a few the kernel holds what is not read; of many the broker's queue does.
for many in (3, 60):
    for n in range(many):
        a.message(bob.id, f"{n:05d}" + "x" * SIZE, f"{many}-{n}")
        a.expect("ack")
    for n in range(40):
        for w, frame in told:
            say(w, bob)
            say(w, carol)
            assert c.recv() == frame
    a.message(bob.id, f"{many:05d}", f"{many}")
    a.expect("ack")
    got = [b.json() for _ in range(many + 1)]
    assert [f["type"] for f in got] == ["message"] * (many + 1), [f["type"] for f in got]
    assert [f["content"][:5] for f in got] == [f"{n:05d}" for n in range(many + 1)]
# It has read all there was: the last of it, when the kernel says so.
frame = seen_of(alice, bob)
def heard():
    say(a, bob)
    b.socket.settimeout(0.2)
    try:
        return b.json() == frame
    except TimeoutError:
        return False
    finally:
        b.socket.settimeout(WAIT)
eventually(heard)
assert children(f"session {bob.name} ") == [session]
PY
}

@test "a client that resumes gets no typing frames until it is told that it has all" {
    py - <<'PY'
from typists import *
alice, bob, carol = user(), user(), user()
know(alice, bob, carol)
a, b, c, cursor = connect(alice.token), connect(bob.token), connect(carol.token), cursor_of(bob)
waiting = ("select count(*) from pg_stat_activity where datname = current_database()"
           " and query ~ 'cursor_honoured' and wait_event_type = 'Lock'")
with locked("messages", "access exclusive"):
    b.send({"type": "resume", "data": {"cursor": cursor}})
    eventually(lambda: sql(waiting) == "1")
    say(a, bob)
    say(a, carol)
    assert c.recv() == seen_of(alice, carol)
assert b.recv()["type"] == "resumed"
say(a, bob)
assert b.recv() == seen_of(alice, bob)
PY
}

@test "nothing is stored: no row, and no number of a sequence" {
    py - <<'PY'
from typists import *
alice, bob, carol = user(), user(), user()
know(alice, bob, carol)
a, a2, b, b2 = (connect(u.token, n) for u, n in ((alice, "main"), (alice, "two"), (bob, "main"), (bob, "two")))
def stored():
    tables = sql("select oid::regclass from pg_class where relnamespace = 'chatd'::regnamespace and relkind = 'r' order by 1").split()
    sequences = sql("select schemaname || '.' || sequencename || coalesce(last_value, 0) from pg_sequences order by 1").split()
    # A host says by a number that it lives.
    content = [sql(f"select count(*), md5(string_agg(t::text, ' ' order by t::text)) from {t} t") for t in tables if t != "hosts"]
    return tables, sequences, content
before = stored()
assert len(before[0]) >= 9 and len(before[1]) >= 4, before
for n in range(20):
    for w, receiver, seers in ((a, bob, (b, b2)), (b2, alice, (a, a2))):
        say(w, receiver)
        for c in seers:
            c.expect("typing")
assert stored() == before
PY
}

@test "who logged out, was disabled or removed neither sends nor gets it any more" {
    py - <<'PY'
from typists import *
alice, bob, carol, dave, erin = (user() for _ in range(5))
know(alice, bob, carol, dave, erin)
e = connect(erin.token)
for who, end, code in ((bob, lambda: api("POST", "/logout", token=bob.token), 4401),
                       (carol, lambda: sql(f"select user_disable('{carol.name}')"), 4403),
                       (dave, lambda: sql(f"delete from messages where {dave.id} in (sender_id, receiver_id);"
                                          f" delete from contacts where {dave.id} in (user_id, contact_id);"
                                          f" delete from users where id = {dave.id}"), 4401)):
    w, w2 = connect(who.token), connect(who.token, "two")
    say(w, erin)
    assert e.recv() == seen_of(who, erin)
    say(e, who)
    assert w.recv() == w2.recv() == seen_of(erin, who)
    end()
    assert w.closed() == w2.closed() == code
    say(e, who)
    e.send({"type": "resume", "id": "r"})
    assert e.recv()["id"] == "r"
w = connect(alice.token)
say(w, erin)
assert e.recv() == seen_of(alice, erin)
PY
}

@test "a bell that is not as it should be shows nothing, and no word of it gets to anybody" {
    py - <<'PY'
import re
from chance import dice
from typists import *
alice, bob, carol = user(), user(), user()
know(alice, bob, carol)
b = connect(bob.token)
host = sql(f"select max(host_id) from sessions where user_id = {bob.id}")
def ring(*payloads):
    values = ", ".join(f"('{p}')" for p in payloads)
    sql(f"select pg_notify('chatd_{host}', v) from (values {values}) p (v)")
frame = seen_of(alice, bob)
pair = f"{bob.id} {frame['data']['conversation_id']}"
good = f" {pair} {alice.id} {alice.name}"
wrong = ["t ", "t  ", f"t{good} ", f"t {good}", f"t{good},", f"t{good}{good[1:]}", f"t{good} {bob.id}", f"t{good} {pair}",
         f"t{good} {pair} {alice.id}", f"t{good} {pair} {alice.id} ", f"t {bob.id} {alice.id} {alice.name}", f"t +{good[1:]}",
         f"t -{good[1:]}", f"t 0{good}", f"t {pair} 0 name", f"t {bob.id} 0 {alice.id} name", f"t {pair}  name",
         f"t {pair} 9223372036854775808 name", f"t {pair} 1e3 name", f"t {pair} {alice.id} na\"me", f"t {pair} {alice.id} {'n' * 33}",
         f"t {pair} {alice.id} \\", f"t {pair} {alice.id} näme", f"t{good * 81}", f"T{good}", f"tt{good}", f"t\t{good[1:]}"]
def shown(*payloads):
    """What these ring up; carol marks the end, by a bell that comes after theirs."""
    end = seen_of(carol, bob)
    ring(*payloads, f"t {bob.id} {end['data']['conversation_id']} {carol.id} {carol.name}")
    found = []
    while (f := b.recv()) != end:
        found.append(f)
    return found
assert shown(*wrong) == []
# What chance makes of a name, or of the sender's number, may be one; but it is never more than that.
mutated = ["".join(chr(dice.randrange(33, 127)) if dice.random() < .2 else x for x in good).replace("'", '"') for _ in range(200)]
for f in shown(*(f"t{m}" for m in mutated if m != good)):
    assert f["type"] == "typing" and set(f["data"]) == set(frame["data"]) and f != frame, f
    assert re.fullmatch("[A-Za-z0-9_.-]{1,32}", f["data"]["username"]) and f["data"]["user_id"] > 0, f
ring(f"t{good * 80}")
# As many as go out at once; a queue holds some kilobytes of them.
assert [b.recv() for _ in range(40)] == [frame] * 40
PY
}

@test "a session that reads nothing is sent a few typing frames, and no queue grows; what it asks for still comes" {
    py - <<'PY'
from impersonate import *
from typists import *
alice, bob, carol = user(), user(), user()
know(alice, bob, carol)
b, a, c = Channel(ATTACHED, bob), connect(alice.token), connect(carol.token)
frame = seen_of(alice, carol)
for n in range(100):
    say(a, bob)
    say(a, carol)
    assert c.recv() == frame
end, got = b.say("RESUME"), []
frame = seen_of(alice, bob)
while (m := b.recv())[:2] != ("RESUMED", end):
    assert m[:2] == ("EPHEMERAL", 0) and json.loads(m[2][4:]) == frame, m
    got.append(m)
assert 1 <= len(got) <= 20, len(got)
PY
}
