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

@test "a migration adds a column to what is prepared on each connection: the broker connects anew, nothing is lost" {
    py - <<'PY'
from server import *
from widened import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
[broker] = children("broker")
def sent(text):
    a.message(bob.id, text, text)
    while (f := a.recv())["type"] != "ack":
        assert f["type"] != "error" or f["data"]["temporary"] is True, f
        if f["type"] == "error":
            a.message(bob.id, text, text)
    assert f["id"] == text, f
# Of the listener, the writer, and the readers.
for name in "event_read", "message_send", "message_history", "user_list":
    sent(f"before {name}")
    assert b.until("message")["content"] == f"before {name}"
    sql(f"begin; {widened(name)} grant execute on all functions in schema chatd_api to \"{os.environ['DB']}\"; commit")
    sent(f"after {name}")
    assert b.until("message")["content"] == f"after {name}"
    def answered(path):
        status, answer = api("GET", path, token=bob.token)
        assert status in (200, 503), (status, answer)
        return status == 200
    for path in "/users", f"/messages/{alice.id}":
        eventually(lambda: answered(path))
        # Each reader has met it.
        assert all(answered(path) for _ in range(20))
assert "cached plan must not change result type" in log() and children("broker") == [broker]
PY
}

@test "the role gets another password: db_password_file is read again, and nobody is disconnected" {
    py - <<'PY'
import secrets
from server import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
file, master = f"{T}/db_password", int(open(f"{T}/main.pid").read())
def log(text):
    with open(f"{T}/main.log") as f:
        return f.read().count(text)
def refused():
    with open(f"{os.environ['TEST_CLUSTER']}/pg.log", errors="replace") as f:
        return f.read().count(f'password authentication failed for user "{os.environ["DB"]}"')
def refused_again(times):
    before = refused()
    eventually(lambda: refused() >= before + times)
def write(text):
    with open(f"{file}.new", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
        f.write(text)
    os.rename(f"{file}.new", file)
REPLACED = "db_password_file holds another password"
[broker] = children("broker")
new = secrets.token_urlsafe(24)
try:
    sql(f"alter role {os.environ['DB']} password '{new}'")
    sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
        " and application_name like 'chatd %'")
    # The same password, and no file, change nothing, and the latter is said once.
    refused_again(5)
    os.remove(file)
    MISSING = "the database refuses db_user: configuration: db_password_file: "
    eventually(lambda: log(MISSING))
    refused_again(5)
    assert log(MISSING) == 1 and log(REPLACED) == 0 and children("broker") == [broker]
    # Another wrong one is tried once.
    write(secrets.token_urlsafe(24))
    eventually(lambda: log(REPLACED))
    refused_again(5)
    assert log(REPLACED) == 1
    assert api("GET", "/users", token=alice.token)[0] == 503
    write(new)
    eventually(lambda: api("GET", "/users", token=alice.token)[0] == 200)
    assert log(REPLACED) == 2 and log("exited with status") == 0 and log("killed by signal") == 0
    assert not holds(master, [new])
    def acknowledged():
        a.message(bob.id, "back", "back")
        frame = a.recv()
        while frame["type"] not in ("ack", "error"):
            frame = a.recv()
        return frame["type"] == "ack"
    eventually(acknowledged)
    assert b.until("message")["content"] == "back"
finally:
    write(new)
PY
}

@test "a message that cannot be read is left out and logged once: all others arrive, live and later" {
    py - <<'PY'
from server import *
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
log = lambda: open(f"{T}/main.log").read()
anew = ("the database is up", "connecting anew")
before = [log().count(text) for text in anew]
def damaged():
    """Stores a message whose content lies in pages of its own, and takes those away."""
    return sql(f"""insert into messages (sender_id, receiver_id, content)
            select {alice.id}, {bob.id}, string_agg(md5(i::text), '') from generate_series(1, 200) i
            returning id;
        do $$ declare
            toast constant regclass := (select reltoastrelid from pg_class
                                         where oid = 'chatd.messages'::regclass);
        begin
            execute format('select heap_force_kill(%L, array_agg(ctid)) from %s', toast, toast);
        end $$""")
def sent(content):
    a.message(bob.id, content, content)
    frame = a.recv()
    while frame["type"] != "ack":       # its own copies of what psql stored
        frame = a.recv()
    return frame["data"]["message_id"]
sql("create extension pg_surgery")
sent("first")
cursor = b.until("message")["data"]["cursor"]
bad = [damaged(), damaged()]
last = sent("last")
assert b.until("message")["content"] == "last"
for _ in range(2):                      # whoever was away
    c = connect(bob.token, path=f"/ws?cursor={cursor}")
    assert c.until("message")["content"] == "last"
    c.close()
for bounds in "", "?after=0", f"?before={last + 1}":
    status, history = api("GET", f"/messages/{alice.id}{bounds}", token=bob.token)
    assert status == 200 and [m["content"] for m in history] == ["first", "last"], (status, history)
text = log()
for id in bad:
    assert text.count(f"message {id} cannot be read and is left out: ") == 1, text[-3000:]
assert [text.count(line) for line in anew] == before
for w in (a, b):
    assert w.close() == 1000
PY
}

@test "a host that refuses is passed over for the next one of db_host" {
    py - <<'PY'
from server import *
# Bound, and nobody listens: refused for as long as this lives.
nobody = socket.socket()
nobody.bind(("127.0.0.1", 0))
refusing = nobody.getsockname()[1]
with Server("-o", f"db_host=127.0.0.1,{os.environ['PGHOST']}",
            "-o", f"db_port={refusing},{os.environ.get('PGPORT', 5432)}") as s:
    status, _ = api("POST", "/login", {"username": "nobody", "password": "nothing at all"}, name=s.name)
    assert status == 401, status
PY
}

@test "a host that accepts and says nothing is passed over, too" {
    py - <<'PY'
from server import *
silent = socket.create_server(("127.0.0.1", 0), backlog=64)
with Server("-o", f"db_host=127.0.0.1,{os.environ['PGHOST']}",
            "-o", f"db_port={silent.getsockname()[1]},{os.environ.get('PGPORT', 5432)}") as s:
    s.logged("the database is up", 60)
    status, answer = api("POST", "/login", {"username": "nobody", "password": "nothing at all"}, name=s.name)
    assert status == 401, answer
PY
}

@test "a server that has too much to do to answer in the first time is given more" {
    py - <<'PY'
from server import *

def carry(a, b):
    with contextlib.suppress(OSError):
        while part := a.recv(65536):
            b.sendall(part)
        b.shutdown(socket.SHUT_WR)

def late(client):
    """Longer than the first attempt may take, for each connection's first word."""
    first = client.recv(65536)
    time.sleep(7)
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{os.environ['PGHOST']}/.s.PGSQL.{os.environ.get('PGPORT', 5432)}")
    server.sendall(first)
    threading.Thread(target=carry, args=(client, server), daemon=True).start()
    with contextlib.suppress(OSError):
        carry(server, client)

def serve():
    while True:
        threading.Thread(target=late, args=(listener.accept()[0],), daemon=True).start()

listener = socket.create_server(("127.0.0.1", 0), backlog=64)
threading.Thread(target=serve, daemon=True).start()
with Server("-o", "db_host=127.0.0.1", "-o", f"db_port={listener.getsockname()[1]}") as s:
    s.logged("the database is up", 60)
PY
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

# What a session may say at all, impersonation.bats tries.
@test "a session that does not read its answers costs the broker little" {
    py - <<'PY'
from impersonate import *
alice = user()
sql("insert into users (username, email, password_hash)"
    " select 'filler' || i, 'filler' || i || '@example.com', 'x' from generate_series(1, 5000) i")
[pid] = children("broker")
def resident():
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
before = resident()
c = Channel(BOUND, alice)
# One request at a time is its due; the answers are some 300 kB each and stay unread.
for _ in range(30):
    c.say("USERS")
    for _ in range(2):
        status, users = api("GET", "/users", token=alice.token)   # the broker has had its turn
        assert status == 200 and len(users) > 5000
grown = resident() - before
# A sanitizer keeps freed memory for a while, to find who uses it.
with open(f"/proc/{pid}/maps") as f:
    sanitized = "libasan" in f.read()
assert grown < (300000 if sanitized else 30000), f"{grown} kB"
c.close()
sql("delete from users where username like 'filler%'")
PY
}
