#!/usr/bin/env bats
# Backup and restore as chatd(8) says, word for word, with clients who know more than the backup, and
# such as know less: nothing is lost silently, and nothing is taken for something else.

load lib/server

setup_file() {
    server_setup_file
    printf '%s\n' "db_password_file = $T/db_password" "jwt_secret_file = $T/jwt_secret" "db_user = $DB" "db_name = $DB" \
        "db_host = $PGHOST" 'user = daemon' 'session_user = nobody' >"$T/chatd.conf"
    lines >"$T/chapter"
    server_start main -o presence=off
}

teardown_file() {
    local folder
    for folder in new logged back; do
        [[ ! -d $T/$folder ]] || "$ROOT/tests/tools/cluster" stop "$T/$folder"
    done
    psql -qX -d postgres -c "drop database if exists \"${DB}_before\""
    server_teardown_file
}

# The literal lines of the chapter, each behind the number of its block.
lines() {
    sed -n '/^\.Sh BACKUP AND RESTORE/,/^\.Sh LIMITS/p' "$ROOT/man/chatd.8" |
        awk '/^\.Bd -literal/ { block++; code = 1; next } /^\.Ed/ { code = 0 } code { print block, $0 }'
}

# block NUMBER: the lines of one, for bash. The database and the role have another name here.
block() {
    sed -n "s/^$1 //p" "$T/chapter" | sed -E "/^(pg_|psql|create)/s/\\bchatd(_before)?( |'|\$)/$DB\\1\\2/g"
}

# What the lines call, where there is no systemd, and chatd is not installed.
systemctl() {
    case $* in
    'stop chatd') server_stop main ;;
    'start chatd') server_start main -o presence=off ;;
    *) return 1 ;;
    esac
}

chatctl() {
    "$BUILD/chatctl" -f "$T/chatd.conf" -o "db_host=$PGHOST" "$@"
}

# follow NUMBER…: these blocks.
follow() {
    local number
    cd "$T"
    for number; do
        block "$number" >"$T/block"
        cat "$T/block"
        # doctor does not like that this cluster would not survive a crash.
        sed -i 's/^chatctl doctor$/chatctl doctor || true/' "$T/block"
        (
            set -e
            # shellcheck disable=SC1091 # made above
            . "$T/block"
        )
    done
}

# enter FOLDER: that cluster runs, and is meant from now on.
enter() {
    local line
    "$ROOT/tests/tools/cluster" start --fast "$T/$1"
    while read -r line; do
        export "${line?}"
    done < <("$ROOT/tests/tools/cluster" env "$T/$1")
}

# give FILE…: to the user that PostgreSQL runs as.
give() {
    ((EUID != 0)) || chown -R postgres: "$@"
}

# configure FOLDER NUMBER: what that block says, in the configuration of that cluster.
configure() {
    block "$2" | sed "s|/var/backups|$T|g; s|'2026.*UTC'|'${MOMENT:-}'|" >"$T/$1/pg/replication.conf"
    cat "$T/$1/pg/replication.conf"
    give "$T/$1/pg/replication.conf"
}

@test "the chapter has the commands that the tests below follow" {
    [[ $(cut -d ' ' -f 1,2 "$T/chapter") == $'1 umask\n1 pg_dump\n2 systemctl\n2 psql\n3 createuser\n4 createdb\n4 pg_restore\n4 chatctl\n4 chatctl\n4 chatctl\n4 systemctl\n5 archive_mode\n5 archive_command\n5 archive_timeout\n6 pg_basebackup\n7 restore_command\n7 recovery_target_time\n7 recovery_target_action\n8 chatctl\n8 chatctl\n8 systemctl' ]]
}

@test "restored as chatd(8) says: whoever knows more than the backup, or less, is told; no id comes again; tokens are void" {
    py - "$T/before" <<'PY'
from backup import *
alice, bob = user("alice"), user("bob")
a, b = connect(alice.token), connect(bob.token)
for n in range(3):
    a.message(bob.id, f"kept {n}", f"k-{n}")
    a.until("ack")
kept = [b.until("message")["data"] for _ in range(3)]
save(alice=alice.token, bob=bob.token, ids=[alice.id, bob.id], older=kept[0]["cursor"], kept=kept[0]["message_id"])
PY
    follow 1
    [[ $(stat -c %a "$T/chatd.dump") == 600 ]]
    py - <<'PY'
from backup import *
was = saved()
a, b = connect(was["alice"]), connect(was["bob"])
there = conversation(was["alice"], was["ids"][1])
for n in range(3):
    a.message(was["ids"][1], f"lost {n}", f"l-{n}")
    lost = a.until("ack")["data"]
edits = []
for n in range(3):
    assert api("PATCH", f"/conversations/{there}/messages/{was['kept']}", {"content": f"lost edit {n}"}, was["alice"])[0] == 200
    edits.append(b.until("message_changed")["data"]["cursor"])
carol = user("carol")
group = api("POST", "/conversations", {"name": "Lost", "members": [was["ids"][1]]}, was["alice"])[1]["id"]
assert api("POST", "/logout", token=was["bob"])[0] == 204
again = api("POST", "/login", {"username": "bob", "password": password()})[1]["token"]
save(newer=lost["cursor"], edits=edits, last=lost["message_id"], carol=carol.id, carols=carol.token, group=group, again=again)
PY
    follow 2 4
    py - <<'PY'
from backup import *
was = saved()
# Tokens: those of before the backup, those that were void when it was restored, those from since.
for name in "alice", "bob", "again", "carols":
    assert api("GET", "/users", token=was[name])[0] == 401, name
def login(name):
    return api("POST", "/login", {"username": name, "password": password()})
assert login("carol")[0] == 401
alice, bob = login("alice")[1]["token"], login("bob")[1]["token"]
there = conversation(alice, was["ids"][1])
def told(cursor):
    """Whether a client with this cursor is told that it may have missed something; and nothing comes before."""
    c = connect(bob, path=f"/ws?cursor={cursor}")
    recovered = c.expect("resumed")["data"]["recovered"]
    c.close()
    return not recovered
assert all(told(was[name]) for name in ("older", "newer")) and all(told(c) for c in was["edits"])
# The changes that come now could take the numbers of those that are lost: of a message, and of edits.
a, b = connect(alice), connect(bob, path="/ws?cursor=")
first = b.expect("resumed")["data"]["cursor"]
for n in range(3):
    assert api("PATCH", f"/conversations/{there}/messages/{was['kept']}", {"content": f"edit {n}"}, alice)[0] == 200
    assert b.expect("message_changed")["content"] == f"edit {n}"
assert all(told(was[name]) for name in ("older", "newer")) and all(told(c) for c in was["edits"])
for n in range(5):
    a.message(was["ids"][1], f"after {n}", f"a-{n}")
    assert a.until("ack")["data"]["message_id"] > was["last"] + 1000
assert [b.expect("message")["content"] for _ in range(5)] == [f"after {n}" for n in range(5)]
assert all(told(was[name]) for name in ("older", "newer")) and all(told(c) for c in was["edits"])
# From a cursor of now on nothing is missed: the very first, before any message had come.
c = connect(bob, path=f"/ws?cursor={first}")
assert c.until("message")["content"] == "after 0"
assert [c.until("message")["content"] for _ in range(4)] == [f"after {n}" for n in range(1, 5)]
assert c.until("resumed")["data"]["recovered"]
# What was lost can be sent again under its id: it is a message, and no duplicate.
a.message(was["ids"][1], "lost 0", "l-0")
assert a.until("ack")["data"]["duplicate"] is False
assert b.expect("message")["content"] == "lost 0"
history = [m["content"] for m in api("GET", f"/messages/{was['ids'][0]}", token=bob)[1]]
assert history == ["edit 2", "kept 1", "kept 2", *[f"after {n}" for n in range(5)], "lost 0"], history
# Nobody and nothing gets the id of what is lost.
assert user("dave").id > was["carol"] + 1000
assert api("POST", "/conversations", {"name": "New", "members": [was["ids"][1]]}, alice)[1]["id"] > was["group"] + 1000
PY
}

@test "chatctl restored does nothing while chatd is connected, and says what to do" {
    before=$(psql -qXAtc 'select tag from chatd.instance')
    status=0
    (chatctl restored) >"$T/out" 2>&1 || status=$?
    cat "$T/out"
    [[ $status == 1 && $(<"$T/out") == *'connections to this database; stop it on every host' ]]
    [[ $(psql -qXAtc 'select tag from chatd.instance') == "$before" ]]
}

@test "restored to a new server, as chatd(8) says: the role is made, and users log in" {
    systemctl stop chatd
    enter new
    follow 3 4
    py - <<'PY'
from backup import *
status, answer = api("POST", "/login", {"username": "bob", "password": password()})
assert status == 200, answer
there = conversation(answer["token"], saved()["ids"][0])
assert there and api("GET", f"/messages/{saved()['ids'][0]}", token=answer["token"])[1][-1]["content"] == "kept 2"
PY
}

@test "brought back to a moment in the past, as chatd(8) says: what came before is there, what came after is not" {
    local MOMENT
    systemctl stop chatd
    enter logged
    "$ROOT/tests/tools/cluster" stop "$T/logged"
    mkdir -p "$T/wal"
    give "$T/wal"
    configure logged 5
    enter logged
    createuser "$DB"
    createdb -T template0 -E UTF8 "$DB"
    chatctl init
    systemctl start chatd
    bash -e < <(block 6 | sed "s|/var/backups|$T|g")
    py - <<'PY'
from backup import *
alice, bob = user("ann"), user("ben")
a, b = connect(alice.token), connect(bob.token)
a.message(bob.id, "kept", "k")
save(ann=alice.id, cursor=b.until("message")["data"]["cursor"])
PY
    MOMENT=$(psql -qXAtc 'select clock_timestamp()')
    py - <<'PY'
from backup import *
carol = user("cat")
write = api("POST", "/messages", {"content": "lost", "receiver_id": saved()["ann"]}, carol.token)
assert write[0] == 201, write
PY
    systemctl stop chatd
    psql -qXc 'select pg_switch_wal()'
    # It ends when all of the log is archived.
    "$ROOT/tests/tools/cluster" stop "$T/logged"
    mkdir "$T/back"
    mv "$T/base" "$T/back/pg"
    configure back 7
    touch "$T/back/pg/recovery.signal"
    give "$T/back"
    enter back
    py -c 'from chat import *; eventually(lambda: sql("select pg_is_in_recovery()") == "f")'
    follow 8
    py - <<'PY'
from backup import *
def login(name):
    return api("POST", "/login", {"username": name, "password": password()})
assert login("cat")[0] == 401
status, ben = login("ben")
assert status == 200, ben
history = api("GET", f"/messages/{saved()['ann']}", token=ben["token"])[1]
assert [m["content"] for m in history] == ["kept"], history
b = connect(ben["token"], path=f"/ws?cursor={saved()['cursor']}")
assert b.expect("resumed")["data"]["recovered"] is False
PY
    systemctl stop chatd
}
