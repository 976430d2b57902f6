#!/usr/bin/env bats
# chatctl(8): each command against a real database and a real server, each of its errors, and what
# it leaves alone.

load lib/server

setup_file() {
    server_setup_file
    server_start
    doctor_conf
}

teardown_file() {
    server_teardown_file
}

# The configuration that doctor examines: that of the server here, as a file.
doctor_conf() {
    printf '%s\n' "db_password_file = $T/db_password" "jwt_secret_file = $T/jwt_secret" "db_user = $DB" "db_name = $DB" \
        "db_host = $PGHOST" "run_dir = $T/main.run" 'user = daemon' 'session_user = nobody' >"$T/doctor.conf"
}

# ctl [ARGUMENT…]: chatctl on the database of this file, or on that of fresh_place; sets $status,
# $output and $stderr.
ctl() {
    local options=()
    [[ ${FRESH:-} ]] || mapfile -t options < <(server_options main)
    status=0
    "$BUILD/chatctl" "${options[@]}" "$@" >"$T/out" 2>"$T/err" || status=$?
    output=$(<"$T/out")
    stderr=$(<"$T/err")
    printf 'chatctl %s: %s\n%s\n%s\n' "$*" "$status" "$output" "$stderr"
}

# does STATUS ARGUMENT…: as ctl, and ends with this status.
does() {
    local wanted=$1
    shift
    ctl "$@"
    [[ $status == "$wanted" ]]
}

# json FILTER: what the last command printed, as one line.
json() {
    jq -c "$1" <<<"$output"
}

q() {
    psql -qXAt -c "$1"
}

# --- the command line ---

@test "a wrong command line ends with 2 and says what is right" {
    local args
    for args in '' nothing user 'user list a b' 'user show' 'user show a b' 'doctor x' 'room show' '-x doctor' \
        'user list --email a@b' 'doctor --yes' 'room delete' 'migrate --watch' 'user show --limit 1 a'; do
        # shellcheck disable=SC2086 # words
        does 2 $args
        [[ $stderr == *usage:* && -z $output ]] || fail "$args"
    done
    does 2 user list --after x
    [[ $stderr == *'--after: "x" is no number'* ]]
    does 2 user list --limit -1
    does 2 -o nothing=1 doctor
    [[ $stderr == *nothing* ]]
    does 0 --help
    [[ $output == usage:* ]]
    does 0 -V
    [[ $output == 'chatctl '* ]]
}

@test "a secret on the command line is refused, and not repeated" {
    does 2 -o "jwt_secret=$(<"$T/jwt_secret")" doctor
    [[ $stderr == *'put it into a file'* && $stderr != *"$(<"$T/jwt_secret")"* ]]
    "$BUILD/chatctl" --help >"$T/help"
    run grep -iE -- '--?(password|secret)[ =]' "$T/help"
    [[ $status == 1 ]]
}

@test "a configuration that is not there, or is wrong, is named" {
    does 1 -f "$T/none.conf" user list
    [[ $stderr == *"$T/none.conf"* ]]
    echo 'port = x' >"$T/wrong.conf"
    does 1 -f "$T/wrong.conf" user list
    [[ $stderr == *"$T/wrong.conf:1: port"* ]]
}

@test "a database that cannot be reached ends with 3 and says what to do" {
    does 3 -o "db_host=$T/nowhere" user list
    [[ $stderr == *db_host* ]]
    does 3 -o db_name=none user list
    [[ $stderr == *'"none" does not exist'* ]]
}

@test "a database without the schema is told from one with it" {
    q "create database ${DB}_bare"
    does 1 -o "db_name=${DB}_bare" user list
    q "drop database ${DB}_bare"
    [[ $stderr == *'run chatctl init'* ]]
}

# --- users ---

@test "a user who is added can log in; the password comes from standard input, its first line" {
    local secret
    secret=$(password)
    does 0 --json user add --email ann@example.com ann <<<"$secret"$'\nsecond'
    [[ $(json 'map([.what, .name]) | .[0]') == '["user","ann"]' ]]
    api POST /login "{\"username\":\"ann\",\"password\":\"$secret\"}"
    [[ $status == 200 ]]
    [[ $(q "select password_hash ~ '^[$]2b[$]04[$]' from users where username = 'ann'") == t ]]
}

@test "what is wrong with a new user is said" {
    user first >/dev/null
    does 1 user add --email other@example.com FIRST <<<"$(password)"
    [[ $stderr == *taken* ]]
    does 1 user add --email First@example.com other <<<"$(password)"
    [[ $stderr == *'another user'* ]]
    does 1 user add --email x@example.com 'no name' <<<"$(password)"
    [[ $stderr == *'1 to 32 letters'* ]]
    local wrong
    for wrong in '' nobody @b a@ a@b@c 'a b@c'; do
        does 2 user add --email "$wrong" other <<<"$(password)"
        [[ $stderr == *--email* ]]
    done
    does 2 user add other <<<"$(password)"
    does 1 user add --email other@example.com other <<<short
    [[ $stderr == *'at least 8'* ]]
    does 1 user add --email other@example.com other </dev/null
    does 1 user add --email other@example.com other <<<"$(printf '%073d' 1)"
    [[ $stderr == *'at most 72'* ]]
    printf '12345678\0' | does 1 user add --email other@example.com other
    [[ $(q "select count(*) from users where username = 'other'") == 0 ]]
}

@test "a password is typed at a terminal twice, and never shown" {
    user typed >/dev/null
    py - "$BUILD/chatctl" <<'PY'
import os, pty, subprocess, sys
from server import *
def type_(first, second):
    """What the terminal shows, and the status."""
    mine, theirs = pty.openpty()
    p = subprocess.Popen([sys.argv[1], *options("main"), "user", "password", "typed"], stdin=theirs, stdout=theirs,
                         stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    for question, answer in ((b"New password of typed: ", first), (b"Once more, of typed: ", second)):
        while not shown.endswith(question):
            shown += os.read(mine, 1000)
        os.write(mine, answer + b"\n")
    try:
        while part := os.read(mine, 1000):
            shown += part
    except OSError:
        pass
    os.close(mine)
    return shown, p.wait()
new = os.urandom(12).hex().encode()
shown, status = type_(new, new)
assert status == 0 and new not in shown and b"new password" in shown, shown
assert api("POST", "/login", {"username": "typed", "password": new.decode()})[0] == 200
shown, status = type_(new + b"1", new + b"2")
assert status == 1 and b"differ" in shown and new not in shown, shown
PY
    does 4 user password nobody <<<"$(password)"
    [[ $stderr == *'no user "nobody"'* ]]
    does 0 user password TYPED <<<"$(password)"
}

@test "a new password, disable and logout end connections at once, with their codes; enable lets in again" {
    py - "$BUILD/chatctl" <<'PY'
from server import *
bob = user()
def ctl(*words, **how):
    subprocess.run([sys.argv[1], *options("main"), "user", *words, bob.name], check=True, stdout=subprocess.DEVNULL, **how)
def login():
    return api("POST", "/login", {"username": bob.name, "password": password()})
for command, code, status in (("logout", 4401, 200), ("disable", 4403, 403), ("enable", None, 200), ("password", 4401, 200)):
    ws = connect(login()[1]["token"]) if code else None
    ctl(command, **({"input": password(), "text": True} if command == "password" else {}))
    assert login()[0] == status, command
    assert not ws or ws.closed() == code, command
PY
    local command
    for command in disable enable logout; do
        does 4 user "$command" nobody
        [[ $stderr == 'chatctl: there is no user "nobody"' ]]
    done
}

@test "users are listed by pages and by the beginning of a name, and shown" {
    user cy >/dev/null
    user cyd >/dev/null
    psql -qX -c "update users set display_name = '日本 ж', last_seen = null where username = 'cyd'"
    does 0 --json user list CY
    [[ $(json 'map(.username)') == '["cy","cyd"]' && $(json '.[1].display_name') == '"日本 ж"' && -z $stderr ]]
    [[ $(json '.[1] | [.disabled, .online, .last_seen, .email]') == '[false,false,null,"cyd@example.com"]' ]]
    [[ $(json '.[0].created_at | test("^20[0-9-]{8}T[0-9:.]{12}Z$")') == true ]]
    local first
    first=$(json '.[0].id')
    does 0 --json user list --limit 1 cy
    [[ $(json 'map(.id)') == "[$first]" && $stderr == *"--after $first" ]]
    does 0 --json user list --after "$first" cy
    [[ $(json 'map(.username)') == '["cyd"]' ]]
    does 0 user list c_
    (($(wc -l <<<"$output") == 1))
    does 0 --json user show CYD
    [[ $(json '[.username, .messages, .conversations, .blocks, .connections, .hosts, .bcrypt_cost]') == '["cyd",0,0,0,0,[],4]' ]]
    does 0 user show cyd
    [[ $output == *'DISPLAY NAME'*日本* ]]
    does 4 user show nobody
    [[ $stderr == *'no user "nobody"'* ]]
}

@test "a table is aligned whatever the width of its letters, and nothing in it moves the cursor" {
    user wide >/dev/null
    user wider >/dev/null
    psql -qX -c "update users set display_name = '日本 ж' where username = 'wider'"
    psql -qX -c "update users set email = E'\\x1b[2J@example.com' where username = 'wide'"
    does 0 user list wide
    [[ $output != *$'\e'* && $output == *'?[2J@example.com'* ]]
    py - "$output" <<'PY'
import sys, unicodedata
lines = sys.argv[1].splitlines()
def columns(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
places = {columns(line[:line.index("@example.com")].rsplit("  ", 1)[0]) for line in lines[1:]}
starts = {columns(line[:line.rindex("  ", 0, line.index("@"))]) + 2 for line in lines[1:]}
assert len(lines) == 3 and len(starts) == 1 and starts == {columns(lines[0][:lines[0].index("EMAIL")])}, lines
PY
    does 0 --json user list wide
    [[ $(json '.[0].email') == '"\u001b[2J@example.com"' ]]
}

@test "user delete asks, refuses while there are conversations, and then takes them along" {
    local dan eve fay room
    dan=$(user dan) eve=$(user eve) fay=$(user fay)
    api POST /messages "{\"receiver_id\":$(id_of eve),\"content\":\"one\"}" "$dan"
    api POST /messages "{\"receiver_id\":$(id_of fay),\"content\":\"stays\"}" "$eve"
    does 1 user delete --yes dan
    [[ $stderr == *'1 conversations of two and 1 messages'*'user disable dan'* ]]
    does 1 user delete --conversations dan </dev/null
    [[ $stderr == *'nothing was deleted'* && $(q "select count(*) from users where username = 'dan'") == 1 ]]
    room=$(q "select conversation_id from contacts where user_id = $(id_of dan)")
    does 0 user delete --conversations --yes dan
    [[ $(q "select count(*) from users where username = 'dan'") == 0 ]]
    [[ $(q "select (select count(*) from messages where conversation_id = $room),
        (select count(*) from conversations where id = $room), (select count(*) from members where conversation_id = $room),
        (select count(*) from contacts where conversation_id = $room)") == '0|0|0|0' ]]
    api GET "/messages/$(id_of eve)" '' "$fay"
    [[ $status == 200 && $body == *stays* ]]
    api GET /me '' "$dan"
    [[ $status == 401 ]]
    user gil >/dev/null
    does 0 user delete -y gil
    does 4 user delete -y gil
}

@test "user delete takes from a group the user and the user's messages, and hands it on" {
    py - "$BUILD/chatctl" <<'PY'
from server import *
from groups import *
a, b, c = user("owner-a"), user("owner-b"), user("owner-c")
g = group(a, "Passed on", b, c)
assert put_role(a, g, c, "admin")[0] // 100 == 2
kept = post(b, g, "stays")
def delete(who, *words):
    return subprocess.run([sys.argv[1], *options("main"), "user", "delete", "--yes", *words, who.name],
                          capture_output=True, text=True)
# Who has no conversation of two and has sent nothing goes without --conversations, even an owner.
p = delete(a)
assert p.returncode == 0, p
assert roles(b, g) == {b.id: "member", c.id: "owner"}
post(c, g, "goes")
p = delete(c)
assert p.returncode == 1 and "0 conversations of two and 1 messages" in p.stderr, p
p = delete(c, "--conversations")
assert p.returncode == 0, p
assert roles(b, g) == {b.id: "owner"} and show(b, g)[1]["member_count"] == 1
assert sql(f"select array_agg(id) from messages where conversation_id = {g}") == f"{{{kept}}}"
PY
}

# --- rooms ---

@test "rooms are listed, of all and of a user, shown and deleted" {
    local room eve
    eve=$(user room-eve)
    user room-fay >/dev/null
    api POST /messages "{\"receiver_id\":$(id_of room-fay),\"content\":\"one\"}" "$eve"
    room=$(q "select conversation_id from contacts where user_id = $(id_of room-eve)")
    does 0 --json room list room-eve
    [[ $(json 'map([.id, .kind, .name, .members, .member_count])') == "[[$room,\"direct\",null,[\"room-eve\",\"room-fay\"],2]]" ]]
    does 0 --json room list --after "$((room - 1))" --limit 1
    [[ $(json 'map(.id)') == "[$room]" ]]
    does 0 --json room show "$room"
    [[ $(json '[.messages, (.last_message, .created_at | test("^20[0-9-]{8}T[0-9:.]{12}Z$"))]') == '[1,true,true]' ]]
    does 0 room show "$room"
    [[ $output == *'room-eve room-fay'* ]]
    does 4 room list nobody
    does 4 room show 999999
    does 2 room show x
    does 1 room delete "$room" </dev/null
    does 0 room delete -y "$room"
    does 4 room delete -y "$room"
    # They can begin anew.
    api POST /messages "{\"receiver_id\":$(id_of room-fay),\"content\":\"again\"}" "$eve"
    [[ $status == 20? ]]
}

@test "a group is listed with its name and those who are in it, and deleted" {
    user group-hal >/dev/null
    user group-ida >/dev/null
    local room
    room=$(q "insert into chatd.conversations (kind, name) values ('group', 'Птицы') returning id")
    psql -qX -c "insert into chatd.members (conversation_id, user_id, role) values ($room, $(id_of group-hal), 'owner'), ($room, $(id_of group-ida), 'member')"
    does 0 --json room list group-ida
    [[ $(json 'map([.kind, .name, .members, .member_count])') == '[["group","Птицы",["group-hal","group-ida"],2]]' ]]
    psql -qX -c "update chatd.members set until = 1 where user_id = $(id_of group-ida)"
    does 0 --json room show "$room"
    [[ $(json '[.members, .member_count, .messages]' | cut -c 1-17) == '[["group-hal"],1,' ]]
    does 0 --json room list group-ida
    [[ $output == '[]' ]]
    does 0 --json user show group-ida
    [[ $(json .conversations) == 0 ]]
    does 0 --json user show group-hal
    [[ $(json .conversations) == 1 ]]
    # With more than one in it.
    psql -qX -c "update chatd.members set until = null where user_id = $(id_of group-ida)"
    does 0 room delete -y "$room"
    does 4 room show "$room"
}

# --- init and migrate ---

# A place of its own, with a role and a database that are not there yet.
fresh_place() {
    FRESH=$T/$1
    NAME=${DB}_$1
    unset PGDATABASE
    mkdir "$FRESH"
    printf '%s = %s\n' db_host "$PGHOST" db_name "$NAME" db_user "$NAME" user daemon bcrypt_cost 4 >"$FRESH/chatd.conf"
}

init() {
    does "$1" -f "$FRESH/chatd.conf" "${@:2}" init
}

drop_place() {
    psql -qX -d postgres -c "drop database if exists $NAME" -c "drop role if exists $NAME"
}

@test "init makes what is missing, says so, and the second time changes nothing; chatd starts on it" {
    fresh_place one
    init 0
    [[ $output == *"$FRESH/chatd/db_password: made, with mode 0600"* ]]
    [[ $output == *"database $NAME: made, with encoding UTF8"* && $output == *"0001_users.sql: applied"* ]]
    local secret before
    secret=$(sed -n 's/^db_password_file = //p' "$FRESH/chatd.conf")
    [[ $(stat -c %a "$secret" "$(dirname "$secret")" "$(dirname "$secret")/jwt_secret" | tr '\n' ' ') == '600 700 600 ' ]]
    (($(stat -c %s "$secret") >= 44))
    [[ $output$stderr != *"$(<"$secret")"* ]]
    before=$(cat "$FRESH/chatd.conf" "$(dirname "$secret")"/*)
    init 0 --json
    [[ $(json 'map(.done) | unique') == '["has the password of the configuration, and its rights","kept","up to date"]' ]]
    [[ $(cat "$FRESH/chatd.conf" "$(dirname "$secret")"/*) == "$before" ]]
    [[ $(psql -qXAt -d "$NAME" -c "select pg_encoding_to_char(encoding), max(number) from pg_database, chatd.schema_version
        where datname = current_database() group by 1") == "UTF8|$(find "$ROOT/sql" -name '0*.sql' | wc -l)" ]]
    password >/dev/null
    py - "$FRESH/chatd.conf" <<'PY'
from server import *
with Server("-f", sys.argv[1], "-o", f"db_name={os.environ['DB']}_one", "-o", f"db_user={os.environ['DB']}_one", secrets=[]) as s:
    assert api("POST", "/register", {"username": "ann", "password": password(), "email": "a@example.com"}, name=s.name)[0] == 201
PY
    drop_place
}

@test "init on a second host asks for the secrets of the first, and leaves them alone" {
    fresh_place two
    init 0
    mkdir "$T/second"
    sed '/_file = /d' "$FRESH/chatd.conf" >"$T/second/chatd.conf"
    local hash
    hash=$(q "select rolpassword from pg_authid where rolname = '$NAME'")
    does 1 -f "$T/second/chatd.conf" init
    [[ $stderr == *'copy both from the host that has them'* ]]
    [[ $(q "select rolpassword from pg_authid where rolname = '$NAME'") == "$hash" ]]
    [[ $(ls "$T/second") == chatd.conf ]]
    does 0 -f "$T/second/chatd.conf" init --new-secrets
    [[ $(q "select rolpassword from pg_authid where rolname = '$NAME'") != "$hash" ]]
    drop_place
}

@test "init makes a configuration where there is none, which chatd takes" {
    fresh_place three
    does 0 -f "$FRESH/made.conf" -o "db_name=$NAME" -o "db_user=$NAME" init
    [[ $output == *"configuration $FRESH/made.conf: made"* && $(stat -c %a "$FRESH/made.conf") == 644 ]]
    "$BUILD/chatd" -t -f "$FRESH/made.conf"
    # What was only an option is kept for chatd.
    does 0 -f "$FRESH/chatd.conf" -o "db_password_file=$FRESH/chatd/db_password" -o "jwt_secret_file=$FRESH/chatd/jwt_secret" init
    [[ $output == *'names the secrets now'* ]]
    "$BUILD/chatd" -t -f "$FRESH/chatd.conf"
    drop_place
}

@test "init that fails says why, and the next one goes on from there" {
    fresh_place four
    does 3 -f "$FRESH/chatd.conf" -o "db_host=$T/nowhere" init
    [[ ! -e $FRESH/chatd && ! -e $FRESH/secrets ]]
    does 3 -f "$FRESH/chatd.conf" --owner "$DB" init
    [[ $stderr == *--owner* && $(ls "$FRESH") == chatd.conf ]]
    psql -qX -d postgres -c "create database $NAME encoding 'SQL_ASCII' locale 'C' template template0"
    init 1
    [[ $stderr == *'has encoding SQL_ASCII'* ]]
    psql -qX -d postgres -c "drop database $NAME"
    init 0
    [[ $output == *'kept'* && $output == *'up to date'* ]]
    drop_place
    does 2 init
    [[ $stderr == *'-f'* ]]
}

@test "migrate applies what is missing; with -n it only says so, with 1" {
    fresh_place five
    psql -qX -d postgres -c "create database $NAME encoding 'UTF8' template template0"
    does 1 --json -f "$FRESH/chatd.conf" migrate --dry-run
    [[ $(json '.[0] | [.what, .name, .done]') == '["migration","0001_users.sql","missing"]' ]]
    [[ $(psql -qXAt -d "$NAME" -c "select to_regnamespace('chatd') is null") == t ]]
    does 0 -f "$FRESH/chatd.conf" migrate
    [[ $output == *'migration 0001_users.sql: applied'* && $output == *"role $NAME: created"* ]]
    does 0 -f "$FRESH/chatd.conf" migrate -n
    does 0 --json -f "$FRESH/chatd.conf" migrate
    [[ $(json 'map(.done)') == '["up to date at 0'* ]]
    does 1 -f "$FRESH/chatd.conf" --sql "$T" migrate
    [[ $stderr == *--sql* ]]
    drop_place
}

@test "migrate and doctor say whether chatd may run beside what is missing, and do nothing where it may not" {
    fresh_place seven
    init 0
    local number=$(($(find "$ROOT/sql" -name '0*.sql' | wc -l) + 1)) next
    cp -r "$ROOT/sql" "$FRESH/sql"
    printf -v next "$FRESH/sql/%04d_next.sql" "$number"
    py - "$FRESH/chatd.conf" "$next" <<'PY'
import json
from server import *
configuration, file = sys.argv[1:]
number = int(os.path.basename(file)[:4])
def write(compatible_from):
    with open(file, "w") as f:
        f.write(f"-- compatible-from: {compatible_from}\n")
def ctl(*words):
    p = subprocess.run([f"{BUILD}/chatctl", "--json", "-f", configuration, "--sql", os.path.dirname(file), *words],
                       capture_output=True, text=True)
    return p.returncode, p.stderr, json.loads(p.stdout or "[]")
def doctor():
    return [(f["good"], f["finding"], f["remedy"]) for f in ctl("doctor")[2] if f["check"] == "schema"]
place = f"{os.environ['DB']}_seven"
with Server("-f", configuration, "-o", f"db_name={place}", "-o", f"db_user={place}", secrets=[]):
    write(number)
    assert doctor() == [(False, "1 migrations are missing", "stop chatd on every host, and run chatctl migrate")], doctor()
    status, _, lines = ctl("migrate", "-n")
    assert status == 1 and lines[0]["what"] == "program" and lines[0]["name"] == "chatd", lines
    assert lines[0]["done"].startswith("must be stopped first, on every host: "), lines
    status, said, _ = ctl("migrate")
    assert status == 1 and "stop it on every host" in said, said
    write(number - 1)
    assert doctor() == [(False, "1 migrations are missing", "run chatctl migrate, while chatd runs or not")], doctor()
    status, _, lines = ctl("migrate", "-n")
    assert status == 1 and lines[0]["done"].startswith("may run on: "), lines
    status, said, lines = ctl("migrate")
    assert status == 0 and [l["done"] for l in lines[1:]] == ["applied", f"up to date at {os.path.basename(file)}"], (said, lines)
    # The files of the version before.
    os.unlink(file)
    assert doctor() == [(True, "1 migrations newer than this version, which can use it", None)], doctor()
    assert ctl("migrate", "-n")[0] == 0
PY
    drop_place
}

# --- doctor ---

# What doctor says of one check: "BAD finding" or "good finding".
finding() {
    jq -r --arg check "$1" '.[] | select(.check == $check) | "\(if .good then "good" else "BAD" end) \(.finding) (\(.remedy))"' <<<"$output"
}

doctor() {
    ctl --json "$@" doctor
    jq -e 'length > 5 and all(.[]; (.check | length > 0) and (.good == (.remedy == null)))' <<<"$output" >/dev/null
}

@test "doctor finds nothing where all is well but what the tests do to the database" {
    doctor -f "$T/doctor.conf" -o backlog=128 -o max_clients=200
    jq -r '.[] | select(.good | not) | .check' <<<"$output" >"$T/bad"
    # The tests' cluster is fast and does not survive a crash.
    grep -vxE 'durability|disk of .*' "$T/bad" && fail "$(<"$T/bad")"
    [[ $(finding encoding) == 'good UTF8 (null)' && $(finding schema) == 'good up to date (null)' ]]
    [[ $(finding durability) == 'BAD off: fsync'* && $status == 1 ]]
    [[ $(finding login) == good* && $(finding role) == good* && $(finding clock) == good* ]]
    ctl -f "$T/doctor.conf" doctor
    [[ $output == *'BAD   durability: off: fsync'*$'\n      turn them on'* ]]
}

@test "doctor finds what is wrong with the role, the schema and the connections" {
    psql -qX -c "alter role \"$DB\" superuser"
    doctor -f "$T/doctor.conf"
    psql -qX -c "alter role \"$DB\" nosuperuser"
    [[ $(jq -r 'map(select(.check == "role")) | map(.finding) | join(" ")' <<<"$output") == *'more rights than it needs'* ]]
    psql -qX -c "alter role \"$DB\" nologin" -c "grant select on chatd.users to \"$DB\"" -c "revoke execute on function chatd_api.schema_version() from \"$DB\""
    doctor -f "$T/doctor.conf"
    psql -qX -c "alter role \"$DB\" login" -c "revoke select on chatd.users from \"$DB\"" -c "grant execute on function chatd_api.schema_version() to \"$DB\""
    local role
    role=$(jq -r 'map(select(.check == "role")) | map(.finding) | join(" ")' <<<"$output")
    [[ $role == *'may not log in'* && $role == *'may not call all'* && $role == *'read or write tables'* && $(finding login) == BAD* ]]
    doctor -f "$T/doctor.conf" -o db_user=nobody_at_all
    [[ $(finding role) == 'BAD there is no role nobody_at_all'* ]]
    psql -qX -c "update chatd.schema_version set checksum = 'x' where number = 1"
    doctor -f "$T/doctor.conf"
    psql -qX -c "update chatd.schema_version set checksum = '$(sha256sum <"$ROOT/sql/0001_users.sql" | cut -c 1-64)' where number = 1"
    [[ $(finding schema) == 'BAD 1 migrations are not'* ]]
    doctor -f "$T/doctor.conf" -o "db_host=$T/nowhere"
    [[ $(finding database) == BAD*db_host* && -z $(finding schema) && $status == 1 ]]
}

# In a database without a server, whose broker would sweep such hosts away.
@test "doctor finds that the hosts need more connections than PostgreSQL admits" {
    local room
    room=$(q "select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int")
    fresh_place six
    init 0
    doctor -f "$FRESH/chatd.conf"
    [[ $(finding max_connections) == good* ]]
    psql -qX -d "$NAME" -c "insert into chatd.hosts (name) select 'filler' from generate_series(1, $room)"
    doctor -f "$FRESH/chatd.conf"
    [[ $(finding max_connections) == BAD*"raise max_connections"* ]]
    drop_place
}

@test "doctor finds what is wrong with files, users and limits" {
    cp "$T/jwt_secret" "$T/open_secret"
    chmod 644 "$T/open_secret"
    mkdir -m 777 "$T/open.run"
    doctor -f "$T/doctor.conf" -o "jwt_secret_file=$T/open_secret" -o "jwt_old_secret_file=$T/none" -o "run_dir=$T/open.run" -o cors_origins=x
    [[ $(finding jwt_secret_file) == BAD*'mode 644'*'chmod 600'* && $(finding jwt_old_secret_file) == BAD*'No such file'* ]]
    [[ $(finding run_dir) == BAD*chmod* && $(finding configuration) == BAD*cors_origins* ]]
    doctor -o "db_name=$DB"
    [[ $(finding configuration) == BAD*'not found'* || $(finding configuration) == BAD*init* ]]
    ((EUID)) || {
        doctor -f "$T/doctor.conf" -o user=nobody_at_all
        [[ $(finding user) == BAD*useradd* ]]
    }
    doctor -f "$T/doctor.conf" -o max_clients=100000
    if (($(</proc/sys/kernel/pid_max) < 100000)); then [[ $(finding pid_max) == BAD*sysctl* ]]; else [[ $(finding pid_max) == good* ]]; fi
    if (($(</proc/sys/kernel/threads-max) < 100000)); then [[ $(finding threads-max) == BAD*sysctl* ]]; else [[ $(finding threads-max) == good* ]]; fi
    # The limit of root, too: chatd does not raise it. One that a shell sets is the program's.
    ulimit -Sn 500 && ulimit -Hn 500
    doctor -f "$T/doctor.conf" -o max_clients=1000
    [[ $(finding nofile) == 'BAD 500 descriptors are allowed here, and max_clients needs 1064'*LimitNOFILE* ]]
    doctor -f "$T/doctor.conf" -o max_clients=400
    [[ $(finding nofile) == good* ]]
}

@test "doctor says when the certificate expires" {
    local days
    for days in 1 400; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days "$days" \
            -keyout "$T/key.$days" -out "$T/certificate.$days" 2>"$T/openssl.log"
        doctor -f "$T/doctor.conf" -o "tls_certificate_file=$T/certificate.$days" -o "tls_key_file=$T/key.$days"
        [[ $(finding tls_key_file) == good* ]]
        if ((days == 1)); then
            [[ $(finding certificate) == 'BAD it expires in '[01]' days (renew it'* ]]
        else
            [[ $(finding certificate) == 'good valid for '39[89]' days'* || $(finding certificate) == 'good valid for 400 days'* ]]
        fi
    done
    doctor -f "$T/doctor.conf" -o "tls_certificate_file=$T/key.1" -o "tls_key_file=$T/key.1"
    [[ $(finding certificate) == BAD*'no certificate in PEM'* ]]
    doctor -f "$T/doctor.conf" -o "tls_certificate_file=$T/none" -o "tls_key_file=$T/key.1"
    [[ $(finding certificate) == BAD*'No such file'* ]]
}

# --- documents and completion ---

@test "chatctl(8) has each command, with its options and arguments, and each global option, of the usage" {
    py - "$ROOT" "$BUILD/chatctl" <<'PY'
import re, subprocess, sys
page = open(f"{sys.argv[1]}/man/chatctl.8").read()
usage = subprocess.run([sys.argv[2], "--help"], capture_output=True, text=True, check=True).stdout.splitlines()
commands = [line[2:52].strip() for line in usage[1:]]
assert len(commands) > 12, usage
described = {}
for item in re.findall(r"^\.It Ic (.*)$", page, re.M):
    words = re.sub(r"\b(Op|Oo|Oc|Ar|Ns|Fl -?\S+)\b", " ", item)
    text = re.sub(r"Fl (\S+)", r"-\1", item)
    described[item] = text
for command in commands:
    words = []
    for word in command.split():
        if not re.fullmatch("[a-z]+", word) or len(words) == (2 if words and words[0] in ("user", "room", "kick", "retention") else 1):
            break
        words.append(word)
    head = " ".join(words)
    [item] = [t for i, t in described.items() if re.match(rf"{head}(?: (?:Op|Oo|Ar|-)|$)", t)]
    for option in re.findall(r"--?[a-z-]+", command):
        assert option in item.split(), (command, item)
assert len(described) == len(commands), (described, commands)
shared = set("".join(re.findall(r"\[-(\w+)", usage[0])))
assert shared <= set(re.findall(r"^\.It Fl (\w)", page, re.M)), shared
PY
}

@test "JSON in chatctl(8) has the members that chatctl prints" {
    local ada
    ada=$(user ada)
    user bea >/dev/null
    api POST /messages "{\"receiver_id\":$(id_of bea),\"content\":\"x\"}" "$ada"
    awk '/^\.Ss JSON/ { here = 1 } /^\.Sh/ { here = 0 } here && /^\.Bd/ { code = 1; next } /^\.Ed/ { code = 0 } here && code' \
        "$ROOT/man/chatctl.8" | jq -c 'keys_unsorted, (select(.servers) | .[] | .[0] | keys_unsorted)' | sort -u >"$T/described"
    {
        ctl -j user list ada >/dev/null && jq -c '.[0] | keys_unsorted' <<<"$output"
        ctl -j user show ada >/dev/null && jq -c keys_unsorted <<<"$output"
        ctl -j room list ada >/dev/null && jq -c '.[0] | keys_unsorted' <<<"$output"
        ctl -j room show "$(jq '.[0].id' <<<"$output")" >/dev/null && jq -c keys_unsorted <<<"$output"
        ctl -j user logout ada >/dev/null && jq -c '.[0] | keys_unsorted' <<<"$output"
        ctl -j doctor >/dev/null && jq -c '.[0] | keys_unsorted' <<<"$output"
        ctl -j status >/dev/null && jq -c 'keys_unsorted, (.[] | .[0] | keys_unsorted)' <<<"$output"
        exec 8<>"/dev/tcp/127.0.0.1/$(server_port)"
        printf 'GET /me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n' "$ada" >&8
        head -n 1 <&8 >/dev/null
        ctl -j who >/dev/null && jq -c '.[0] | keys_unsorted' <<<"$output"
        exec 8>&-
    } | sort -u >"$T/printed"
    diff "$T/described" "$T/printed"
}

# completed WORD…: what bash would offer for the last word.
completed() {
    bash -c 'PATH="$1:$PATH"; . "$2/packaging/completion/chatctl.bash"; shift 2
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _chatctl chatctl; printf "%s\n" "${COMPREPLY[@]}"' \
        _ "$BUILD" "$ROOT" "$@" | sort | tr '\n' ' '
}

@test "bash completes commands, options and keys" {
    [[ $(completed chatctl us) == 'user ' ]]
    [[ $(completed chatctl -j room '') == 'delete list show ' ]]
    [[ $(completed chatctl user dis) == 'disable ' ]]
    [[ $(completed chatctl user delete --conv) == '--conversations ' ]]
    [[ $(completed chatctl -o run_d) == 'run_dir= ' ]]
    [[ $(completed chatctl doctor '') == ' ' ]]
    [[ $(completed chatctl user --email '') == ' ' ]]
    [[ " $(completed chatctl '')" == *' doctor init '* ]]
}
