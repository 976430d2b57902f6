#!/usr/bin/env bats
# The broker under a database that misbehaves, and under sessions that do.

load lib/server

setup_file() {
    server_setup_file
    server_start main -o presence=all
}

teardown_file() {
    server_teardown_file
}

@test "connections that the database ends are built up again by the same broker, nothing is lost" {
    py - <<'PY'
from server import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
[broker] = children("broker")
for round in range(5):
    sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
        " and application_name like 'chatd %'")
    sql(f"insert into messages (sender_id, receiver_id, content) values ({alice.id}, {bob.id}, 'cut {round}')")
    a.message(bob.id, f"round {round}", f"r-{round}")
    while True:
        f = a.recv()
        if f["type"] == "ack" and f["id"] == f"r-{round}":
            break
        if f["type"] == "error":
            assert f["data"]["temporary"] is True, f
            a.message(bob.id, f"round {round}", f"r-{round}")
    got = [b.until("message")["content"] for _ in range(2)]
    assert sorted(got) == [f"cut {round}", f"round {round}"], got
assert children("broker") == [broker]
PY
}

@test "a host that refuses is passed over for the next one of db_host" {
    local port
    port=$(py -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    server_start second -o "db_host=127.0.0.1,$PGHOST" -o "db_port=$port,${PGPORT:-5432}"
    BASE=$(server_url second) api POST /login '{"username":"nobody","password":"nothing at all"}'
    [[ $status == 401 ]] || fail "$status $body"
    server_stop second
}

@test "a message whose COMMIT fails is not acknowledged" {
    py - <<'PY'
from server import *
alice, bob = user(), user()
a = connect(alice.token)
sql("create function refuse() returns trigger language plpgsql as $$ begin"
    " if new.content = 'refuse me' then raise exception 'refused at commit'; end if; return null; end $$")
sql("create constraint trigger refuse after insert on chatd.messages deferrable initially deferred"
    " for each row execute function refuse()")
try:
    a.message(bob.id, "refuse me", "c-1")
    f = a.until("error")
    assert f["id"] == "c-1" and sql("select count(*) from messages where content = 'refuse me'") == "0"
finally:
    sql("drop trigger refuse on chatd.messages")
    sql("drop function refuse()")
a.message(bob.id, "fine", "c-2")
assert a.until("ack")["id"] == "c-2"
PY
}

@test "a bell that promises more than there is makes nobody busy, and presence goes on" {
    py - <<'PY'
from server import *
alice, bob = user(), user()
a = connect(alice.token)
host = sql(f"select host_id from sessions where user_id = {alice.id}")
sql(f"notify chatd_{host}, 'e 9223372036854775807'")
for bell in ["", "e", "e x", "x 1", "p", "e -1", "e 99999999999999999999999", "p 18446744073709551615"]:
    sql(f"notify chatd_{host}, '{bell}'")
before = int(sql("select xact_commit from pg_stat_database where datname = current_database()"))
b = connect(bob.token)
while a.until("user_status")["data"]["user_id"] != bob.id:
    pass
a.message(bob.id, "still here")
assert b.until("message")["content"] == "still here"
PY
}

# A session that has gone over to an attacker: speaks to the broker's socket directly.
@test "a session that sends what PostgreSQL refuses, or what its state forbids, is ended alone" {
    py - <<'PY'
from ipc import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
auth = message(AUTH, text(alice.token.encode()), 2)

def ended(data):
    s = broker()
    s.sendall(data)
    read_all(s)     # comes to an end: the broker has closed
    s.close()

send = lambda id_, content: struct.pack("Q", bob.id) + text(id_) + text(content) + b"\0"
ended(hello() + message(USERS))                                   # not bound
ended(hello() + message(SEND, send(b"a", b"x")))
ended(hello() + message(ATTACH, text(b"") + struct.pack("Q", 0)))
ended(hello() + auth + message(RESUME, text(b""), 3))              # not attached
ended(hello() + hello())                                            # only once
ended(message(99))                                              # no such type
ended(message(AUTHED))                                         # a type of the broker
ended(struct.pack("III", 0xffffffff, SEND, 1))                  # too large
ended(message(HELLO, b"short"))
ended(hello(VERSION + 1))                                       # another version
ended(hello(address=b"x"))                                      # no address
ended(hello() + message(AUTH, text(b"x"), 0))                     # no number
ended(hello() + auth + message(SEND, send(b"a", b"nul\0")))
ended(hello() + auth + message(SEND, send(b"a\0", b"x")))
ended(hello() + auth + message(SEND, send(b"a", b"\xff\xfe")))
ended(hello() + auth + message(SEND, send(b"", b"x")))
ended(hello() + auth + message(SEND, send(b"a", b"x") + b"more"))
ended(hello() + auth + message(SEND, send(b"a", b"x" * 20000)))
ended(hello() + auth + message(HISTORY, struct.pack("=QQQI", 1, 0, 0, 1000000)))
ended(hello() + auth + message(USERS, seq=3) + message(USERS, seq=4))

attach = message(ATTACH, text(b"") + struct.pack("Q", 0), 3)
ended(hello() + auth + attach + attach)                           # only once
ended(hello() + auth + message(ATTACH, text(b"c" * 65) + struct.pack("Q", 0), 3))
def attached():
    s = broker()
    s.sendall(hello() + auth + attach)
    got = b""
    while struct.pack("I", 3) not in got:       # the number of the request, in its answer
        part = s.recv(65536)
        assert part, got
        got += part
    return s
for bad in (message(RESUME, text(b"c" * 65), 4), message(RESUME, text(b"c") + b"x", 4), message(RESUME, b"", 4),
            message(RESUME, text(b""), 0), attach,
            message(RESUME, text(b"0123456789ab-1-1"), 4) * 70):
    s = attached()
    s.sendall(bad)
    read_all(s)
    s.close()

# Another user's token on a bound channel is refused, and the channel stays whose it was.
s = broker()
s.sendall(hello() + auth + message(AUTH, text(bob.token.encode()), 3) + message(USERS, seq=4))
got = b""
while b'"id":' not in got:
    part = s.recv(65536)
    assert part, got
    got += part
s.close()

# What needs an attached channel, or one that is not, is refused to the other.
ended(hello() + message(LOGOUT))
ended(hello() + message(PASSWORD, text(b"a") + text(b"b")))
ended(hello() + auth + message(PASSWORD, text(b"a"), 3))
ended(hello() + auth + message(PASSWORD, text(b"a" * 300) + text(b"b"), 3))
for late in (LOGOUT, PASSWORD):
    s = attached()
    s.sendall(message(late, b"", 4))
    read_all(s)
    s.close()

# Once its user's token is void, a channel that is kept gets nothing but refusals.
carol = user()
s = broker()
s.sendall(hello() + message(AUTH, text(carol.token.encode()), 2))
assert s.recv(65536)
assert api("POST", "/logout", token=carol.token)[0] == 204
eventually(lambda: api("GET", "/users", token=carol.token)[0] == 401)
for n, request in enumerate((message(USERS, seq=7), message(SEND, send(b"a", b"x"), 7), message(LOGOUT, seq=7),
                             message(ATTACH, text(b"") + struct.pack("Q", 0), 7))):
    s.sendall(request)
    size, type_, seq, error = struct.unpack("IIII", s.recv(65536))
    assert (size, type_, seq) == (4, FAILED, 7), (n, type_)
s.close()

# More channels than a session has use for are closed.
many = [broker() for _ in range(10)]
for s in many[5:]:
    assert s.recv(1) == b""
for s in many:
    s.close()

assert len(children("broker")) == 1
a.message(bob.id, "unharmed", "c-1")
assert b.until("message")["content"] == "unharmed"
PY
}

@test "a session that does not read its answers costs the broker little" {
    py - <<'PY'
from ipc import *
alice = user()
sql("insert into users (username, email, password_hash)"
    " select 'filler' || i, 'filler' || i || '@example.com', 'x' from generate_series(1, 5000) i")
[pid] = children("broker")
def resident():
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
before = resident()
s = broker()
s.sendall(hello() + message(AUTH, text(alice.token.encode()), 2))
s.recv(4096)
# One request at a time is its due; the answers are some 300 kB each and stay unread.
for seq in range(3, 33):
    s.sendall(message(USERS, seq=seq))
    for _ in range(2):
        status, users = api("GET", "/users", token=alice.token)   # the broker has had its turn
        assert status == 200 and len(users) > 5000
grown = resident() - before
# A sanitizer keeps freed memory for a while, to find who uses it.
with open(f"/proc/{pid}/maps") as f:
    sanitized = "libasan" in f.read()
assert grown < (300000 if sanitized else 30000), f"{grown} kB"
s.close()
sql("delete from users where username like 'filler%'")
PY
}
