#!/usr/bin/env bats
# A host that the others have removed, because its listening connection was silent for longer than
# presence_lease, goes on when the server process behind that connection does: its clients, who were
# connected all the time, get everything that they missed, in order. There is a test for each
# statement that may find out first.

load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
}

teardown() {
    server_stop held
    server_stop judge
    rm -f "$T/held.log"
}

teardown_file() {
    server_teardown_file
}

@test "a removed host whose reading goes first gets nothing by it, and then all" {
    py - <<'PY'
from removal import *
# It beats when it comes up and then every two minutes: what waits is a reading.
s = Scene("600s")
with s.stopped():
    s.missed()
s.made_up_for(["EVENT_READ", "PRESENCE_READ"])
s.end()
PY
}

@test "a removed host whose beat goes first gets all" {
    py - <<'PY'
from removal import *
s = Scene("4s")
# The beat waits for this lock when its process is stopped, so it is what goes on first.
psql = subprocess.Popen(["psql", "-qXAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
psql.stdin.write(f"begin; select 'held' from hosts where id = {s.host} for update;\n")
psql.stdin.flush()
assert psql.stdout.readline() == "held\n"
eventually(lambda: sql(f"select query ~ 'host_beat' from pg_stat_activity where pid = {s.pid} and wait_event_type = 'Lock'") == "t")
with s.stopped():
    psql.communicate("commit;\n")
    s.missed()
s.made_up_for(["HOST_BEAT"])
s.end()
PY
}

@test "a removed host that stores a message first: it is stored once, and all come" {
    py - <<'PY'
from removal import *
s = Scene("600s")
with s.stopped():
    s.missed()
    # Its other connections are as they were; the one that is stopped it does not wait for.
    s.write(s.d, s.bob, "late")
    s.made_up_for(["MESSAGE_SEND"])
assert sql("select count(*) from messages where content = 'late'") == "1"
s.end()
PY
}

@test "a removed host from which a client goes first: all come" {
    py - <<'PY'
from removal import *
s = Scene("600s")
with s.stopped():
    s.missed()
    s.d.close()
    eventually(lambda: host_of(s.alice) > s.host)
    s.d = connect(s.dave.token, "held")
    s.made_up_for(["SESSION_CLOSE"])
s.end()
PY
}

@test "a removed host to which a client comes first: all come" {
    py - <<'PY'
from removal import *
s = Scene("600s")
with s.stopped():
    s.missed()
    other = connect(s.dave.token, "held")
    s.made_up_for(["SESSION_OPEN"])
s.end()
PY
}
