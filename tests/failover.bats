#!/usr/bin/env bats
# The primary dies and the standby takes its place: nothing that was acknowledged is lost, and
# clients stay where they are.

load lib/server

# A cluster of its own, with a standby that each commit waits for.
setup_file() {
    unset TEST_CLUSTER
    server_setup_file
    "$ROOT/tests/tools/cluster" standby --fast "$T/standby" "$TEST_CLUSTER"
    local standby
    standby=$("$ROOT/tests/tools/cluster" env "$T/standby" | sed -n 's/^PGHOST=//p')
    export PRIMARY=$PGHOST STANDBY=$standby
    server_start main -o "db_host=$PRIMARY,$STANDBY"
}

teardown_file() {
    # Where the database is depends on what has run.
    for PGHOST in "$PRIMARY" "$STANDBY"; do
        [[ $(psql -qXAtc 'select pg_is_in_recovery()' 2>/dev/null) != f ]] || break
    done
    server_teardown_file
    "$ROOT/tests/tools/cluster" stop "$T/standby"
}

@test "failover: sessions stay, each message is acknowledged once, none is lost, the receiver has all in order" {
    py - <<'PY'
from postgres import *
a, b = user(), user()
wa, wb = connect(a.token), connect(b.token)
[broker] = children("broker")
# Those that served the registrations end by themselves.
eventually(lambda: len(children("session")) == 2)
sessions = set(children("session"))
acked, at_death = {}, None

def answer(frame):
    if frame["type"] == "ack":
        assert frame["id"] not in acked, f"acknowledged twice: {frame}"
        acked[frame["id"]] = frame["data"]["message_id"]
    elif frame["type"] == "error":
        assert frame["data"]["temporary"], frame
        again.add(frame["id"])

def cluster(command, folder):
    subprocess.run([TOOL, command, folder], check=True)

again, count, promoted = set(), 0, None
while promoted is None or count < promoted + 100:
    count += 1
    wa.message(b.id, f"m {count}", f"{count}")
    if count == 100:
        # With messages under way: nobody waits for them.
        cluster("kill", CLUSTER)
        at_death = dict(acked)
        threading.Thread(target=cluster, args=("promote", f"{T}/standby")).start()
    if count >= 100 and promoted is None and "100" in acked:
        promoted = count
    # Keeps a few under way, and sends again, under the same name, what was refused.
    while len(acked) + len(again) < count - 10:
        answer(wa.recv())
    for id_ in sorted(again, key=int):
        wa.message(b.id, f"m {id_}", id_)
    again.clear()
    if count > 100 and promoted is None:
        time.sleep(0.02)
while len(acked) < count:
    answer(wa.recv())
    for id_ in sorted(again, key=int):
        wa.message(b.id, f"m {id_}", id_)
    again.clear()
assert len(at_death) >= 80, len(at_death)

os.environ["PGHOST"] = os.environ["STANDBY"]
assert sql("select pg_is_in_recovery()") == "f"
stored = {c: int(i) for c, i in (r.split("|") for r in sql(
    f"select client_id, id from messages where sender_id = {a.id}").splitlines())}
assert stored == acked, set(stored.items()) ^ set(acked.items())
got = [wb.until("message") for _ in range(count)]
assert [f["data"]["message_id"] for f in got] == sorted(acked.values())
assert all(f["data"]["message_id"] == acked[f["content"].removeprefix("m ")] for f in got)
# The very same connections, processes and broker serve on, both ways.
wb.message(a.id, "and back", "back")
assert wb.until("ack")["id"] == "back" and wa.until("message")["content"] == "and back"
assert set(children("session")) == sessions and children("broker") == [broker]
eventually(lambda: online(a, by=b) and online(b, by=a))
serves(a)
for w in (wa, wb):
    assert w.close() == 1000
PY
}

@test "failover back: the dead primary, built anew as a standby, takes over in its turn" {
    "$ROOT/tests/tools/cluster" standby --fast "$TEST_CLUSTER" "$T/standby"
    py - <<'PY'
from postgres import *
a, b = user(), user()
wa, wb = connect(a.token), connect(b.token)
wa.message(b.id, "before", "1")
wa.until("ack")
subprocess.run([TOOL, "kill", f"{T}/standby"], check=True)
subprocess.run([TOOL, "promote", CLUSTER], check=True)
acked = False
while not acked:
    wa.message(b.id, "after", "2")
    frame = wa.recv()
    while frame["type"] not in ("ack", "error"):
        frame = wa.recv()
    acked = frame["type"] == "ack"
    assert acked or frame["data"]["temporary"], frame
assert contents(wb, "after") == ["before", "after"]
PY
}
