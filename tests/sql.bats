#!/usr/bin/env bats
# The database by itself: what its functions promise, what its triggers do, who may do what.
# Two psql connections stand for two brokers; no chatd runs.

load lib/server

setup_file() {
    server_setup_file
}

teardown_file() {
    server_teardown_file
}

# Everything starts empty, with users 1, 2 and 3.
setup() {
    q "truncate users, messages, contacts, hosts, sessions, presence restart identity cascade" \
        "insert into users (username, email, password_hash)
         select n, n || '@example.com', 'x' from unnest(array['ann', 'bob', 'cid']) n" >/dev/null
}

# q SQL...: runs each as the owner, in one connection; unaligned output.
q() {
    local args=()
    for sql; do
        args+=(-c "$sql")
    done
    psql -qXAt -F ' ' -v ON_ERROR_STOP=1 "${args[@]}"
}

# As the role that chatd connects as.
as_role() {
    PGUSER=$DB PGPASSWORD=$(<"$T/db_password") psql -qXAt -v ON_ERROR_STOP=1 "$@"
}

is() {
    [[ $1 == "$2" ]] || fail "got:    $1"$'\n'"wanted: $2"
}

send() {
    echo "select ordinal, status, message_id, duplicate from chatd_api.message_send($1)"
}

@test "the role of chatd may call the functions of chatd_api and nothing else" {
    is "$(as_role -c 'select chatd_api.schema_version() > 0')" t
    local sql
    for sql in "select * from chatd.users" "select * from chatd.messages" \
        "insert into chatd.messages (sender_id, receiver_id, content) values (1, 2, 'x')" \
        "update chatd.users set email = 'x'" "delete from chatd.sessions" \
        "truncate chatd.messages" "create table chatd.t (i int)" "create table public.t (i int)" \
        "create table chatd_api.t (i int)" "create schema s" "create role r" \
        "select chatd.presence_update('{1}')" "select nextval('chatd.change_seq')" \
        "select * from chatd.schema_version" "copy (select 1) to program 'true'"; do
        run as_role -c "$sql"
        [[ $status != 0 && $output == *"permission denied"* || $output == *"must be"* ]] ||
            fail "$sql: $output"
    done
    is "$(q "select count(*) from information_schema.table_privileges where grantee = '$DB'")" 0
}

@test "nobody but the owner and the role may call the functions" {
    is "$(q "select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
             where n.nspname in ('chatd', 'chatd_api')
               and has_function_privilege('public', p.oid, 'execute')")" 0
}

@test "every function of the API is SECURITY DEFINER with a fixed search_path" {
    is "$(q "select count(*) > 10 from pg_proc p join pg_namespace n on n.oid = p.pronamespace
             where n.nspname = 'chatd_api'")" t
    is "$(q "select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
             where n.nspname = 'chatd_api' and (not p.prosecdef
                or not coalesce(array_to_string(p.proconfig, ' '), '') like '%search_path=chatd, pg_temp%')")" ""
}

@test "a second run of migrate changes nothing, and a changed file is refused" {
    is "$("$ROOT/sql/migrate" --status | grep -c applied)" "$(find "$ROOT/sql" -name '0*.sql' | wc -l)"
    cp -r "$ROOT/sql" "$T/sql"
    echo "-- changed" >>"$T/sql/0001_users.sql"
    run "$T/sql/migrate" --role "$DB"
    [[ $status != 0 && $output == *0001_users.sql* ]] || fail "$output"
    # A database that is newer than the files is left alone, too.
    cp "$ROOT/sql/0001_users.sql" "$T/sql/"
    q "insert into schema_version select 99, '0099_x.sql', checksum, now() from schema_version limit 1" ||
        q "insert into schema_version (number, name) values (99, '0099_x.sql')"
    run "$T/sql/migrate" --role "$DB"
    q "delete from schema_version where number = 99"
    [[ $status != 0 ]] || fail "$output"
}

@test "sql/schema.sql is the schema that the migrations make" {
    # pg_dump writes some things differently from one major version to the next.
    local major
    major=$(q "select current_setting('server_version_num')::int / 10000")
    "$ROOT/tests/tools/schema" "$DB" >"$T/schema.sql"
    if ((major == 15)); then
        diff -u "$ROOT/sql/schema.sql" "$T/schema.sql"
    else
        is "$(grep -c '^CREATE' "$T/schema.sql")" "$(grep -c '^CREATE' "$ROOT/sql/schema.sql")"
    fi
}

@test "message_send: ids in the order of the input, one result for each" {
    is "$(q "$(send "'{1,2,1}', '{2,1,3}', '{a,b,c}', '{7,8,9}', '{x,y,z}'")")" \
        $'1 ok 1 f\n2 ok 2 f\n3 ok 3 f'
    is "$(q "select id, sender_id, receiver_id, client_id, origin, content from messages order by id")" \
        $'1 1 2 a 7 x\n2 2 1 b 8 y\n3 1 3 c 9 z'
}

@test "message_send: a bad item never fails its neighbours" {
    is "$(q "$(send "'{1,1,9,1,1}', '{2,99,2,2,2}', '{a,b,c,d,e}', '{1,1,1,1,1}', array['x','x','x','','y']")")" \
        $'1 ok 1 f\n2 unknown_receiver  f\n3 unknown_sender  f\n4 invalid  f\n5 ok 2 f'
}

@test "message_send: the same id is the same message, with other content a conflict" {
    q "$(send "'{1}', '{2}', '{a}', '{1}', '{x}'")" >/dev/null
    is "$(q "$(send "'{1,1,1,2}', '{2,2,3,1}', '{a,a,a,a}', '{1,1,1,1}', '{x,other,x,x}'")")" \
        "1 ok 1 t"$'\n'"2 conflict  f"$'\n'"3 conflict  f"$'\n'"4 ok $(q "select max(id) from messages") f"
    local got id
    got=$(q "$(send "'{1,1,1}', '{2,2,2}', '{n,n,n}', '{1,1,1}', '{x,x,y}'")")
    id=$(q "select max(id) from messages")
    is "$got" "1 ok $id f"$'\n'"2 ok $id t"$'\n'"3 conflict  f"
    is "$(q "select count(*) from messages")" 3
}

@test "ids become visible in their order, however the writers' transactions overlap" {
    # Two transactions: the second must wait for the first before it draws an id.
    py - <<'PY'
import subprocess, time
from chat import sql
first = subprocess.Popen(["psql", "-qXAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
first.stdin.write("begin; insert into messages (sender_id, receiver_id, content) values (1, 2, 'one') returning id;\n")
first.stdin.flush()
one = int(first.stdout.readline())
second = subprocess.Popen(["psql", "-qXAtc", "insert into messages (sender_id, receiver_id, content) values (2, 1, 'two') returning id"],
                          stdout=subprocess.PIPE, text=True)
end = time.monotonic() + 10
while sql("select count(*) from pg_locks where locktype = 'advisory' and not granted") == "0":
    assert time.monotonic() < end
assert sql("select count(*) from messages") == "0" and second.poll() is None
first.stdin.write("commit;\n")
first.stdin.close()
two = int(second.stdout.read())
assert two > one and first.wait() == 0 and second.wait() == 0
PY
    # Many at once: a reader that follows its cursor sees every one.
    py - <<'PY'
import subprocess, threading
from chat import sql
def write(n):
    subprocess.run(["psql", "-qX"], input="".join(
        f"insert into messages (sender_id, receiver_id, content) values ({1 + n % 3}, {1 + (n + 1) % 3}, 'm');\n"
        for _ in range(100)), text=True, check=True)
writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
seen, cursor = 0, int(sql("select max(id) from messages"))
for w in writers: w.start()
while True:
    alive = any(w.is_alive() for w in writers)
    ids = [int(i) for i in sql(f"select id from messages where id > {cursor} order by id").split()]
    seen += len(ids)
    if ids: cursor = ids[-1]
    elif not alive: break
assert seen == 400, seen
PY
}

@test "a message rings the hosts of its receiver and its sender, and no other" {
    q "insert into hosts (id, name) values (11, 'a'), (12, 'b'), (13, 'c')" \
        "insert into sessions (host_id, session_id, user_id) values (11, 1, 1), (12, 1, 2), (13, 1, 3)" >/dev/null
    is "$(q "listen chatd_11" "listen chatd_12" "listen chatd_13" \
        "insert into messages (sender_id, receiver_id, content) values (1, 2, 'x'), (2, 1, 'y')" |
        sed -n 's/.*notification "\([a-z0-9_]*\)" with payload "\([^"]*\)".*/\1 \2/p' | sort)" \
        $'chatd_11 e 2\nchatd_12 e 2'
}

@test "the frame of a message is exactly what the client sees" {
    q "insert into sessions (host_id, session_id, user_id) values (1, 1, 2)" \
        "insert into messages (sender_id, receiver_id, content, created_at)
         values (1, 2, E'a \"quote\"\n\\\\ \u00e9 \U0001f600', '2026-01-31 12:00:00.5+00')" >/dev/null
    local frame
    frame=$(q "select frame from chatd_api.event_read(1, 0, 10) where frame is not null")
    is "$frame" '{"type":"message","content":"a \"quote\"\n\\ é 😀","data":{"message_id":1,"sender_id":1,"sender":"ann","receiver_id":2,"created_at":"2026-01-31T12:00:00.500Z","cursor":"'"$(q "select tag from instance")"'-1"}}'
    jq -e . <<<"$frame" >/dev/null
}

@test "event_read: in order, for this host only, page by page, and past what is for others" {
    q "insert into sessions (host_id, session_id, user_id) values (1, 1, 2), (2, 1, 3)" \
        "insert into messages (sender_id, receiver_id, content, origin) select 1, 2 + i % 2, i, i from generate_series(1, 6) i" >/dev/null
    is "$(q "select cursor, user_ids, origin from chatd_api.event_read(1, 0, 10)")" \
        $'2 {2,1} 2\n4 {2,1} 4\n6 {2,1} 6\n6  '
    is "$(q "select cursor, user_ids, origin from chatd_api.event_read(2, 0, 2)")" $'1 {3,1} 1\n3 {3,1} 3'
    is "$(q "select cursor, user_ids, origin from chatd_api.event_read(2, 3, 2)")" $'5 {3,1} 5\n6  '
    is "$(q "select * from chatd_api.event_read(2, 6, 10)")" ""
    is "$(q "select cursor from chatd_api.event_read(99, 0, 10)")" 6
}

@test "event_read: to oneself, one recipient and no exception for the origin" {
    q "insert into sessions (host_id, session_id, user_id) values (1, 1, 1)" \
        "insert into messages (sender_id, receiver_id, content, origin) values (1, 1, 'x', 5)" >/dev/null
    is "$(q "select cursor, user_ids, origin is null from chatd_api.event_read(1, 0, 10) limit 1")" '1 {1} t'
}

@test "event_read_user: what was received and sent, within the bounds" {
    q "insert into messages (sender_id, receiver_id, content) values (1, 2, 'a'), (2, 1, 'b'), (2, 3, 'c'), (1, 1, 'd'), (3, 1, 'e')" >/dev/null
    is "$(q "select cursor from chatd_api.event_read_user(1, 0, 99, 10)" | xargs)" "1 2 4 5"
    is "$(q "select cursor from chatd_api.event_read_user(1, 1, 4, 10)" | xargs)" "2 4"
    is "$(q "select cursor from chatd_api.event_read_user(1, 0, 99, 2)" | xargs)" "1 2"
}

@test "session_open: the cursor is exactly what came before; an unknown user gets no row" {
    q "insert into hosts (id, name) values (1, 'a')" \
        "insert into messages (sender_id, receiver_id, content) values (1, 2, 'a'), (2, 1, 'b')" >/dev/null
    is "$(q "select session_id, known, cursor from chatd_api.session_open(1, '{10,11,12}', '{1,99,2}')")" \
        $'10 t 2\n11 f 2\n12 t 2'
    is "$(q "select session_id from sessions order by 1" | xargs)" "10 12"
    run q "select * from chatd_api.session_open(77, '{1}', '{1}')"
    [[ $status != 0 && $output == *"not attached"* ]]
}

@test "presence: only the first session and the last one flip, each flip rings every host" {
    q "insert into hosts (id, name) values (21, 'a'), (22, 'b')" >/dev/null
    local bells='s/.*notification "\([a-z0-9_]*\)" with payload "p [0-9]*".*/\1/p'
    is "$(q "listen chatd_21" "listen chatd_22" "select 1 from chatd_api.session_open(21, '{1}', '{1}')" | sed -n "$bells" | sort | xargs)" \
        "chatd_21 chatd_22"
    is "$(q "listen chatd_21" "select 1 from chatd_api.session_open(22, '{1}', '{1}')" | sed -n "$bells")" ""
    is "$(q "select user_id, online from chatd_api.presence_read(21, 0, 'all')")" "1 t"
    is "$(q "listen chatd_21" "select chatd_api.session_close(21, '{1}')" | sed -n "$bells")" ""
    is "$(q "listen chatd_21" "select chatd_api.session_close(22, '{1}')" | sed -n "$bells")" "chatd_21"
    is "$(q "select user_id, online from chatd_api.presence_read(21, 0, 'all')")" "1 f"
    is "$(q "select last_seen is not null from users where id = 1")" t
}

@test "presence_read: contacts are those who exchanged a message and are connected here" {
    q "insert into hosts (id, name) values (1, 'a'), (2, 'b')" \
        "insert into messages (sender_id, receiver_id, content) values (1, 2, 'x'), (3, 1, 'y')" \
        "select 1 from chatd_api.session_open(1, '{1,2}', '{1,2}')" \
        "select 1 from chatd_api.session_open(2, '{3}', '{3}')" >/dev/null
    is "$(q "select user_id, audience from chatd_api.presence_read(1, 0, 'contacts')")" $'1 {2}\n2 {1}\n3 {1}'
    is "$(q "select user_id, audience is null from chatd_api.presence_read(1, 0, 'all')")" $'1 t\n2 t\n3 t'
    is "$(q "select * from chatd_api.presence_read(1, 0, 'off')")" ""
}

@test "presence_check: who has no session is said to be gone, even after the tables were emptied" {
    q "insert into hosts (id, name) values (1, 'a')" \
        "select 1 from chatd_api.session_open(1, '{1}', '{2}')" >/dev/null
    is "$(q "select chatd_api.presence_check('{1,2,99}')" "select user_id, online from presence order by 1")" $'1\n1 f\n2 t'
}

@test "a host that is dead is swept with its sessions; one that lives is not" {
    py - <<'PY'
import subprocess
from chat import sql, eventually
def attach():
    p = subprocess.Popen(["psql", "-qXAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    p.stdin.write("select host_id from chatd_api.host_attach('test');\n"); p.stdin.flush()
    return p, int(p.stdout.readline())
one, first = attach()
two, second = attach()
assert second > first
sql(f"select 1 from chatd_api.session_open({first}, '{{1}}', '{{1}}')")
sql(f"select 1 from chatd_api.session_open({second}, '{{1}}', '{{2}}')")
assert sql(f"select chatd_api.host_sweep({second})") == "0"
one.kill(); one.wait()
eventually(lambda: sql(f"select chatd_api.host_sweep({second})") == "1")
assert sql("select user_id, online from presence order by 1") == "1|f\n2|t"
assert sql("select id from hosts") == str(second)
two.stdin.close(); two.wait()
PY
}

@test "message_history: the pair's last messages, oldest first, with bounds" {
    q "insert into messages (sender_id, receiver_id, content) select case when i % 2 = 0 then 1 else 2 end, case when i % 2 = 0 then 2 else 1 end, i from generate_series(1, 7) i" \
        "insert into messages (sender_id, receiver_id, content) values (1, 3, 'other'), (3, 2, 'other')" >/dev/null
    ids() {
        q "select history from chatd_api.message_history($1)" | jq -c '[.[].id]'
    }
    is "$(ids "1, 2, null, null, 50")" "[1,2,3,4,5,6,7]"
    is "$(ids "2, 1, null, null, 3")" "[5,6,7]"
    is "$(ids "1, 2, 5, null, 3")" "[2,3,4]"
    is "$(ids "1, 2, null, 2, 3")" "[3,4,5]"
    is "$(ids "1, 2, 6, 2, 2")" "[4,5]"
    is "$(ids "1, 1, null, null, 50")" "[]"
    is "$(q "select known, history is null from chatd_api.message_history(1, 99, null, null, 50)")" "f t"
    is "$(q "select history from chatd_api.message_history(1, 2, null, null, 1)" | jq -c '.[0] | keys_unsorted')" \
        '["id","sender_id","receiver_id","content","created_at"]'
}

@test "user_register: names and addresses are unique whatever their case, and no id is lost" {
    is "$(q "select status, user_id, user_json from chatd_api.user_register('Dan', 'dan@x.org', 'h')")" \
        'ok 4 {"id":4,"username":"Dan","email":"dan@x.org"}'
    is "$(q "select status from chatd_api.user_register('DAN', 'other@x.org', 'h')")" username_taken
    is "$(q "select status from chatd_api.user_register('other', 'DAN@x.org', 'h')")" email_taken
    is "$(q "select status from chatd_api.user_register('no way', 'a@x.org', 'h')")" invalid
    is "$(q "select user_id from chatd_api.user_register('eve', 'eve@x.org', 'h')")" 5
    is "$(q "select user_id, username, password_hash from chatd_api.user_credentials('dAN')")" "4 Dan h"
    is "$(q "select * from chatd_api.user_credentials('nobody')")" ""
}

@test "user_list: by id, with who is online, and nobody's email" {
    q "insert into hosts (id, name) values (1, 'a')" "select 1 from chatd_api.session_open(1, '{1}', '{2}')" >/dev/null
    local list
    list=$(q "select chatd_api.user_list()")
    is "$(jq -c '[.[] | [.id, .username, .online]]' <<<"$list")" '[[1,"ann",false],[2,"bob",true],[3,"cid",false]]'
    is "$(jq -c '[.[].last_seen | type]' <<<"$list")" '["null","string","null"]'
    [[ $list != *@* ]]
}
