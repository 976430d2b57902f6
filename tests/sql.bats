# The schema, its triggers and its functions, on a PostgreSQL of this file's own. Each test has
# a database that was migrated from nothing. "q" asks as the owner, "api" as the role of chatd.

setup_file() {
    root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    cluster=$root/tests/tools/cluster
    state=$(mktemp -d)
    export root cluster state
    "$cluster" start --fast "$state"
    while read -r line; do export "${line?}"; done < <("$cluster" env "$state")
    export PGOPTIONS='-c client_min_messages=warning'
}

teardown_file() {
    "$cluster" stop "$state"
    rm -rf "$state"
}

setup() {
    unset PGDATABASE
    psql -Xqc "create database t$BATS_TEST_NUMBER" -d postgres
    export PGDATABASE=t$BATS_TEST_NUMBER
    ROLE_PASSWORD="it's \\ secret" "$root/sql/migrate" --role chatd >"$BATS_TEST_TMPDIR/migrate"
    q "insert into users (username, email, password_hash)
       select n, n || '@example.com', 'hash' from unnest('{ann,bob,cid,dan}'::text[]) n"
}

teardown() {
    host_close 1
    host_close 2
    psql -Xqd postgres -c "alter system reset synchronous_standby_names" -c "select pg_reload_conf()" >/dev/null
    psql -Xqd postgres -c "drop database t$BATS_TEST_NUMBER with (force)"
}

q() {
    psql -XAtq -v ON_ERROR_STOP=1 -c "$1"
}

api() {
    PGPASSWORD="it's \\ secret" psql -XAtq -U chatd -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -c "$1"
}

# The listening connection of a broker: opens number 1 or 2, and asks it. What it was notified
# of comes out between its answers.
host_open() {
    local in=$BATS_TEST_TMPDIR/in$1 out=$BATS_TEST_TMPDIR/out$1 fd
    mkfifo "$in" "$out"
    PGPASSWORD="it's \\ secret" psql -XAtq -U chatd <"$in" >"$out" 2>&1 3>&- &
    host_pid[$1]=$!
    exec {fd}>"$in"
    host_in[$1]=$fd
    exec {fd}<"$out"
    host_out[$1]=$fd
    host_ask "$1" "select host_id from chatd_api.host_attach('host $1', 0, 0)"
}

host_ask() {
    local line
    echo "$2; select 'that is all';" >&"${host_in[$1]}"
    while read -r -t 10 line <&"${host_out[$1]}"; do
        [[ $line != 'that is all' ]] || return 0
        echo "$line"
    done
    return 1
}

# The payloads that came to a host since it was last asked.
host_bells() {
    host_ask "$1" "select 1 where false" | sed -n 's/.*with payload "\([^"]*\)".*/\1/p'
}

host_close() {
    [[ ${host_pid[$1]:-} ]] || return 0
    local in=${host_in[$1]} out=${host_out[$1]}
    # Said in words: end of file would not come while another child has a copy of the pipe.
    echo '\q' >&"$in"
    exec {in}>&- {out}<&-
    wait "${host_pid[$1]}" || true
    unset "host_pid[$1]"
}

# session_open without cursors: session_open HOST SESSIONS USERS, and what to select.
session_open() {
    api "select ${4:-} from chatd_api.session_open($1, '{$2}', '{$3}', array_fill(-1, array[cardinality('{$2}'::int[])]), array_fill(0, array[cardinality('{$2}'::int[])]))"
}

equal() {
    [[ $1 == "$2" ]] || {
        printf 'got:    %s\nwanted: %s\n' "$1" "$2"
        return 1
    }
}

# Migrations ------------------------------------------------------------------------------------

@test "migrate: a second run changes nothing, and --status says so" {
    equal "$(head -n 1 "$BATS_TEST_TMPDIR/migrate")" "0001_users.sql applied"
    equal "$("$root/sql/migrate" --role chatd)" "up to date at $(cd "$root/sql" && printf '%s\n' 0*.sql | tail -n 1)"
    "$root/sql/migrate" --status | grep '0004_api.sql applied'
    equal "$(api 'select newest from chatd_api.schema_range()')" "$(printf '%s\n' "$root"/sql/0*.sql | wc -l)"
}

@test "migrate: refuses a changed file, a newer database and a gap in the numbers" {
    cp -r "$root/sql" "$BATS_TEST_TMPDIR/sql"
    copy=$BATS_TEST_TMPDIR/sql
    echo '-- changed' >>"$copy/0002_presence.sql"
    run "$copy/migrate"
    [[ $status != 0 && $output == *'0002_presence.sql is not what was applied'* ]]
    run "$copy/migrate" --status
    [[ $status == 1 && $output == *'0002_presence.sql changed'* ]]
    cp "$root/sql/0002_presence.sql" "$copy"
    local last number
    last=$(cd "$copy" && printf '%s\n' 0*.sql | tail -n 1)
    number=$((10#${last%%_*}))
    mv "$copy/$last" "$copy/9999_last.sql"
    run "$copy/migrate"
    [[ $status != 0 && $output == *"should have number $number"* ]]
    rm "$copy/9999_last.sql"
    q "update schema_version set compatible_from = number where number = $number"
    run "$copy/migrate"
    [[ $status != 0 && $output == *"the database has migration $last"* ]]
}

# The copy of the migrations gets another one, COMPATIBLE-FROM as its line says (none without one) and
# with these STATEMENTS. Sets "copy", "last", the last number before it, and "next", its name.
another() {
    copy=$BATS_TEST_TMPDIR/sql
    [[ -e $copy ]] || cp -r "$root/sql" "$copy"
    last=$(printf '%s\n' "$root"/sql/0*.sql | wc -l)
    printf -v next '%04d_next.sql' $((last + 1))
    printf '%s\n' '-- Next.' ${1:+"-- compatible-from: $1"} "$2" >"$copy/$next"
}

# While this lasts, a connection is there that looks like that of a broker of this VERSION (-: it does
# not say which): as_broker VERSION COMMAND…
as_broker() {
    local version=$1 said="'here'"
    shift
    [[ $version == - ]] || said="pg_try_advisory_lock_shared(1667789686, $version)"
    local in=$BATS_TEST_TMPDIR/broker.in out=$BATS_TEST_TMPDIR/broker.out fd status=0 pid
    mkfifo "$in" "$out"
    PGAPPNAME='chatd writer' psql -XAtq <"$in" >"$out" 3>&- &
    pid=$!
    exec {fd}>"$in"
    echo "select $said;" >&"$fd"
    read -r <"$out"
    "$@" || status=$?
    echo '\q' >&"$fd"
    exec {fd}>&-
    wait "$pid"
    rm "$in" "$out"
    return "$status"
}

@test "migrate: a file that fails leaves nothing of itself" {
    another 29 'create table chatd.half (); select 1/0;'
    run "$copy/migrate"
    [[ $status != 0 && $output == *"$next:3: ERROR:  division by zero"* ]]
    equal "$(q "select to_regclass('chatd.half') is null, max(number) from schema_version")" "t|$last"
}

@test "migrate: a file has to say which programs may use what it makes" {
    for said in '' 27 $(($(printf '%s\n' "$root"/sql/0*.sql | wc -l) + 2)) x; do
        another "$said" 'create table chatd.half ();'
        for how in '' --status; do
            run "$copy/migrate" $how
            [[ $status == 1 && $output == *"$next "*compatible-from* ]]
        done
    done
    equal "$(q "select to_regclass('chatd.half') is null")" t
}

@test "migrate: chatd runs on beside what only adds, and must be stopped for all else; both is said before" {
    another "$((last = $(printf '%s\n' "$root"/sql/0*.sql | wc -l)))" 'create function chatd_api.added() returns int language sql as $$ select 7 $$;'
    run "$copy/migrate" --status
    [[ $status == 1 && ${lines[0]} == "chatd may run on: programs from schema version $last on can use the new schema" ]]
    [[ $output == *"$next missing" ]]
    run as_broker "$last" "$copy/migrate"
    [[ $status == 0 && ${lines[0]} == "chatd may run on"* && $output == *"$next applied"*"up to date at $next" ]]
    equal "$(api "select * from chatd_api.schema_range()")" "$last|$((last + 1))"
    # The role has its rights already, and need not be named again; nobody else has any.
    equal "$(api 'select chatd_api.added()'), $(q "select proacl::text ~ '[{,]=' from pg_proc where proname = 'added'")" "7, f"
    # The files of the version before, whose program can use it.
    run "$root/sql/migrate" --status
    [[ $status == 0 && $output == *"$next is newer than these files, whose programs can use it" ]]
    equal "$("$root/sql/migrate" --role chatd)" "up to date at $next"

    q "drop function chatd_api.added(); delete from schema_version where number > $last"
    another "$((last + 1))" 'create table chatd.other ();'
    run as_broker "$last" "$copy/migrate" --status
    [[ $status == 1 && ${lines[0]} == "chatd must be stopped first, on every host: programs before schema version $((last + 1)) cannot use the new schema; it has 1 connections" ]]
    run as_broker "$last" "$copy/migrate"
    [[ $status == 1 && $output == *"chatd has 1 connections to this database"*"stop it on every host"* ]]
    equal "$(q "select to_regclass('other') is null, max(number) from schema_version")" "t|$last"
    run "$copy/migrate"
    [[ $status == 0 && ${lines[0]} == "chatd must be stopped first, on every host: programs before schema version $((last + 1)) cannot use the new schema" ]]
    run "$root/sql/migrate" --status
    [[ $status == 1 && $output == *"$next unknown here"* ]]
    run "$root/sql/migrate"
    [[ $status == 1 && $output == *"the database has migration $next"* ]]
}

@test "migrate: steps that each only add are one that does not, for a program from before the first" {
    another "$(printf '%s\n' "$root"/sql/0*.sql | wc -l)" ''
    printf -v second '%04d_second.sql' $((last + 2))
    echo "-- compatible-from: $((last + 1))" >"$copy/$second"
    run as_broker "$last" "$copy/migrate"
    [[ $status == 1 && $output == *"programs before schema version $((last + 1)) cannot"* ]]
    mv "$copy/$second" "$BATS_TEST_TMPDIR"
    "$copy/migrate"
    mv "$BATS_TEST_TMPDIR/$second" "$copy"
    # One of before has stayed behind: a host that was forgotten, or a master that retires.
    for behind in - "$last"; do
        run as_broker "$behind" "$copy/migrate" --status
        [[ $status == 1 && ${lines[0]} == "chatd must be stopped first, where it is older: programs before schema version $((last + 1)) cannot use the new schema; it has 1 connections" ]]
        run as_broker "$behind" "$copy/migrate"
        [[ $status == 1 && $output == *"chatd has 1 connections"*"stop it where it is older"* ]]
    done
    equal "$(api "select * from chatd_api.schema_range()")" "$last|$((last + 1))"
    as_broker $((last + 1)) "$copy/migrate"
    equal "$(api "select * from chatd_api.schema_range()")" "$((last + 1))|$((last + 2))"
}

# Until so many wait for a lock of messages.
waiting() {
    local end=$((SECONDS + 15))
    until [[ $(q "select count(*) from pg_locks where relation = 'messages'::regclass and not granted") == "$1" ]]; do
        ((SECONDS < end))
    done
}

@test "migrate: what chatd runs beside does not make clients wait behind its lock, but waits itself" {
    another 29 'alter table chatd.users add column added int; alter table chatd.messages add column added int;'
    local in=$BATS_TEST_TMPDIR/in out=$BATS_TEST_TMPDIR/out fd
    mkfifo "$in" "$out"
    psql -XAtq <"$in" >"$out" 3>&- &
    exec {fd}>"$in"
    echo "begin; lock table chatd.messages in access share mode; select 'locked';" >&"$fd"
    read -r <"$out"
    "$copy/migrate" >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- {fd}>&- &
    # It has tried, and what it had got is free again: whoever asks for it need not wait for the lock that is held.
    waiting 1
    waiting 0
    q "set lock_timeout = '5s'; insert into messages (sender_id, receiver_id, content) values (1, 2, 'through')"
    kill -0 $!
    echo 'commit; \q' >&"$fd"
    exec {fd}>&-
    wait $!
    cat "$BATS_TEST_TMPDIR/said"
    grep -x "$next applied" "$BATS_TEST_TMPDIR/said"
    equal "$(grep -c 'ERROR' "$BATS_TEST_TMPDIR/said" || true)" 0
    equal "$(q "select count(added), count(*) from messages")" '0|1'
}

@test "migrate: programs from before there was a range see their number as long as they may use the schema" {
    equal "$(q "select number, compatible_from from schema_version where number in (1, 28, 29) order by 1" | xargs)" '1|1 28|28 29|28'
    equal "$(api "select chatd_api.schema_version()")" 28
    q "update schema_version set compatible_from = 29 where number = (select max(number) from schema_version)"
    equal "$(api "select chatd_api.schema_version() = newest from chatd_api.schema_range()")" t
}

@test "migrate: two at once on an empty database both succeed" {
    psql -Xqd postgres -c "create database twice$BATS_TEST_NUMBER"
    PGDATABASE=twice$BATS_TEST_NUMBER "$root/sql/migrate" --role chatd >"$BATS_TEST_TMPDIR/a" 3>&- &
    PGDATABASE=twice$BATS_TEST_NUMBER "$root/sql/migrate" --role chatd >"$BATS_TEST_TMPDIR/b"
    wait $!
    equal "$(cat "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b" | grep -c '^0001_users.sql applied')" 1
}

@test "migrate: says what to do when it may not make the role" {
    q "create role owner$BATS_TEST_NUMBER login password 'x'"
    psql -Xqd postgres -c "create database owned$BATS_TEST_NUMBER owner owner$BATS_TEST_NUMBER"
    PGPASSWORD=x run "$root/sql/migrate" --role nobody_made_me -U "owner$BATS_TEST_NUMBER" -d "owned$BATS_TEST_NUMBER"
    [[ $status != 0 && $output == *'create role "nobody_made_me" login password'* ]]
    q "create role made_before$BATS_TEST_NUMBER login"
    PGPASSWORD=x "$root/sql/migrate" --role "made_before$BATS_TEST_NUMBER" -U "owner$BATS_TEST_NUMBER" -d "owned$BATS_TEST_NUMBER"
}

@test "migrate: from every earlier number that had messages, clients see the same, and their cursors count" {
    # What is stored is older than any column that came later.
    local made="insert into users (username, email, password_hash)
        select n, n || '@example.com', 'hash' from unnest('{eve,fay,gil}'::text[]) n;
        insert into messages (sender_id, receiver_id, client_id, created_at, content)
        select 1 + n % 3, 1 + n / 3 % 3, n, timestamptz '2026-01-02 03:04:05.678901Z' + n * interval '1 ms', 'text ' || n
          from generate_series(1, 200) n"
    local seen="select u.id, o.id, chatd_api.message_history(u.id, o.id, null, 20, 30) from users u, users o order by 1, 2;
        select u.id, e.cursor, e.stamp, e.user_ids, replace(e.frame, i.tag, 'tag')
          from instance i, users u, lateral chatd_api.event_read_user(u.id, 100, 200, 50) e order by 1, 2, 3;
        select change, chatd_api.cursor_honoured(change, stamp)
          from (values (100, 5778901), (100, 5778902), (200, 5878901), (201, 0)) c (change, stamp) order by 1, 2;
        select user_id, contact_id, (select count(*) from messages m where m.conversation_id = c.conversation_id)
          from contacts c order by 1, 2;
        select u.id, chatd_api.conversation_list(u.id, 'off', 9223372036854775807, 50) from users u order by 1"
    # The numbers of conversations are given out in another order, and one that is made now begins now.
    local file wanted= got
    mkdir "$BATS_TEST_TMPDIR/sql"
    cp "$root/sql/migrate" "$BATS_TEST_TMPDIR/sql"
    for file in "$root"/sql/0*.sql; do
        cp "$file" "$BATS_TEST_TMPDIR/sql"
        [[ $(basename "$file") > 0003 ]] || continue
        psql -Xqd postgres -c "create database m$BATS_TEST_NUMBER"
        local PGDATABASE=m$BATS_TEST_NUMBER
        "$BATS_TEST_TMPDIR/sql/migrate" >"$BATS_TEST_TMPDIR/migrate"
        q "set search_path = chatd, pg_temp; $made"
        "$root/sql/migrate" >"$BATS_TEST_TMPDIR/migrate"
        got=$(q "set search_path = chatd, pg_temp; $seen" | sed 's/\("*conversation_id"*:\|{"id":\)[0-9]*\(,"kind"[^T]*[^"]*\)*/\1N/g')
        [[ $wanted ]] || wanted=$got
        diff <(echo "$wanted") <(echo "$got")
        psql -Xqd postgres -c "drop database m$BATS_TEST_NUMBER"
    done
    # The last of them was made after all migrations; other tests compare what that gives with what was sent.
    [[ $wanted == *'text 150'* && $wanted == *'100|t'* && $wanted == *'100|f'* && $wanted == *'201|f'* ]]
}

@test "sql/schema.sql is what the migrations make (tests/tools/schema renews it)" {
    diff "$root/sql/schema.sql" <("$root/tests/tools/schema")
}

# Rights ----------------------------------------------------------------------------------------

@test "rights: the role of chatd has none on any table or sequence, nor anybody" {
    equal "$(q "select c.oid::regclass from pg_class c join pg_namespace n on n.oid = relnamespace, (values ('chatd'), ('public')) r (name)
                 where nspname ~ '^chatd' and relkind in ('r', 'S', 'v')
                   and case when r.name = 'public' then relacl::text ~ '[{,]=' when relkind = 'S'
                            then has_sequence_privilege(r.name, c.oid, 'usage, select, update')
                            else has_table_privilege(r.name, c.oid, 'select, insert, update, delete, truncate, references, trigger') end")" ""
    run api 'select * from chatd.users'
    [[ $status != 0 && $output == *42501* ]]
    run api "insert into chatd.messages (sender_id, receiver_id, content) values (1, 2, 'x')"
    [[ $status != 0 && $output == *42501* ]]
}

@test "rights: the role of chatd can create nothing anywhere" {
    for statement in 'create table public.t ()' 'create table chatd.t ()' 'create table chatd_api.t ()' \
        'create temp table t ()' 'create schema s' "create role r" \
        'create function public.f() returns int language sql as $$ select 1 $$'; do
        run api "$statement"
        [[ $status != 0 && $output == *42501* ]]
    done
}

@test "rights: functions are for that role, all of the API and no other; each fixes its search_path" {
    equal "$(q "select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = pronamespace
                 where nspname = 'chatd_api' and not (has_function_privilege('chatd', p.oid, 'execute')
                       and prosecdef and proconfig[1] = 'search_path=chatd, pg_temp')
                    or nspname = 'chatd' and has_function_privilege('chatd', p.oid, 'execute')")" ""
    q "create role stranger$BATS_TEST_NUMBER login"
    equal "$(q "select has_schema_privilege('stranger$BATS_TEST_NUMBER', 'chatd_api', 'usage'),
                       has_database_privilege('stranger$BATS_TEST_NUMBER', current_database(), 'connect'),
                       has_function_privilege('stranger$BATS_TEST_NUMBER', 'chatd_api.schema_version()', 'execute')")" "f|f|f"
}

# Users -----------------------------------------------------------------------------------------

@test "user_register: tells taken names and addresses, whatever the case, and burns no ids" {
    equal "$(api "select * from chatd_api.user_register('ANN', 'new@example.com', 'h')")" 'username_taken|||'
    equal "$(api "select * from chatd_api.user_register('eve', 'Ann@Example.com', 'h')")" 'email_taken|||'
    for bad in "'', 'e@x', 'h'" "'a b', 'e@x', 'h'" "repeat('x', 33), 'e@x', 'h'" "'eve', repeat('x', 255), 'h'" \
        "null, 'e@x', 'h'" "'eve', '', 'h'" "'eve', 'e@x', null"; do
        equal "$(api "select * from chatd_api.user_register($bad)")" 'invalid|||'
    done
    equal "$(api "select status, user_id, user_json from chatd_api.user_register('eve', 'e\"e@x', 'h')")" \
        'ok|5|{"id":5,"username":"eve","email":"e\"e@x"}'
}

@test "user_available: says the same, and looks in the indexes only" {
    equal "$(api "select chatd_api.user_available('ANN', 'new@example.com')")" username_taken
    equal "$(api "select chatd_api.user_available('eve', 'Ann@Example.com')")" email_taken
    for bad in "'', 'e@x'" "'a b', 'e@x'" "repeat('x', 33), 'e@x'" "'eve', repeat('x', 255)" "null, 'e@x'" \
        "'eve', ''" "'eve', null"; do
        equal "$(api "select chatd_api.user_available($bad)")" invalid
    done
    local scans="select seq_scan from pg_stat_user_tables where relid = 'users'::regclass" before
    before=$(q "$scans")
    equal "$(api "select distinct chatd_api.user_available('eve' || n, n || '@x') from generate_series(1, 20) n")" ok
    equal "$(q "$scans")" "$before"
}

# DATABASE AND HOW IT IS CREATED: migrated, as far as "migrate" has "$@" behind it.
other_database() {
    psql -Xqd postgres -c "create database $1 template template0 $2"
}

@test "migrate: refuses a database that is not UTF8, and changes nothing in it" {
    for encoding in LATIN1 SQL_ASCII; do
        other_database "e$BATS_TEST_NUMBER" "encoding '$encoding' locale 'C'"
        PGDATABASE=e$BATS_TEST_NUMBER run "$root/sql/migrate"
        [[ $status != 0 && $output == *"has encoding $encoding, chatd needs UTF8"*'create database'* ]]
        equal "$(PGDATABASE=e$BATS_TEST_NUMBER q "select to_regnamespace('chatd') is null")" t
        psql -Xqd postgres -c "drop database e$BATS_TEST_NUMBER"
    done
}

@test "names and addresses differ only in case by one rule, whatever the locale of the database" {
    for how in "locale 'C'" "locale 'C.UTF-8'" "locale_provider icu icu_locale 'tr' locale 'C.UTF-8'"; do
        other_database "l$BATS_TEST_NUMBER" "encoding 'UTF8' $how"
        local PGDATABASE=l$BATS_TEST_NUMBER
        "$root/sql/migrate" --role chatd >"$BATS_TEST_TMPDIR/migrate"
        equal "$(api "select status from chatd_api.user_register('ISMAIL', 'INFO@X', 'h')")" ok
        equal "$(api "select status from chatd_api.user_register('ismail', 'y@x', 'h')")" username_taken
        equal "$(api "select status from chatd_api.user_register('y', 'info@x', 'h')")" email_taken
        equal "$(api "select username from chatd_api.user_credentials('ismail', 14)")" ISMAIL
        q "select user_disable('Ismail')"
        equal "$(api "select status from chatd_api.user_register('y', 'É@x', 'h')")" ok
        equal "$(api "select status from chatd_api.user_register('z', 'é@x', 'h')")" ok
        equal "$(api "select status from chatd_api.user_register('w', 'É@X', 'h')")" email_taken
        psql -Xqd postgres -c "drop database l$BATS_TEST_NUMBER with (force)"
    done
}

@test "migrate: names that two users have by the new rule are named, with the remedy" {
    other_database "l$BATS_TEST_NUMBER" "encoding 'UTF8' locale_provider icu icu_locale 'tr' locale 'C.UTF-8'"
    local PGDATABASE=l$BATS_TEST_NUMBER
    cp -r "$root/sql" "$BATS_TEST_TMPDIR/sql"
    for file in "$BATS_TEST_TMPDIR"/sql/0*.sql; do
        [[ $file < $BATS_TEST_TMPDIR/sql/$(basename "$root"/sql/*_case.sql) ]] || rm "$file"
    done
    "$BATS_TEST_TMPDIR/sql/migrate" >"$BATS_TEST_TMPDIR/migrate"
    q "insert into users (username, email, password_hash) values ('ISMAIL', 'a', 'h'), ('x', 'b', 'h'), ('ismail', 'c', 'h')"
    run "$root/sql/migrate"
    [[ $status != 0 && $output == *'1 ISMAIL and 3 ismail. Rename one'* ]]
    q "update users set username = 'ismail2' where id = 3"
    "$root/sql/migrate"
    psql -Xqd postgres -c "drop database l$BATS_TEST_NUMBER with (force)"
}

@test "a message, and a revocation, have a time with an end" {
    run q "insert into messages (sender_id, receiver_id, content, created_at) values (1, 2, 'x', 'infinity')"
    [[ $status != 0 && $output == *messages_content_created_at_check* ]]
    run q "update users set revoked_at = '-infinity' where id = 1"
    [[ $status != 0 && $output == *users_revoked_at_check* ]]
}

@test "user_register: of many at once with one name, one wins and the others are told" {
    for i in 1 2 3 4 5 6; do
        api "select status from chatd_api.user_register('eve', 'eve$i@x', 'h')" >>"$BATS_TEST_TMPDIR/eve" 3>&- &
        pids+=" $!"
    done
    wait $pids
    equal "$(sort "$BATS_TEST_TMPDIR/eve" | uniq -c | awk '{print $1 $2}' | xargs)" "1ok 5username_taken"
}

@test "user_credentials: finds a name whatever its case, and nobody for nobody" {
    equal "$(api "select * from chatd_api.user_credentials('ANN', 14)")" \
        "|1|ann|hash|{\"id\":1,\"username\":\"ann\",\"email\":\"ann@example.com\"}|$(generation 1)|f"
    equal "$(api "select * from chatd_api.user_credentials('nobody', 14)")" "||||||"
    equal "$(api "select username, password_hash from chatd_api.user_credentials(2)")" 'bob|hash'
    equal "$(api "select * from chatd_api.user_credentials(5)")" ""
}

@test "user_credentials: tells the highest cost of the hashes that are stored, up to the one that is asked for" {
    q "update users set password_hash = '\$2' || (array['b\$10', 'y\$12', 'a\$31', 'x\$14'])[id] || '\$' || repeat('.', 53) where id < 5"
    for row in '9 ' '10 10' '11 10' '12 12' '14 12' '31 31'; do
        for name in ann nobody; do
            equal "$(api "select dearest from chatd_api.user_credentials('$name', ${row% *})")" "${row#* }"
        done
    done
}

# Revocations -----------------------------------------------------------------------------------

generation() {
    q "select token_generation from users where id = $1"
}

# What a host reads after a number, without generations and times.
revocations() {
    api "select revocation, user_id, disabled from chatd_api.revocation_read($1, ${2:-100})" | xargs
}

@test "disabling, enabling, another password and logging out raise the generation, each once" {
    local before last
    equal "$(revocations 0)" ""
    before=$(generation 1)
    q "update users set disabled = true where username = 'ann'"
    equal "$(revocations 0)" "1|1|t"
    last=$(generation 1)
    ((last > before))
    q "select user_enable('ANN')"
    (($(generation 1) > last))
    before=$(generation 2)
    q "update users set password_hash = 'other' where id = 2"
    (($(generation 2) > before))
    before=$(generation 3)
    q "select user_logout('cid')"
    (($(generation 3) > before))
    equal "$(revocations 0)" "2|1|f 3|2|f 4|3|f"
    equal "$(revocations 2)" "3|2|f 4|3|f"
    equal "$(revocations 2 1)" "3|2|f"
    equal "$(api "select generation from chatd_api.revocation_read(3, 1)")" "$(generation 3)"
    # What changes nothing, or something else, is none; nor can a generation go back.
    q "update users set disabled = false, password_hash = 'other', token_generation = token_generation where id = 2"
    q "update users set email = username || '@b', last_seen = now(); select user_enable('dan')"
    equal "$(revocations 4)" ""
    last=$(generation 1)
    q "update users set token_generation = 0 where id = 1"
    equal "$(revocations 4)" "5|1|f"
    (($(generation 1) > last))
    last=$(generation 1)
    q "update users set token_generation = token_generation + 9 where id = 1"
    equal "$(revocations 5)" "6|1|f"
    (($(generation 1) > last + 9))
    last=$(generation 4)
    q "delete from users where id = 4"
    equal "$(revocations 6)" "7|4|f"
    (($(api "select generation from chatd_api.revocation_read(6, 1)") > last))
    equal "$(revocations 0)" "3|2|f 4|3|f 6|1|f 7|4|f"
    equal "$(revocations 0 2)" "3|2|f 4|3|f"
    run q "select user_disable('eve')"
    [[ $status != 0 && $output == *'there is no user "eve"'* ]]
}

@test "a number that comes again brings no generation that somebody had, nor an earlier one" {
    local had last
    host_open 1 >/dev/null
    equal "$(q "select count(distinct token_generation) from users")" 4
    had=$(generation 4)
    q "delete from users where id = 4"
    last=$(api "select generation from chatd_api.revocation_read(0, 9)")
    ((last > had))
    equal "$(host_bells 1)" "r"
    q "select setval(pg_get_serial_sequence('users', 'id'), 3)"
    equal "$(api "select status, user_id from chatd_api.user_register('eve', 'e@x', 'h')")" "ok|4"
    (($(generation 4) > last))
    equal "$(host_bells 1)" "r"
    equal "$(revocations 0)" "2|4|f"
    equal "$(api "select * from chatd_api.user_standing(4)")" \
        "$(api "select generation, disabled, revoked from chatd_api.revocation_read(0, 9)")"
    equal "$(q "select count(*) from removed_users")" 0
}

@test "user_rehash: another hash of the same password is no new password, and comes only in place of the old one" {
    local before
    host_open 1 >/dev/null
    before=$(generation 1)
    api "select chatd_api.user_rehash(1, 'other', 'new')"
    equal "$(q "select password_hash, rehashes from users where id = 1")" "hash|0"
    api "select chatd_api.user_rehash(1, 'hash', 'new')"
    equal "$(q "select password_hash, rehashes from users where id = 1")" "new|1"
    equal "$(generation 1) $(revocations 0)" "$before "
    # Who has compared the password before, and changes it now, has compared the right one.
    equal "$(api "select count(*) from chatd_api.user_password(1, $before, 'other')")" 1
    (($(generation 1) > before))
    api "select chatd_api.user_rehash(1, 'new', 'newer')"
    equal "$(q "select password_hash, rehashes from users where id = 1")" "other|1"
}

@test "a revocation rings every host once, whoever is connected; what is none rings nobody" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    q "update users set last_seen = now(), email = username where id = 1"
    equal "$(host_bells 1)" ""
    q "update users set disabled = true"
    equal "$(host_bells 1) $(host_bells 2)" "r r"
    q "select user_enable('ann'), user_logout('bob')"
    equal "$(host_bells 1)" "r"
    q "delete from users where id = 4"
    equal "$(host_bells 1)" "r"
    # Of a user who is disabled the password stays.
    api "select chatd_api.user_logout(1); select from chatd_api.user_password(2, $(generation 2), 'new')" >/dev/null
    equal "$(host_bells 1)" "r"
    equal "$(q "select password_hash from users where id in (1, 2)" | xargs)" "hash hash"
}

@test "user_password: only the password that was compared is replaced; the answer is what tokens have to be" {
    local before
    before=$(generation 1)
    equal "$(api "select * from chatd_api.user_password(1, $before - 1, 'new')")" ""
    equal "$(api "select * from chatd_api.user_password(9, $before, 'new')")" ""
    equal "$(api "select * from chatd_api.user_password(1, $before, 'new')")" "$(api "select * from chatd_api.user_standing(1)")"
    equal "$(api "select * from chatd_api.user_password(1, $before, 'newer')")" ""
    equal "$(api "select * from chatd_api.user_standing(1)" | cut -d '|' -f 1,2)" "$(generation 1)|f"
    equal "$(q "select password_hash, revoked_at > now() - interval '1 minute', revoked_at <= now() from users where id = 1")" "new|t|t"
    equal "$(api "select revoked from chatd_api.user_standing(1)")" "$(q "select floor(extract(epoch from revoked_at)) from users where id = 1")"
    equal "$(api "select * from chatd_api.user_logout(1)")" "$(api "select * from chatd_api.user_standing(1)")"
    equal "$(api "select * from chatd_api.user_standing(2)")" \
        "$(q "select token_generation, 'f', floor(extract(epoch from created_at)) - 60 from users where id = 2")"
    equal "$(api "select * from chatd_api.user_standing(9)")" ""
    equal "$(api "select * from chatd_api.user_logout(9)")" ""
}

@test "revocations get their numbers in the order in which they become visible, and a first reading waits" {
    # A change that is under way, and is not committed before somebody waits for it.
    local fifo=$BATS_TEST_TMPDIR/fifo line
    mkfifo "$fifo"
    psql -XAtq -v ON_ERROR_STOP=1 <"$fifo" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    exec {fd}>"$fifo"
    echo "begin; select user_disable('ann');" >&"$fd"
    waits() {
        timeout 20 bash -c "until [[ \$(psql -XAtqc \"select count(*) from pg_locks where relation = 'chatd.change_lock'::regclass and not granted\") == $1 ]]; do sleep 0.05; done"
    }
    timeout 20 bash -c "until [[ \$(psql -XAtqc \"select count(*) from pg_locks where relation = 'chatd.change_lock'::regclass and granted\") == 1 ]]; do sleep 0.05; done"
    equal "$(revocations 1)" ""
    revocations 0 >"$BATS_TEST_TMPDIR/first" 3>&- &
    waits 1
    q "select user_disable('bob')" 3>&- &
    waits 2
    echo "commit;" >&"$fd"
    exec {fd}>&-
    wait
    grep -q '^1|1|t' "$BATS_TEST_TMPDIR/first"
    equal "$(revocations 0)" "1|1|t 2|2|t"
}

@test "user_me: the user's own account; null for nobody" {
    equal "$(api "select regexp_replace(chatd_api.user_me(2), '20[^\"]*Z', 'then')")" \
        '{"id":2,"username":"bob","display_name":null,"email":"bob@example.com","created_at":"then"}'
    q "update users set display_name = 'B. \"ob\"' where id = 2"
    equal "$(api "select chatd_api.user_me(2)" | jq -r .display_name)" 'B. "ob"'
    equal "$(api "select chatd_api.user_me(99) is null")" t
}

@test "user_change: what is null stays; an empty display name is none; of others nothing changes" {
    # changed ID NAME EMAIL: the status, and what the account is then
    changed() {
        api "select status, me from chatd_api.user_change($1, $2, $3, $(generation "$1"))" >"$BATS_TEST_TMPDIR/changed"
        echo "$(sed 's/|.*//' "$BATS_TEST_TMPDIR/changed")" \
            "$(sed 's/[^|]*|//' "$BATS_TEST_TMPDIR/changed" | jq -r '"\(.id) \(.display_name) \(.email)"')"
    }
    local others="select md5(string_agg(u::text, ',' order by id)) from users u where id <> 2" before
    before=$(q "$others")
    equal "$(changed 2 "'Bob'" null)" "ok 2 Bob bob@example.com"
    equal "$(changed 2 null "'b@x'")" "ok 2 Bob b@x"
    equal "$(changed 2 "''" "'B@X'")" "ok 2 null B@X"
    equal "$(changed 2 "'Bob'" "'Ann@Example.com'")" "email_taken "
    equal "$(changed 2 null null)" "ok 2 null B@X"
    equal "$(q "$others")" "$before"
    # Neither voids a token.
    equal "$(q "select count(*) from users where revoked_at is not null")" 0
}

@test "user_change: an address takes the generation that the password was compared at; who is gone or disabled changes nothing" {
    for stale in null 0 "$(($(generation 2) + 1))"; do
        equal "$(api "select * from chatd_api.user_change(2, 'x', 'b@x', $stale)")" "stale|"
    done
    equal "$(api "select status from chatd_api.user_change(2, 'x', null, null)")" ok
    equal "$(api "select * from chatd_api.user_change(99, 'x', null, null)")" "gone|"
    q "update users set disabled = true where id = 2"
    equal "$(api "select * from chatd_api.user_change(2, 'y', null, null)")" "gone|"
    equal "$(api "select * from chatd_api.user_change(2, null, 'b@x', $(generation 2))")" "gone|"
    equal "$(q "select display_name, email from users where id = 2")" "x|bob@example.com"
}

@test "user_change: a display name has 1 to 64 characters and stays within its line; an address has 1 to 254 bytes" {
    for bad in "repeat('é', 65)" "' '" "' a'" "'a '" "E'a\\nb'" "E'\\x01'" "E'\\x7f'" "E'\\u0085'" "E'\\u2028'" \
        "E'a\\u202eb'" "E'\\u2066a'"; do
        equal "$(api "select * from chatd_api.user_change(2, $bad, null, null)")" "invalid|"
        run q "update users set display_name = $bad where id = 2"
        [[ $status != 0 && $output == *users_display_name_check* ]]
    done
    run q "update users set display_name = '' where id = 2"
    [[ $status != 0 && $output == *users_display_name_check* ]]
    for good in "repeat('👍', 64)" "'a b'" "'.'" "'日本語'" "E'a\\u200db'" "'\"\\'" "E'\\u202f'"; do
        equal "$(api "select status, me::jsonb ->> 'display_name' = $good from chatd_api.user_change(2, $good, null, null)")" "ok|t"
    done
    for bad in "''" "repeat('x', 255)"; do
        equal "$(api "select * from chatd_api.user_change(2, 'x', $bad, $(generation 2))")" "invalid|"
    done
}

@test "user_change: of two at once who want one address, the first gets it and the other is told" {
    host_open 1 >/dev/null
    equal "$(host_ask 1 "begin; select status from chatd_api.user_change(1, null, 'one@x', $(generation 1))")" ok
    api "select status from chatd_api.user_change(2, 'Bob', 'ONE@x', $(generation 2))" >"$BATS_TEST_TMPDIR/second" 3>&- &
    until [[ $(q "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'") == 1 ]]; do
        sleep 0.05
    done
    host_ask 1 commit
    wait $!
    equal "$(<"$BATS_TEST_TMPDIR/second")" email_taken
    equal "$(q "select display_name is null, email from users where id = 2")" "t|bob@example.com"
}

@test "user_list: has the display names of those who have one, in pages and among names, too" {
    q "update users set display_name = 'A \"n\" n' where id = 1"
    for how in "0, 100, ''" "0, 1, ''" "0, 10, 'an'"; do
        equal "$(api "select users from chatd_api.user_list(2, 'off', $how)" | jq -c '.[0] | [.username, .display_name]')" \
            '["ann","A \"n\" n"]'
    done
    equal "$(api "select users from chatd_api.user_list(2, 'off', 1, 100, '')" | jq 'any(has("display_name"))')" false
}

@test "user_list: by id, with who is online and when the others were last seen" {
    host_open 1 >/dev/null
    session_open 1 1,2 2,3
    api "select from chatd_api.session_close(1, '{2}')"
    api "select users from chatd_api.user_list(1, 'all', 0, 100, '')" >"$BATS_TEST_TMPDIR/list"
    equal "$(jq -c 'map([.id, .username, .online, (.last_seen | type)])' "$BATS_TEST_TMPDIR/list")" \
        '[[1,"ann",false,"null"],[2,"bob",true,"string"],[3,"cid",false,"string"],[4,"dan",false,"null"]]'
    jq -e 'all(.[]; .last_seen == null or (.last_seen | test("^20..-..-..T..:..:..[.]...Z$")))' "$BATS_TEST_TMPDIR/list"
    q "truncate users cascade"
    equal "$(api "select users from chatd_api.user_list(1, 'all', 0, 100, '')")" "[]"
}

@test "user_list: shows of the others what the caller may know of them, and of the caller all" {
    host_open 1 >/dev/null
    session_open 1 1,2,3 1,2,3
    api "select from chatd_api.session_close(1, '{3}')"
    q "insert into messages (sender_id, receiver_id, content) values (3, 2, 'hello')"
    # shown CALLER MODE: who is online, and of whom it says when
    shown() {
        api "select users from chatd_api.user_list($1, '$2', 0, 100, '')" |
            jq -c '[map(select(.online).id), map(select(.last_seen).id)]'
    }
    equal "$(shown 1 all)" "[[1,2],[1,2,3]]"
    equal "$(shown 1 contacts)" "[[1],[1]]"
    equal "$(shown 2 contacts)" "[[2],[2,3]]"
    equal "$(shown 3 contacts)" "[[2],[2,3]]"
    equal "$(shown 4 contacts)" "[[],[]]"
    equal "$(shown 1 off)" "[[1],[1]]"
    equal "$(shown 3 off)" "[[],[3]]"
}

@test "user_list: pages by id, and by the beginning of the name, which say where the next one begins" {
    q "insert into users (username, email, password_hash) values ('Bo', 'e', 'x'), ('boa', 'f', 'x'), ('bob.2', 'g', 'x'), ('b_z', 'h', 'x')"
    # page AFTER ROWS BEGINNING: names, and where the next page begins
    page() {
        api "select users, next from chatd_api.user_list(1, 'all', $1, $2, '$3')" >"$BATS_TEST_TMPDIR/page"
        echo "$(sed 's/|[0-9]*$//' "$BATS_TEST_TMPDIR/page" | jq -r 'map(.username) | join(" ")')" \
            "$(sed 's/.*|//' "$BATS_TEST_TMPDIR/page")"
    }
    equal "$(page 0 3 '')" "ann bob cid 3"
    equal "$(page 3 3 '')" "dan Bo boa 6"
    equal "$(page 6 3 '')" "bob.2 b_z "
    equal "$(page 6 2 '')" "bob.2 b_z "
    equal "$(page 8 2 '')" " "
    equal "$(page 100 2 '')" " "
    equal "$(page 0 10 bo)" "Bo boa bob bob.2 "
    equal "$(page 0 2 BO)" "Bo boa 6"
    equal "$(page 6 2 BO)" "bob bob.2 "
    equal "$(page 7 2 BO)" " "
    equal "$(page 0 10 b_)" "b_z "
    equal "$(page 0 10 bob.)" "bob.2 "
    equal "$(page 0 10 x)" " "
    equal "$(page 0 10 z)" " "
    # Names have no place for an id that nobody has.
    equal "$(api "select users is null, next is null from chatd_api.user_list(1, 'all', 99, 2, 'b')")" "t|t"
}

# Messages --------------------------------------------------------------------------------------

@test "message_send: each of a batch has its own result, in order, with ids in order" {
    equal "$(api "select ordinal, status, message_id, duplicate from chatd_api.message_send(null, '{1,2,1}', '{2,1,3}', '{a,a,b}', '{7,8,9}', '{x,y,z}', null)" | xargs)" \
        "1|ok|1|f 2|ok|2|f 3|ok|3|f"
    equal "$(api "select * from chatd_api.message_send(null,
        '{1,1,1,99,1,1,2,null,2,2}', '{2,2,3,1,99,2,2,1,1,1}', array['n','n','n','b','c','d','e','f',repeat('x',65),null],
        '{0,0,0,0,0,0,0,0,0,0}', array['x','x','x','x','x','','x','x','x','x'], null)" | cut -d'|' -f1,2,5 | xargs)" \
        "1|ok|f 2|ok|t 3|conflict|f 4|unknown_sender|f 5|unknown_receiver|f 6|invalid|f 7|ok|f 8|unknown_sender|f 9|invalid|f 10|invalid|f"
    equal "$(q "select count(*) from messages")" 5
    equal "$(api "select count(*) from chatd_api.message_send(null, '{}', '{}', '{}', '{}', '{}', null)")" 0
}

@test "message_send: the same again is the same message, with other content a conflict" {
    api "select from chatd_api.message_send(null, '{1}', '{2}', '{a}', '{7}', '{x}', null)"
    equal "$(api "select * from chatd_api.message_send(null, '{1}', '{2}', '{a}', '{8}', '{x}', null)")" "1|ok|1|$(q 'select stamp_at(1)')|t|f||2"
    equal "$(api "select * from chatd_api.message_send(null, '{1}', '{2}', '{a}', '{7}', '{x}', null)")" "1|ok|1|$(q 'select stamp_at(1)')|t|t||2"
    equal "$(api "select * from chatd_api.message_send(null, '{1}', '{2}', '{a}', '{8}', '{y}', null)")" "1|conflict|||f|f||2"
    equal "$(api "select * from chatd_api.message_send(null, '{1}', '{3}', '{a}', '{8}', '{x}', null)")" "1|conflict|||f|f||3"
    equal "$(api "select status, duplicate from chatd_api.message_send(null, '{2}', '{1}', '{a}', '{8}', '{x}', null)")" "ok|f"
    equal "$(api "select stamp from chatd_api.message_send(null, '{2}', '{1}', '{b}', '{8}', '{x}', null)")" "$(q 'select stamp_at(change_last())')"
}

# Runs the statement until it waits for a standby that is not there, and ends it so.
cut_off_waiting() {
    api "$1" >/dev/null 2>&1 &
    local attempt=$!
    until [[ $(q "select count(*) from pg_stat_activity where wait_event = 'SyncRep'") == 1 ]]; do
        kill -0 $attempt 2>/dev/null || return 1
    done
    q "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'" >/dev/null
    wait $attempt || true
}

@test "an answer for what an earlier transaction stored waits for a standby, as that did" {
    local statement g waited=
    api "select from chatd_api.message_send(null, '{1}', '{2}', '{zero}', '{7}', '{x}', null)"
    g=$(q "select group_make('Team', 1)")
    q "alter system set synchronous_standby_names = 'nobody'"
    q "select pg_reload_conf()" >/dev/null
    # A reload takes its time: until it counts, a commit does not wait.
    until cut_off_waiting "select pg_logical_emit_message(true, 'probe', '')"; do :; done
    for statement in "message_send(null, '{1}', '{2}', '{one}', '{7}', '{hello}', null)" \
        "message_change(null, '{1}', '{1}', '{1}', '{new text}')" "receipt_put(1, '{2}', '{1}', '{1}', '{t}')" \
        "direct_make(1, 3, 'all')" "member_add(1, $g, 2, 'member', 10, 'all')" "user_block(1, 2, true)"; do
        cut_off_waiting "select from chatd_api.$statement" &&
            cut_off_waiting "select from chatd_api.$statement" || { echo "did not wait: $statement"; waited=no; }
    done
    q "alter system reset synchronous_standby_names"
    q "select pg_reload_conf()" >/dev/null
    [[ -z $waited ]]
}

@test "message_send: its answer brings what event_read() would, for the items that it is asked for" {
    host_open 1 >/dev/null
    session_open 1 10,11 1,2
    equal "$(api "select frame from chatd_api.message_send(1, '{1,2,2}', '{2,1,2}', '{a,b,c}', '{7,8,8}',
        array[E'q\" \\\\ é', 'y', 'z'], '{f,f,f}')" | xargs)" ""
    last=$(q 'select change_last()')
    api "select message_id || '|' || frame from chatd_api.message_send(1, '{2,1,2,2}', '{1,2,2,3}', '{d,e,f,g}', '{8,7,8,8}', '{v,w,x,y}', '{t,t,t,f}')" \
        >"$BATS_TEST_TMPDIR/sent"
    equal "$(cat "$BATS_TEST_TMPDIR/sent")" \
        "$(api "select cursor || '|' || frame from chatd_api.event_read(1, $last, 10) where 3 <> all (user_ids)")"
    # Alone, and not if one is not new.
    equal "$(api "select frame from chatd_api.message_send(1, '{2}', '{1}', '{h}', '{8}', '{v}', '{t}')")" \
        "$(api "select frame from chatd_api.event_read(1, $((last + 4)), 1)")"
    equal "$(api "select duplicate, frame from chatd_api.message_send(1, '{2,1}', '{1,2}', '{h,i}', '{8,7}', '{v,w}', '{t,t}')" | xargs)" "t| f|"
    equal "$(q 'select count(*) from messages')" 9
}

@test "a table of messages in partitions has the key by which a repeat is known only if they are of senders" {
    local key
    # divided COLUMN: makes one that is, and takes it back.
    divided() {
        q "begin; create table divided (like chatd.messages including defaults) partition by hash ($1);
           alter table divided add unique $key; rollback"
    }
    key=$(q "select substring(pg_get_indexdef('chatd.messages_client_id'::regclass) from '\(.*')")
    equal "$key" "(sender_id, client_id)"
    run divided conversation_id
    [[ $status != 0 && $output == *"must include all partitioning columns"* ]]
    divided sender_id
}

@test "message_send: 65536 bytes of content are enough and 65537 too many" {
    equal "$(api "select status from chatd_api.message_send(null, '{1,1}', '{2,2}', '{a,b}', '{1,1}',
        array[repeat('é', 32768), repeat('é', 32768) || 'x'], null)" | xargs)" "ok invalid"
}

@test "an insert typed into psql is a message as any other" {
    host_open 1 >/dev/null
    session_open 1 1 2
    host_bells 1
    psql -Xqc "insert into messages (sender_id, receiver_id, content) values (1, 2, 'hi')"
    equal "$(host_bells 1)" "e 1"
    equal "$(api "select frame from chatd_api.event_read(1, 0, 10) where frame is not null" | jq -c '[.type, .content, .data.sender]')" \
        '["message","hi","ann"]'
}

@test "ids become visible in their order, however many write at once" {
    # Each writer keeps its transaction open after it drew its id. A reader that only ever asks
    # for more than its cursor must in the end have seen every message, once.
    host_open 1 >/dev/null
    session_open 1 1 1
    for i in 1 2 3 4; do
        for _ in {1..20}; do
            echo "begin; insert into messages (sender_id, receiver_id, content) values ($i, 1, 'x'); select pg_sleep(random() * 0.02); commit;"
        done | psql -XAtq >/dev/null 3>&- &
        pids+=" $!"
    done
    cursor=0 seen=0 reads=0
    while :; do
        # First whether they still write, then the read: so the last read sees all.
        more=$(kill -0 $pids 2>/dev/null && echo yes || true)
        IFS='|' read -r count cursor < <(api "select count(frame), coalesce(max(cursor), $cursor) from chatd_api.event_read(1, $cursor, 1000)")
        seen=$((seen + count)) reads=$((reads + 1))
        [[ $more ]] || break
    done
    wait $pids
    ((reads > 2))
    equal "$seen $(q 'select count(*) from messages')" "80 80"
}

@test "contacts are kept from both sides, once" {
    api "select from chatd_api.message_send(null, '{1,1,3}', '{2,2,3}', '{a,b,c}', '{1,1,1}', '{x,y,z}', null)"
    api "select from chatd_api.message_send(null, '{2,4}', '{1,1}', '{a,b}', '{1,1}', '{x,y}', null)"
    equal "$(q "select user_id, contact_id from contacts order by 1, 2" | xargs)" "1|2 1|4 2|1 3|3 4|1"
}

@test "every two users have one conversation, which is that of all their messages" {
    api "select from chatd_api.message_send(null, '{1,1,3,2}', '{2,2,3,1}', '{a,b,c,d}', '{1,1,1,1}', '{w,x,y,z}', null)"
    api "select from chatd_api.message_send(null, '{2}', '{1}', '{e}', '{1}', '{x}', null)"
    api "select from chatd_api.message_send(null, '{4}', '{1}', '{f}', '{1}', '{x}', null)"
    q "insert into messages (sender_id, receiver_id, content) values (1, 4, 'x'), (2, 4, 'y'), (4, 2, 'z'), (4, 4, 'w')"
    equal "$(q "select string_agg(distinct least(sender_id, receiver_id) || '-' || greatest(sender_id, receiver_id), ' ') || ' ' || count(*)
                  from messages group by conversation_id order by 1")" $'1-2 4\n1-4 2\n2-4 2\n3-3 1\n4-4 1'
    equal "$(q "select count(*), count(distinct conversation_id) from contacts")" "8|5"
    equal "$(q "select count(*) from messages m
                  join contacts c on c.user_id = m.sender_id and c.contact_id = m.receiver_id and c.conversation_id = m.conversation_id
                  join contacts d on d.user_id = m.receiver_id and d.contact_id = m.sender_id and d.conversation_id = m.conversation_id")" 10
}

@test "a contact whose row on one side was removed by hand has the same conversation again" {
    q "insert into messages (sender_id, receiver_id, content) values (1, 2, 'a'), (1, 3, 'b'), (4, 4, 'c')"
    q "delete from contacts where user_id = 2 or (user_id, contact_id) = (1, 3)"
    equal "$(api "select status from chatd_api.message_send(null, '{2,1}', '{1,3}', '{a,b}', '{1,1}', '{x,y}', null)" | xargs)" "ok ok"
    equal "$(q "select user_id, contact_id, conversation_id from contacts order by 1, 2" | xargs)" "1|2|1 1|3|2 2|1|1 3|1|2 4|4|3"
    q "delete from contacts where user_id = 2"
    q "insert into messages (sender_id, receiver_id, content) values (2, 1, 'd')"
    equal "$(q "select conversation_id, count(*) from messages group by 1 order by 1" | xargs)" "1|3 2|2 3|1"
    # Who is missing among the members comes back as well, and until then nobody else gets what is meant for them.
    q "delete from members where user_id = 2"
    send() { api "select status from chatd_api.message_send(null, '{1}', '{$1}', '{$2}', '{1}', '{x}', null, null, null, '{$3}')"; }
    equal "$(send 0 e 1)" unknown_conversation
    q "delete from contacts where user_id = 2"
    equal "$(send 2 f 0)/$(send 2 g 0)" ok/ok
    q "delete from contacts where 2 in (user_id, contact_id)"
    equal "$(send 0 h 1)" unknown_conversation
}

@test "migrate: of a contact whose row on one side was removed by hand both become members" {
    psql -Xqd postgres -c "create database m$BATS_TEST_NUMBER"
    local PGDATABASE=m$BATS_TEST_NUMBER
    mkdir "$BATS_TEST_TMPDIR/sql"
    cp "$root"/sql/migrate "$root"/sql/00[01]*.sql "$root"/sql/002[0-2]*.sql "$BATS_TEST_TMPDIR/sql"
    "$BATS_TEST_TMPDIR/sql/migrate" >"$BATS_TEST_TMPDIR/migrate"
    q "set search_path = chatd, pg_temp;
       insert into users (username, email, password_hash) select n, n || '@example.com', 'hash' from unnest('{ann,bob,cid}'::text[]) n;
       insert into messages (sender_id, receiver_id, content) values (1, 2, 'a'), (3, 3, 'b');
       delete from contacts where user_id = 2"
    "$root/sql/migrate" >"$BATS_TEST_TMPDIR/migrate"
    equal "$(q "select conversation_id, user_id from chatd.members order by 1, 2" | xargs)" "1|1 1|2 2|3"
    psql -Xqd postgres -c "drop database m$BATS_TEST_NUMBER"
}

@test "what is not stored makes nobody a contact" {
    api "select from chatd_api.message_send(null, '{1}', '{2}', '{a}', '{1}', '{x}', null)"
    # An id that was used, alone, and in a batch with the message that uses it; and what is stored nowhere.
    equal "$(api "select status from chatd_api.message_send(null, '{1}', '{3}', '{a}', '{1}', '{x}', null)")" conflict
    equal "$(api "select status from chatd_api.message_send(null, '{1,1,4,4,4,2}', '{2,4,99,1,3,3}', '{b,b,c,c,c,d}',
        '{1,1,1,1,1,1}', array['x','x','x','x','x',''], null)" | xargs)" \
        "ok conflict unknown_receiver ok conflict invalid"
    equal "$(api "select status from chatd_api.message_send(null, '{2}', '{4}', '{e}', '{1}', '{x}', null, 0)")" quota
    equal "$(q "select user_id, contact_id from contacts order by 1, 2" | xargs)" "1|2 1|4 2|1 4|1"
}

@test "a message has two users, who stay as long as it does, also where it was typed into psql" {
    for pair in "1, 99" "99, 1" "99, 99"; do
        run q "insert into messages (sender_id, receiver_id, content) values ($pair, 'x')"
        [[ $status != 0 && $output == *'violates foreign key constraint "members_user_id_fkey"'* ]]
    done
    q "insert into messages (sender_id, receiver_id, content) values (1, 2, 'x'), (3, 3, 'y')"
    for id in 1 3; do
        run q "delete from users where id = $id"
        [[ $status != 0 && $output == *"user $id has sent messages: remove those first"* ]]
    done
    run q "delete from users where id = 2"
    [[ $status != 0 && $output == *'violates foreign key constraint "contacts_'* ]]
    run q "truncate users"
    [[ $status != 0 ]]
    equal "$(q "select count(*) from messages")" 2
}

@test "message_history: the pages of a conversation, oldest first" {
    q "insert into messages (sender_id, receiver_id, content) select 1 + n % 2, 2 - n % 2, n from generate_series(1, 9) n"
    q "insert into messages (sender_id, receiver_id, content) values (1, 3, 'other')"
    page() {
        api "select history from chatd_api.message_history(1, 2, $1)" | jq -c 'map(.id)'
    }
    equal "$(page 'null, null, 3')" "[7,8,9]"
    equal "$(page '7, null, 3')" "[4,5,6]"
    equal "$(page 'null, 2, 3')" "[3,4,5]"
    equal "$(page '7, 2, 3')" "[4,5,6]"
    equal "$(page '5, 2, 3')" "[3,4]"
    equal "$(page '2, 1, 3')" "[]"
    equal "$(page 'null, null, 50')" "[1,2,3,4,5,6,7,8,9]"
    equal "$(api "select history from chatd_api.message_history(2, 1, null, null, 1)" | sed 's/T.*Z/T/')" \
        '[{"id":9,"conversation_id":1,"sender_id":2,"receiver_id":1,"content":"9","created_at":"'"$(date -u +%Y-%m-%d)"'T"}]'
    equal "$(api "select * from chatd_api.message_history(1, 99, null, null, 50)")" "f||"
    equal "$(api "select * from chatd_api.message_history(1, 4, null, null, 50)")" "t|[]|"
}

@test "message_history: a page says where the next one begins, and ends at a megabyte" {
    q "insert into messages (sender_id, receiver_id, content) select 1 + n % 2, 2 - n % 2, n from generate_series(1, 9) n"
    # page ARGUMENTS: the first and the last id, their number, and where the next page begins
    page() {
        api "select j->0->'id', j->-1->'id', json_array_length(j), next, length(history) <= 1048578
               from chatd_api.message_history(1, 2, $1), lateral (select history::json) j (j)"
    }
    equal "$(page 'null, null, 3')" "7|9|3|7|t"
    equal "$(page '7, null, 6')" "1|6|6||t"
    equal "$(page '7, null, 5')" "2|6|5|2|t"
    equal "$(page 'null, 2, 3')" "3|5|3|5|t"
    equal "$(page 'null, 6, 3')" "7|9|3||t"
    equal "$(page '7, 2, 3')" "4|6|3|4|t"
    equal "$(page '7, 3, 3')" "4|6|3||t"
    equal "$(page '7, 9, 3')" "||0||t"
    # Six bytes each in JSON, and one byte each: 10 to 29 and 30 to 49.
    q "insert into messages (sender_id, receiver_id, content) select 1 + n % 2, 2 - n % 2, repeat(chr(1), 65536) from generate_series(10, 29) n"
    q "insert into messages (sender_id, receiver_id, content) select 1 + n % 2, 2 - n % 2, repeat('x', 65536) from generate_series(30, 49) n"
    equal "$(page 'null, null, 50')" "35|49|15|35|t"
    equal "$(page '30, null, 50')" "28|29|2|28|t"
    equal "$(page '11, null, 50')" "1|10|10||t"
    equal "$(page 'null, 0, 100')" "1|11|11|11|t"
    equal "$(page 'null, 28, 100')" "29|38|10|38|t"
    equal "$(page '30, 27, 100')" "28|29|2||t"
    equal "$(api "select json_array_length(history::json), next from chatd_api.message_history(1, 2, null, null, 50, true)")" "15|35"
}

# Events ----------------------------------------------------------------------------------------

@test "event_read: what concerns this host, whole frames, and a cursor past the rest" {
    host_open 1 >/dev/null
    session_open 1 10 2
    api "select from chatd_api.message_send(null, '{1,3,2,2}', '{2,4,2,3}', '{a,b,c,d}', '{7,7,7,7}',
         array[E'q\" \\\\ \n é', 'foreign', 'self', 'sent'], null)"
    api "select from chatd_api.message_send(null, '{3}', '{4}', '{z}', '{7}', '{foreign}', null)"
    equal "$(api "select cursor, user_ids, origin from chatd_api.event_read(1, 0, 100)" | xargs)" \
        "1|{2,1}|7 3|{2}| 4|{3,2}|7 5||"
    equal "$(api "select cursor from chatd_api.event_read(1, 0, 2)" | xargs)" "1 3"
    equal "$(api "select cursor from chatd_api.event_read(1, 3, 2)" | xargs)" "4 5"
    equal "$(api "select cursor from chatd_api.event_read(1, 5, 2)" | xargs)" ""
    tag=$(q 'select tag from instance')
    equal "$(api "select frame from chatd_api.event_read(1, 0, 1)" | sed 's/"created_at":"20..-..-..T..:..:..[.]...Z"/TIME/')" \
        '{"type":"message","content":"q\" \\ \n é","data":{"message_id":1,"conversation_id":1,"sender_id":1,"sender":"ann","receiver_id":2,TIME,"cursor":"'"$tag-1-$(q 'select stamp_at(1)')"'"}}'
}

@test "event_read_user: what one user sent or received, within bounds, without repeats" {
    api "select from chatd_api.message_send(null, '{1,3,2,2,1}', '{2,4,2,3,2}', '{a,b,c,d,e}', '{7,7,7,7,7}', '{v,w,x,y,z}', null)"
    equal "$(api "select cursor, user_ids, origin from chatd_api.event_read_user(2, 0, 100, 10)" | xargs)" \
        "1|{2}|7 3|{2}| 4|{2}|7 5|{2}|7 100||"
    equal "$(api "select cursor from chatd_api.event_read_user(2, 1, 4, 10)" | xargs)" "3 4 4"
    equal "$(api "select cursor from chatd_api.event_read_user(2, 0, 100, 2)" | xargs)" "1 3"
    equal "$(api "select u.frame = e.frame from chatd_api.event_read_user(3, 0, 100, 1) u, (select chatd_api.schema_version()) v,
        lateral chatd_api.event_read_user(4, 0, 100, 1) e")" "t"
}

@test "event_read_user: who has very many conversations gets the same, and is told how far it looked" {
    api "select from chatd_api.message_send(null, '{1,3,2,2,1}', '{2,4,2,3,2}', '{a,b,c,d,e}', '{7,7,7,7,7}', '{v,w,x,y,z}', null)"
    q "insert into messages (sender_id, receiver_id, content) select 3, 4, 'x' from generate_series(1, 40000)"
    q "insert into messages (sender_id, receiver_id, content) values (1, 2, 'late')"
    local before after
    before=$(api "select cursor, user_ids, origin, frame from chatd_api.event_read_user(2, 0, 6, 10)")
    equal "$(api "select cursor, user_ids from chatd_api.event_read_user(2, 5, 40006, 10)" | xargs)" "40006|{2} 40006|"
    q "with c as (insert into conversations select from generate_series(5, 1100) returning id)
       insert into members (conversation_id, user_id) select id, 2 from c"
    after=$(api "select cursor, user_ids, origin, frame from chatd_api.event_read_user(2, 0, 6, 10)")
    equal "$after" "$before"
    equal "$(api "select cursor, user_ids, stamp is null, frame from chatd_api.event_read_user(2, 5, 40006, 10)")" "20005|{}|f|"
    equal "$(api "select stamp from chatd_api.event_read_user(2, 5, 40006, 10)")" "$(q 'select stamp_at(20005)')"
    equal "$(api "select cursor, user_ids from chatd_api.event_read_user(2, 20005, 40006, 10)" | xargs)" "40005|{}"
    equal "$(api "select cursor, user_ids from chatd_api.event_read_user(2, 40005, 40006, 10)" | xargs)" "40006|{2} 40006|"
    equal "$(api "select cursor from chatd_api.event_read_user(2, 0, 40006, 3)" | xargs)" "1 3 4"
}

@test "event_read, event_read_user: a page ends in bytes, too, and only the last one says that it is whole" {
    host_open 1 >/dev/null
    session_open 1 10 2
    # Contents of 64 kB, whose frames are six times as long.
    api "select from chatd_api.message_send(null, array_fill(1::bigint, '{5}'), array_fill(2::bigint, '{5}'),
         '{a,b,c,d,e}', '{7,7,7,7,7}', array_fill(repeat(E'\\x01', 65536), '{4}') || '{short}', null)"
    local call rest
    for call in "event_read(1," "event_read_user(2,"; do
        [[ $call == event_read\(* ]] && rest="10" || rest="5, 10"
        equal "$(api "select cursor, octet_length(frame) > 390000, user_ids is null from chatd_api.$call 0, $rest)")" "1|t|f"
        equal "$(api "select cursor from chatd_api.$call 3, $rest)")" "4"
        equal "$(api "select cursor, user_ids is null from chatd_api.$call 4, $rest)" | xargs)" "5|f 5|t"
        equal "$(api "select cursor from chatd_api.$call 0, $rest, true)")" "1"
    done
}

@test "the text of a message is an expression in the plan, not a call for each row" {
    equal "$(q "explain verbose select message_frame('t', id, conversation_id, sender_id, 'n', receiver_id, content, created_at, more_json(reply_to, mentions, reactions::text)),
        message_json(id, conversation_id, sender_id, receiver_id, content, created_at, edited_at, deleted, more_json(reply_to, mentions, reactions::text)),
        event_frame('t', id, id, conversation_id, sender_id, 'n', receiver_id, content, created_at, edited_at, deleted, reply_to, mentions, reactions::text)
        from messages" | grep -Ec '(message|event|change|more)_(frame|json)')" 0
}

@test "doorbells ring where a sender or receiver is connected, and nowhere else" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    session_open 1 1,2 1,1
    session_open 2 1 2
    host_bells 1
    host_bells 2
    api "select from chatd_api.message_send(null, '{3,3}', '{1,1}', '{a,b}', '{1,1}', '{x,y}', null)"
    equal "$(host_bells 1)/$(host_bells 2)" "e 2/"
    api "select from chatd_api.message_send(null, '{2}', '{4}', '{a}', '{1}', '{x}', null)"
    equal "$(host_bells 1)/$(host_bells 2)" "/e 3"
    api "select from chatd_api.message_send(null, '{1}', '{2}', '{a}', '{1}', '{x}', null)"
    equal "$(host_bells 1)/$(host_bells 2)" "e 4/e 4"
    api "select from chatd_api.message_send(null, '{3}', '{4}', '{c}', '{1}', '{x}', null)"
    equal "$(host_bells 1)/$(host_bells 2)" "/"
    # The host that stores them hands them out itself, in that transaction and in no other.
    api "select from chatd_api.message_send(1, '{1}', '{2}', '{b}', '{1}', '{x}', '{t}')"
    equal "$(host_bells 1)/$(host_bells 2)" "/e 6"
    api "begin; select from chatd_api.message_send(1, '{1}', '{1}', '{d}', '{1}', '{x}', '{t}'); commit;
         select from chatd_api.message_send(null, '{1}', '{2}', '{e}', '{1}', '{x}', null)"
    equal "$(host_bells 1)/$(host_bells 2)" "e 8/e 8"
}

# Changes of messages ----------------------------------------------------------------------------

# message_change USERS CONVERSATIONS MESSAGES CONTENTS [BOUNDS]: null in CONTENTS deletes.
message_change() {
    api "select status, change from chatd_api.message_change(1, '{$1}', '{$2}', '{$3}', '{$4}'${5:+, $5})" | xargs
}

@test "message_change: a batch counts in its order, each gets its own result, and of several texts of a message the last is stored" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    session_open 2 1,2 1,2
    api "select from chatd_api.message_send(1, '{1,1,2}', '{2,2,1}', '{a,b,c}', '{1,1,1}', '{one,two,three}', null)"
    c=$(q "select conversation_id from contacts where user_id = 1 and contact_id = 2")
    host_bells 1
    host_bells 2
    equal "$(message_change 1,1,2,3,1,1,1 "$c,$c,$c,$c,$c,$c,$((c + 1))" 2,1,2,1,1,2,2 dos,null,x,x,uno,due,x)" \
        "ok|5 ok|4 not_sender| unknown_message| deleted| ok|5 unknown_message|"
    equal "$(host_bells 1)/$(host_bells 2)" "/e 5"
    equal "$(q "select id, changed, content, deleted from messages order by id" | xargs)" "1|4||t 2|5|due| 3||three|"
    # Once more: nothing changes, and nobody is rung.
    equal "$(message_change 1,1 "$c,$c" 2,1 due,null)/$(host_bells 2)" "ok|5 ok|4/"
    # What is changed by hand rings as well, where somebody of it is.
    q "update messages set content = 'tre' where id = 3"
    equal "$(host_bells 1)/$(host_bells 2)" "/e 6"
    equal "$(message_change '' '' '' '')/$(host_bells 2)" /
}

@test "message_change: the quota takes what is new, in the order of the batch, and counts what was stored" {
    host_open 1 >/dev/null
    api "select from chatd_api.message_send(1, '{1,1}', '{2,2}', '{a,b}', '{1,1}', '{one,two}', null, null, 100)"
    c=$(q "select conversation_id from contacts where user_id = 1 and contact_id = 2")
    equal "$(message_change 1,1,1,1 "$c,$c,$c,$c" 1,2,1,1 1234,two,123,1 'null, 10')" "ok|3 ok|2 quota| quota|"
    equal "$(q "select messages, bytes from sent where user_id = 1")/$(q "select content from messages where id = 1")" "3|10/1234"
    equal "$(message_change 1,1 "$c,$c" 1,2 null,null 'null, 10')" "ok|4 ok|5"
    equal "$(q "select messages, bytes from sent where user_id = 1")" "3|10"
    equal "$(message_change 1 "$c" 1 x '0')" "deleted|"
    # A new text counts as a message does.
    api "select from chatd_api.message_send(1, '{2,2}', '{1,1}', '{a,b}', '{1,1}', '{one,two}', null, 4)"
    equal "$(message_change 2,2,2,2 "$c,$c,$c,$c" 6,6,7,6 x,x,two,y 'null, null, false, 4' | sed 's/|[0-9]*//g')" "ok ok ok quota"
    equal "$(message_change 2,2 "$c,$c" 6,7 z,null 'null, null, false, 4' | sed 's/|[0-9]*//g')" "quota ok"
    equal "$(q "select messages from sent where user_id = 2")" 4
}

@test "message_change: in a batch a deletion stands, whatever text comes behind it" {
    host_open 1 >/dev/null
    api "select from chatd_api.message_send(1, '{1}', '{2}', '{a}', '{1}', '{one}', null)"
    c=$(q "select conversation_id from contacts where user_id = 1 and contact_id = 2")
    equal "$(message_change 1,1,1 "$c,$c,$c" 1,1,1 null,one,two)" "ok|2 deleted| deleted|"
    equal "$(q "select content, deleted from messages")" "|t"
}

@test "message_change: a host that is not attached changes nothing" {
    api "select from chatd_api.message_send(null, '{1}', '{2}', '{a}', '{1}', '{one}', null)"
    c=$(q "select conversation_id from contacts where user_id = 1 and contact_id = 2")
    api "do \$\$ begin perform chatd_api.message_change(7, '{1}', array[$c], '{1}', '{x}');
               exception when sqlstate 'CH001' then return; end \$\$"
    equal "$(q "select content, changed from messages")" "one|"
}

# Typing ----------------------------------------------------------------------------------------

# typing_tell HOST SENDERS RECEIVERS
typing_tell() {
    api "select * from chatd_api.typing_tell($1, '{$2}', '{$3}')" | xargs
}

@test "typing_tell: answers with what is shown here, and rings once where else a receiver is, for who has exchanged a message" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    session_open 1 1,2 1,2
    session_open 2 3,4,5,6 2,2,3,4
    api "select from chatd_api.message_send(null, '{1,3,1}', '{2,1,1}', '{a,b,c}', '{1,1,1}', '{x,y,z}', null)"
    c=$(q "select conversation_id from contacts where user_id = 1 and contact_id = 2")
    d=$(q "select conversation_id from contacts where user_id = 1 and contact_id = 3")
    host_bells 1
    host_bells 2
    equal "$(typing_tell 1 1 2)/$(host_bells 1)/$(host_bells 2)" "2|$c|1|ann//t 2 $c 1 ann"
    equal "$(typing_tell 1 1,2,3,1 2,1,1,3)/$(host_bells 1)/$(host_bells 2)" \
        "2|$c|1|ann 1|$c|2|bob 1|$d|3|cid//t 2 $c 1 ann 3 $d 1 ann"
    equal "$(typing_tell 2 1,2,1 2,1,3)/$(host_bells 1)/$(host_bells 2)" "2|$c|1|ann 3|$d|1|ann/t 2 $c 1 ann 1 $c 2 bob/"
    # To and from strangers, and those that are nobody.
    equal "$(typing_tell 1 1,4,2,9,1,0,-1 4,1,3,1,9,1,1)/$(host_bells 1)/$(host_bells 2)" "//"
    equal "$(typing_tell 1 '' '')/$(host_bells 1)/$(host_bells 2)" "//"
    # A host that is not there has no sessions.
    equal "$(typing_tell 7 1 2)/$(host_bells 1)/$(host_bells 2)" "/t 2 $c 1 ann/t 2 $c 1 ann"
}

@test "typing_tell: who is disabled or removed is not shown as writing, nor told of anybody" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    session_open 1 1,2 1,2
    session_open 2 3,4 1,2
    api "select from chatd_api.message_send(null, '{1}', '{2}', '{a}', '{1}', '{x}', null)"
    q "select user_disable('ann')"
    host_bells 1
    host_bells 2
    equal "$(typing_tell 1 1 2)/$(host_bells 2)" /
    q "select user_enable('ann'); delete from messages; delete from contacts; delete from users where username = 'bob'"
    host_bells 2
    equal "$(typing_tell 1 1,2 2,1)/$(host_bells 2)" /
}

@test "typing_tell: stores nothing, does not wait for the disk, and the largest batch fits into a bell" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    q "insert into users (id, username, email, password_hash) overriding system value
       select 9223372036854775807 - n, repeat('n', 30) || n + 10, n || '@x', 'hash' from generate_series(0, 80) n;
       insert into contacts (user_id, contact_id, conversation_id)
       select 9223372036854775807 - n, 9223372036854775807, 9223372036854775807 - n from generate_series(1, 80) n"
    session_open 2 1 9223372036854775807
    host_bells 2
    told=$(api "begin; select from chatd_api.typing_tell(1, array(select 9223372036854775807 - n from generate_series(1, 80) n),
                                                         array_fill(9223372036854775807, array[80]));
                show synchronous_commit; commit" | xargs)
    equal "$told" off
    bell=$(host_bells 2)
    ((${#bell} > 7000 && ${#bell} < 8000))
    equal "$(wc -w <<<"$bell")" 321
    equal "$(q "select count(*) from messages" )" 0
    # Where nobody is told anything there is nothing to commit.
    equal "$(api "begin; select from chatd_api.typing_tell(2, '{9223372036854775806}', '{9223372036854775807}');
                  select pg_current_xact_id_if_assigned() is null; commit" | xargs)" t
}

# receipt_put HOST USERS CONVERSATIONS MESSAGES READ
receipt_put() {
    api "select * from chatd_api.receipt_put($1, '{$2}', '{$3}', '{$4}', '{$5}')" | xargs
}

@test "receipt_put: answers with what moved for who is here, rings once where else a member is, and names what is nobody's" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    session_open 1 1,2 1,1
    session_open 2 3,4 2,4
    api "select from chatd_api.message_send(null, '{1,2,3}', '{2,1,1}', '{a,b,c}', '{1,1,1}', '{x,y,z}', null)"
    c=$(q "select conversation_id from contacts where user_id = 1 and contact_id = 2")
    d=$(q "select conversation_id from contacts where user_id = 1 and contact_id = 3")
    host_bells 1
    host_bells 2
    bells() { echo "$(host_bells 1)/$(host_bells 2)"; }
    equal "$(receipt_put 1 1 "$c" 1 f)/$(bells)" "|1|$c|1|0|1//w 2 $c 1 0 1"
    # Of one watermark only the farthest counts; what does not move is told to nobody.
    equal "$(receipt_put 2 2,2,2,1 "$c,$c,$c,$c" 1,2,1,1 t,f,f,f)/$(bells)" "|2|$c|2|1|2/w 1 $c 2 1 2/"
    equal "$(receipt_put 2 2,1 "$c,$c" 1,1 t,f)/$(bells)" "//"
    # 3 is in another conversation, and no member of this one; a conversation that is none is nobody's.
    equal "$(receipt_put 1 3,1,3,1 "$c,99,$d,$d" 2,2,3,3 t,t,t,f)/$(bells)" \
        "1||||| 2||||| |1|$d|1|0|3 |1|$d|3|3|3//"
    equal "$(q "select conversation_id, user_id, read_upto, delivered_upto from members order by 1, 2" | xargs)" \
        "$c|1|0|1 $c|2|1|2 $d|1|0|3 $d|3|3|3"
    equal "$(receipt_put 1 '' '' '' '')/$(bells)" "//"
    # A host that is not there has no sessions.
    equal "$(receipt_put 7 1 "$c" 2 t)/$(bells)" "/w 1 $c 1 2 2/w 2 $c 1 2 2"
    # A note to oneself is told once.
    api "select from chatd_api.message_send(null, '{1}', '{1}', '{n}', '{1}', '{x}', null)"
    n=$(q "select conversation_id from contacts where user_id = 1 and contact_id = 1")
    host_bells 1
    host_bells 2
    equal "$(receipt_put 2 1 "$n" 9 t)/$(bells)" "/w 1 $n 1 4 4/"
}

@test "receipt_put: many go into several bells, each of which fits, and in whatever order two hosts name them neither fails" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    local big=9223372036854775807
    q "insert into users (id, username, email, password_hash) overriding system value
       select $big - n, 'n' || n, n || '@x', 'hash' from generate_series(0, 200) n;
       insert into conversations (id) select $big - n from generate_series(1, 200) n;
       insert into members (conversation_id, user_id)
       select $big - n, u from generate_series(1, 200) n, unnest(array[$big, $big - n]) u;
       insert into messages (id, conversation_id, sender_id, receiver_id, content) overriding system value
       select $big - 300 + n, $big - n, $big, $big - n, 'x' from generate_series(1, 200) n"
    session_open 2 1 $big
    host_bells 2
    put="select count(*) from chatd_api.receipt_put(1, array(select $big - n from generate_series(1, 200) n),
         array(select $big - n from generate_series(1, 200) n), array_fill($big, array[200]), array_fill(true, array[200]))"
    equal "$(api "$put")" 0
    bells=$(host_bells 2)
    equal "$(wc -l <<<"$bells") $(wc -w <<<"$bells") $(tr ' ' '\n' <<<"$bells" | grep -c "^$big\$")" "3 1003 200"
    equal "$(awk 'length >= 8000' <<<"$bells")" ""
    ((${#bells} > 14000))
    # The same rows from both ends at once, ten times.
    local i
    for i in {1..10}; do
        q "update members set read_upto = 0, delivered_upto = 0"
        api "$put" >"$BATS_TEST_TMPDIR/one" &
        api "${put//generate_series(1, 200) n/generate_series(200, 1, -1) n}" >"$BATS_TEST_TMPDIR/other"
        wait $!
    done
    equal "$(q "select count(*) from members where read_upto > 0")" 200
}

@test "conversations: a member sees what a message changed, and of unread messages only those of others since the last own one" {
    list() { api "select c->>'id', c->>'unread', c->'peer'->>'id' from json_array_elements(
                  (chatd_api.conversation_list($1, 'off', ${2:-9223372036854775807}, ${3:-50})::json)->'conversations') c" | xargs; }
    equal "$(list 1)" ""
    api "select from chatd_api.message_send(null, '{1,2,2,3}', '{2,1,1,1}', '{a,b,c,d}', '{1,1,1,1}', '{x,y,z,v}', null)"
    c=$(q "select conversation_id from contacts where user_id = 1 and contact_id = 2")
    d=$(q "select conversation_id from contacts where user_id = 1 and contact_id = 3")
    equal "$(list 1)" "$d|1|3 $c|2|2"
    equal "$(list 1 4)" "$c|2|2"
    equal "$(list 1 9 1)" "$d|1|3"
    equal "$(list 2)/$(list 4)" "$c|0|1/"
    receipt_put 1 1 "$c" 2 t
    equal "$(list 1)" "$d|1|3 $c|1|2"
    # The message up to which it is read and delivered is removed: it is the one before then, and no other is lost.
    receipt_put 1 1 "$c" 3 f
    q "delete from messages where id = 3"
    equal "$(list 1)" "$d|1|3 $c|0|2"
    q "delete from messages where conversation_id = $c"
    equal "$(list 1)/$(list 2)" "$d|1|3/"
}

# Presence --------------------------------------------------------------------------------------

@test "session_open: answers in the order asked, knows who exists, gives the cursors of the moment" {
    host_open 1 >/dev/null
    api "select from chatd_api.message_send(null, '{1}', '{2}', '{a}', '{1}', '{x}', null)"
    stamp=$(q "select stamp_at(1)")
    equal "$(session_open 1 12,11,10 3,99,1 '*' | xargs)" \
        "12|t|1|$stamp|2|f|f 11|f|1|$stamp|2|f|f 10|t|1|$stamp|2|f|f"
    equal "$(q 'select session_id, user_id from sessions order by 1' | xargs)" "10|1 12|3"
    equal "$(session_open 1 12 3 '*')" "12|t|1|$stamp|2|f|f"
}

@test "session_open, cursor_honoured, host_attach: a cursor is honoured while what it stands for is there" {
    host_open 1 >/dev/null
    honoured() {
        local first=$(api "select honoured from chatd_api.session_open(1, '{5}', '{1}', '{$1}', '{$2}')")
        equal "$(api "select chatd_api.cursor_honoured($1, $2)")" "$first"
        equal "$(api "select honoured from chatd_api.host_attach('again', $1, $2)")" "$first"
        echo "$first"
    }
    equal "$(honoured 0 0)" t
    equal "$(honoured 0 1)" f
    equal "$(honoured 1 0)" f
    api "select from chatd_api.message_send(null, '{1,1}', '{2,2}', '{a,b}', '{1,1}', '{x,y}', null)"
    one=$(q 'select stamp_at(1)') two=$(q 'select stamp_at(2)')
    equal "$(honoured 1 "$one")/$(honoured 2 "$two")/$(honoured 0 0)" t/t/t
    equal "$(honoured 1 "$two")/$(honoured 2 "$one")" f/f
    equal "$(honoured 3 "$two")/$(honoured -1 0)/$(honoured 9000000000 "$two")" f/f/f
    # A failover lost the second message, and its number was given out again.
    q "delete from messages where id = 2"
    equal "$(honoured 1 "$one")/$(honoured 2 "$two")" t/f
    q "insert into messages (id, sender_id, receiver_id, content) overriding system value values (2, 1, 2, 'z')"
    equal "$(honoured 1 "$one")/$(honoured 2 "$two")" t/f
    # What is old was removed.
    q "delete from messages where id = 1"
    equal "$(honoured 1 "$one")/$(honoured 2 "$(q 'select stamp_at(2)')")" f/t
}

@test "the manual's lines about users and their tokens work after pg_dump and restore" {
    q "update users set username = 'alice' where username = 'ann'"
    pg_dump -Fc -f "$BATS_TEST_TMPDIR/dump"
    createdb -T template0 -E UTF8 "restored$BATS_TEST_NUMBER"
    pg_restore -d "restored$BATS_TEST_NUMBER" "$BATS_TEST_TMPDIR/dump"
    sed -n '/^\.Ss Users and their tokens/,/^\.S[sh] [^U]/p' "$root/man/chatd.8" |
        grep -E '^(select|update) .*;$' >"$BATS_TEST_TMPDIR/lines"
    equal "$(wc -l <"$BATS_TEST_TMPDIR/lines")" 4
    psql -XAtq -v ON_ERROR_STOP=1 -d "restored$BATS_TEST_NUMBER" -f "$BATS_TEST_TMPDIR/lines"
    psql -Xqd postgres -c "drop database restored$BATS_TEST_NUMBER"
}

@test "a cursor survives pg_dump and restore" {
    api "select from chatd_api.message_send(null, '{1}', '{2}', '{a}', '{1}', '{x}', null)"
    before=$(q "select tag, stamp_at(1) from instance")
    pg_dump -Fc -f "$BATS_TEST_TMPDIR/dump"
    psql -Xqd postgres -c "create database restored$BATS_TEST_NUMBER"
    pg_restore -d "restored$BATS_TEST_NUMBER" "$BATS_TEST_TMPDIR/dump"
    equal "$(PGDATABASE=restored$BATS_TEST_NUMBER q "select tag, chatd.stamp_at(1) from chatd.instance")" "$before"
    psql -Xqd postgres -c "drop database restored$BATS_TEST_NUMBER"
}

@test "session_open: a host that is not attached is told so" {
    run api "select * from chatd_api.session_open(55, '{1}', '{1}', '{-1}', '{0}')"
    [[ $status != 0 && $output == *'CH001: host 55 is not attached'* ]]
    equal "$(q 'select count(*) from sessions')" 0
}

@test "presence flips with the first session and the last, and is announced to every host" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    session_open 1 1 1
    equal "$(host_bells 1)/$(host_bells 2)" "p 1/p 1"
    session_open 2 1 1
    equal "$(api "select chatd_api.session_close(1, '{1,5}')")" 1
    equal "$(host_bells 1)/$(host_bells 2)" "/"
    equal "$(q 'select last_seen is not null from users where id = 1')" t
    q "update users set last_seen = null"
    api "select from chatd_api.session_close(2, '{1}')"
    equal "$(host_bells 1)/$(host_bells 2)" "p 2/p 2"
    equal "$(q 'select last_seen is not null from users where id = 1')" t
    equal "$(api "select * from chatd_api.presence_read(1, 0, 9, 'all')")" "2|1|ann|f|||f"
    equal "$(api "select * from chatd_api.presence_read(1, 2, 9, 'all')")" ""
}

@test "presence is right when one transaction takes the last session and opens another" {
    host_open 1 >/dev/null
    session_open 1 1 1
    q "with gone as (delete from sessions) insert into sessions (host_id, session_id, user_id) values (1, 2, 1), (1, 3, 2)"
    equal "$(q 'select user_id, online from presence order by 1' | xargs)" "1|t 2|t"
    q "delete from users where id = 2"
    equal "$(q 'select user_id from presence')" 1
}

@test "presence_read: mode contacts names the contacts on this host, off names nobody" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    q "insert into messages (sender_id, receiver_id, content) values (1, 2, 'x'), (1, 3, 'x')"
    session_open 1 1,2,4 1,2,4
    session_open 2 3 3
    equal "$(api "select user_id, audience from chatd_api.presence_read(1, 0, 9, 'contacts') order by 1" | xargs)" \
        "1|{2} 2|{1} 3|{1} 4|{}"
    equal "$(api "select user_id, audience from chatd_api.presence_read(2, 0, 9, 'contacts') order by 1" | xargs)" \
        "1|{3} 2|{} 3|{} 4|{}"
    equal "$(api "select count(*) from chatd_api.presence_read(1, 0, 9, 'off')")" 0
}

# Numbers 1 to 3 are ann, bob and cid; ann has gone since, as number 4, and dan is number 5.
put_presence() {
    q "select setval('presence_seq', 5);
       insert into presence (user_id, online, change) values (2, true, 2), (3, false, 3), (1, false, 4), (4, true, 5)"
}

@test "presence_read, presence_online: pages in the order of changes" {
    host_open 1 >/dev/null
    put_presence
    changes() { api "select change, user_id, online from chatd_api.presence_read(1, $1, $2, 'all')" | xargs; }
    equal "$(changes 0 3)/$(changes 4 3)/$(changes 5 3)" "2|2|t 3|3|f 4|1|f/5|4|t/"
    online() { api "select * from chatd_api.presence_online(1, $1, $2, $3)" | xargs; }
    equal "$(online 0 9 1)/$(online 2 9 9)/$(online 0 9 9)/$(online 0 4 9)/$(online 5 9 9)" "2|2/5|4/2|2 5|4/2|2/"
    run api "select * from chatd_api.presence_online(77, 0, 9, 9)"
    [[ $output == *'CH001: host 77 is not attached'* ]]
}

@test "presence_read: somebody with very many contacts has the same audience as anybody" {
    host_open 1 >/dev/null
    q "insert into contacts select 1, n, n from generate_series(2, 1003) n"
    session_open 1 1,2,3,4 1,2,2,4
    equal "$(api "select audience from chatd_api.presence_read(1, 0, 9, 'contacts') where user_id = 1")" "{2,4}"
    q "delete from contacts where contact_id > 1001"
    equal "$(api "select audience from chatd_api.presence_read(1, 0, 9, 'contacts') where user_id = 1")" "{2,4}"
}

@test "presence_read_user: pages, and whether they concern this user" {
    put_presence
    q "insert into contacts values (1, 3, 13)"
    equal "$(api "select change, user_id, username, online, audience from chatd_api.presence_read_user(3, 0, 2, 'all')" | xargs)" \
        "2|2|bob|t| 3|3|cid|f|"
    equal "$(api "select change, user_id, audience from chatd_api.presence_read_user(3, 3, 2, 'contacts')" | xargs)" "4|1|{3} 5|4|{}"
    equal "$(api "select count(*) from chatd_api.presence_read_user(3, 0, 9, 'off')")" 0
}

@test "presence_check: who has no session is announced as gone, even if that had been announced" {
    host_open 1 >/dev/null
    session_open 1 1 1
    host_bells 1 >/dev/null
    q "select setval('presence_seq', 5); insert into presence (user_id, online, change) values (2, false, 2)"
    equal "$(api "select chatd_api.presence_check('{1,2,3,99}')")" 2
    [[ $(host_bells 1) == p\ * ]]
    equal "$(q 'select user_id, online, change > 5 from presence order by 1' | xargs)" "1|t|f 2|f|t 3|f|t"
}

@test "host_attach: tells of the last presence change that is committed" {
    equal "$(api "select presence from chatd_api.host_attach('first', 0, 0)")" 0
    put_presence
    equal "$(q "begin; select nextval('presence_seq'); select presence from chatd_api.host_attach('second', 0, 0); commit" | tail -n 1)" 5
}

@test "host_beat: counts, and tells of the others how far they are and who has lost its connection" {
    host_open 1 >/dev/null
    equal "$(api 'select * from chatd_api.host_beat(1)')" ""
    host_open 2 >/dev/null
    equal "$(api 'select * from chatd_api.host_beat(2)')" "1|1|f"
    equal "$(api 'select * from chatd_api.host_beat(1)')" "2|1|f"
    host_close 1
    # The backend ends a moment after its client.
    until q "select count(*) from hosts join pg_stat_activity on pid = backend" | grep -qx 1; do :; done
    equal "$(api 'select * from chatd_api.host_beat(2)')" "1|2|t"
    run api 'select * from chatd_api.host_beat(55)'
    [[ $status != 0 && $output == *'CH001: host 55 is not attached'* ]]
}

@test "host_sweep: a host that is silent goes with its sessions, one that has beaten since stays" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    session_open 1 1 1
    session_open 2 1 2
    host_bells 2 >/dev/null
    api 'select from chatd_api.host_beat(1)'
    equal "$(api "select removed from chatd_api.host_sweep('{1}', '{0}', 9)")/$(q 'select user_id from sessions order by 1' | xargs)" "0/1 2"
    equal "$(api "select removed from chatd_api.host_sweep('{1,77}', '{1,0}', 9)")" 1
    equal "$(host_bells 2)" "p 3"
    equal "$(q 'select id from hosts')/$(q 'select user_id from sessions')" "2/2"
    equal "$(api 'select user_id, online from chatd_api.presence_read(2, 2, 9, $$all$$)')" "1|f"
}

@test "host_sweep: sessions go a few at a time, whoever removed their host" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    session_open 1 1,2,3,4 1,2,3,4
    session_open 2 1 4
    sweep() { api "select * from chatd_api.host_sweep('{$1}', '{0}', 2)"; }
    equal "$(sweep 1)/$(q 'select host_id, session_id from sessions order by 1, 2' | xargs)" "1|t/1|3 1|4 2|1"
    equal "$(q 'select user_id, online from presence order by 1' | xargs)" "1|f 2|f 3|t 4|t"
    run api "select from chatd_api.session_open(1, '{5}', '{1}', '{-1}', '{0}')"
    [[ $output == *'CH001: host 1 is not attached'* ]]
    equal "$(sweep 99)/$(sweep 99)" "0|t/0|f"
    equal "$(q 'select host_id, session_id from sessions')/$(q 'select user_id from presence where online')" "2|1/4"
}

@test "what is called for a host that was removed fails with CH001, and leaves nothing" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    session_open 1 1 1
    api "select from chatd_api.message_send(1, '{2}', '{1}', '{a}', '{8}', '{x}', null)"
    equal "$(api "select removed from chatd_api.host_sweep('{1}', '{0}', 9)")" 1
    local call messages
    for call in "event_read(1, 0, 10)" "presence_read(1, 0, 9, 'all')" "presence_read(1, 0, 9, 'contacts')" \
        "session_open(1, '{2}', '{1}', '{-1}', '{0}')" "session_close(1, '{1}')" "host_beat(1)" \
        "message_send(1, '{2}', '{1}', '{b}', '{8}', '{x}', null)" \
        "message_send(1, '{2}', '{1}', '{a}', '{8}', '{x}', null)" \
        "message_send(1, '{2,2}', '{1,1}', '{c,d}', '{8,8}', '{x,y}', null)"; do
        run api "select from chatd_api.$call"
        echo "$call: $status $output"
        [[ $status != 0 && $output == *'CH001: host 1 is not attached'* ]]
    done
    equal "$(q 'select count(*) from messages')/$(q 'select count(*) from sessions')" "1/0"
    # The readings look for the host and for the rest in one snapshot only if they are this.
    equal "$(q "select proname, provolatile from pg_proc where proname in ('event_read', 'presence_read') order by 1" | xargs)" \
        "event_read|s presence_read|s"
}

@test "host_beat waits for nobody" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    host_ask 1 "begin; select chatd_api.session_close(1, '{}')"
    PGOPTIONS='-c lock_timeout=2s' api 'select other_id from chatd_api.host_beat(2)' | grep -qx 1
    host_ask 1 "commit"
}

@test "nothing waits for a lock that any role may take, and the others only their owner may" {
    q "create role stranger$BATS_TEST_NUMBER login"
    q "grant connect on database t$BATS_TEST_NUMBER to stranger$BATS_TEST_NUMBER"
    for role in chatd "stranger$BATS_TEST_NUMBER"; do
        for table in change_lock hosts schema_version; do
            run q "set role $role; begin; lock table chatd.$table in share update exclusive mode"
            [[ $status != 0 && $output == *'permission denied for schema chatd'* ]]
        done
    done
    host_open 1 >/dev/null
    host_close 1
    # All that were advisory once, with the numbers of the hosts to come.
    host_open 2 >/dev/null
    host_ask 2 "select pg_advisory_lock(1667785076, 0), pg_advisory_lock(1835624306),
        pg_advisory_lock(1752134516, n) from generate_series(1, 9) n" >/dev/null
    export PGOPTIONS='-c lock_timeout=2s -c client_min_messages=warning'
    equal "$(api "select status from chatd_api.message_send(null, '{1}', '{2}', '{a}', '{1}', '{x}', null)")" ok
    equal "$(session_open 2 1 1 'session_id, known')" "1|t"
    equal "$(api "select host_id from chatd_api.host_attach('third', 0, 0)")" 3
    equal "$(q "select user_disable('ann'), user_enable('ann')")" "|"
    "$root/sql/migrate" --role chatd
    until api 'select other_id, gone from chatd_api.host_beat(2) order by 1' | xargs | grep -qx '1|t 3|t'; do :; done
}

@test "brokers that attach at once, while others come and go, take none of the living for dead" {
    host_open 1 >/dev/null
    for _ in {1..8}; do
        api "select from chatd_api.host_attach('passing', 0, 0)" 3>&- &
        pids+=" $!"
    done
    host_open 2 >/dev/null
    wait $pids
    until [[ $(q 'select count(*) from hosts') == 2 ]]; do
        host_ask 1 "select chatd_api.host_sweep(array_agg(other_id), array_agg(beat), 9) from chatd_api.host_beat(1) where gone" >/dev/null
    done
    equal "$(q 'select name from hosts order by name' | xargs)" "host 1 host 2"
}

@test "numbers of hosts and presence go on after a crash, the connections are gone" {
    host_open 1 >/dev/null
    session_open 1 1 1
    api "select from chatd_api.message_send(null, '{1}', '{2}', '{a}', '{1}', '{x}', null)"
    kill -9 "$(head -n 1 "$state/pg/postmaster.pid")"
    host_close 1
    "$cluster" start --fast "$state"
    equal "$(q 'select (select count(*) from hosts) + (select count(*) from sessions) + (select count(*) from presence)')" 0
    host_open 2 >"$BATS_TEST_TMPDIR/id"
    id=$(cat "$BATS_TEST_TMPDIR/id")
    ((id > 1))
    equal "$(session_open "$id" 1 1 'cursor, presence > 1')" "1|t"
    equal "$(q 'select count(*) from messages')" 1
}

# Blocks ----------------------------------------------------------------------------------------

# block USER OTHER [true, or false: it lifts]
block() {
    api "select chatd_api.user_block($1, $2, ${3:-true})"
}

# change, user, online, audience, hidden, view: of what came after a number
presence() {
    api "select change, user_id, online, coalesce(audience::text, 'all'), hidden, view
           from chatd_api.presence_read($1, $2, ${4:-9}, '${3:-all}')" | xargs
}

@test "user_block: says what it did; again it changes nothing, and waits for nobody" {
    equal "$(block 1 2)/$(block 1 1)/$(block 1 1 false)/$(block 1 99)/$(block 1 99 false)/$(block 99 1)" \
        "ok/oneself/oneself/unknown_user/ok/gone"
    local was
    was=$(q "table blocks")
    host_open 1 >/dev/null
    host_ask 1 "begin; select chatd_api.session_close(1, '{}')"
    equal "$(PGOPTIONS='-c lock_timeout=2s' block 1 2)/$(PGOPTIONS='-c lock_timeout=2s' block 2 1 false)" ok/ok
    run env PGOPTIONS='-c lock_timeout=10ms' psql -XAtqc "select chatd_api.user_block(2, 1, true)"
    [[ $status != 0 && $output == *'lock timeout'* ]]
    host_ask 1 "commit"
    equal "$(q "table blocks")" "$was"
}

@test "user_block: so many rows of one user are kept, and the oldest that was lifted makes room" {
    q "insert into users (username, email, password_hash) select 'u' || n, 'u' || n, 'hash' from generate_series(5, 1003) n;
       insert into blocks (user_id, blocked_id) select 1, id from users where id between 2 and 1000"
    equal "$(block 1 1001)/$(block 1 1002)" ok/too_many_blocks
    block 1 7 false
    block 1 5 false
    equal "$(block 1 1002)/$(q "select blocked_id from blocks where user_id = 1 and blocked_at is null")" ok/5
    equal "$(block 1 1003)/$(block 1 7)" ok/too_many_blocks
    equal "$(q "select count(*), count(blocked_at), bool_or(blocked_id in (5, 7)) from blocks where user_id = 1")" "1000|1000|f"
    equal "$(block 2 1)" ok
    # Two at once are one after the other.
    host_open 1 >/dev/null
    q "delete from blocks where user_id = 1 and blocked_id = 1001"
    host_ask 1 "begin; select chatd_api.session_close(1, '{}')"
    local n pids=
    for n in 5 7; do
        block 1 "$n" >"$BATS_TEST_TMPDIR/$n" 3>&- &
        pids+=" $!"
    done
    until [[ $(q "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'") == 2 ]]; do
        sleep 0.02
    done
    host_ask 1 "commit"
    # shellcheck disable=SC2086
    wait $pids
    equal "$(sort "$BATS_TEST_TMPDIR/5" "$BATS_TEST_TMPDIR/7" | xargs)" "ok too_many_blocks"
}

@test "user_blocks: pages by id, of this user, as JSON" {
    q "update users set display_name = '\"B\"' where id = 2; update users set display_name = null where id <> 2"
    local b
    # shellcheck disable=SC2086
    for b in "1 4" "1 2" "1 3" "2 1"; do block $b >/dev/null; done
    block 1 3 false
    block 1 3
    block 2 1 false
    q "update blocks set blocked_at = '2026-01-31T12:00:00.1239Z'"
    local at='"blocked_at":"2026-01-31T12:00:00.123Z"'
    equal "$(api "select * from chatd_api.user_blocks(1, 0, 2)")" \
        '[{"id":2,"username":"bob","display_name":"\"B\"",'"$at"'},{"id":3,"username":"cid","display_name":null,'"$at"'}]|3'
    equal "$(api "select * from chatd_api.user_blocks(1, 3, 2)")" '[{"id":4,"username":"dan","display_name":null,'"$at"'}]|'
    q "update blocks set blocked_at = null"
    equal "$(api "select * from chatd_api.user_blocks(2, 0, 2)")" '[]|'
}

@test "message_send: between two of whom one has blocked the other a new message is refused, and makes no conversation" {
    q "insert into messages (sender_id, receiver_id, client_id, content) values (1, 2, 'old', 'x')"
    block 1 2
    block 3 1
    local sent="'{1,2,1,3,1,1,4,1,1}', '{2,1,3,1,4,2,1,2,4}', '{a,a,b,b,c,old,d,old,old}', '{8,8,8,8,8,8,8,8,8}', '{x,x,x,x,x,x,x,y,x}', null"
    equal "$(api "select ordinal, status, duplicate, message_id > 1 from chatd_api.message_send(null, $sent)" | xargs)" \
        "1|refused|f| 2|refused|f| 3|refused|f| 4|refused|f| 5|ok|f|t 6|ok|t|f 7|ok|f|t 8|refused|f| 9|conflict|f|"
    equal "$(q "select user_id, contact_id, blocked from contacts order by 1, 2" | xargs)" "1|2|t 1|4|f 2|1|t 4|1|f"
    # Of two under one id the one that may be stored is new, and not a duplicate of the other.
    equal "$(api "select status, duplicate from chatd_api.message_send(null, '{1,1,1}', '{2,4,4}', '{e,e,e}', '{8,8,8}', '{x,x,x}', null)" | xargs)" \
        "refused|f ok|f ok|t"
    # One alone.
    equal "$(api "select status from chatd_api.message_send(null, '{1}', '{2}', '{f}', '{8}', '{x}', null)")" refused
    equal "$(api "select status from chatd_api.message_send(null, '{1}', '{3}', '{f}', '{8}', '{x}', null)")" refused
    block 1 2 false
    equal "$(api "select status from chatd_api.message_send(null, '{1}', '{2}', '{f}', '{8}', '{x}', null)")" ok
}

@test "a conversation is blocked while one of the two has blocked the other, whoever makes and removes the rows" {
    flags() { q "select user_id, blocked from contacts order by 1" | xargs; }
    q "insert into blocks (user_id, blocked_id) values (1, 2)"
    q "insert into messages (sender_id, receiver_id, content) values (2, 1, 'by SQL')"
    equal "$(flags)" "1|t 2|t"
    q "insert into blocks (user_id, blocked_id) values (2, 1); update blocks set blocked_at = null where user_id = 1"
    equal "$(flags)" "1|t 2|t"
    q "update blocks set blocked_at = null"
    equal "$(flags)" "1|f 2|f"
    q "update blocks set blocked_at = now() where user_id = 1"
    equal "$(flags)" "1|t 2|t"
    q "delete from blocks where user_id = 1"
    equal "$(flags)" "1|f 2|f"
    equal "$(block 1 2)" ok
    q "delete from messages; delete from contacts; delete from users where id = 2"
    equal "$(q "select count(*) from blocks")" 0
    run q "insert into blocks (user_id, blocked_id) values (1, 1)"
    [[ $status != 0 && $output == *blocks_check* ]]
}

@test "typing_tell: nobody is told of one who is blocked, either way" {
    host_open 1 >/dev/null
    q "insert into messages (sender_id, receiver_id, content) values (1, 2, 'x'), (1, 3, 'x')"
    session_open 1 1,2,3 1,2,3
    block 2 1
    equal "$(api "select receiver_id, user_id from chatd_api.typing_tell(1, '{1,2,1,3}', '{2,1,3,1}')" | xargs)" "3|1 1|3"
}

@test "presence_read: of two who are online each is told what a block changes, under numbers of their own, and the bell rings" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    q "insert into messages (sender_id, receiver_id, content) values (1, 2, 'x')"
    session_open 1 1,2,3 1,2,3
    host_bells 1 >/dev/null
    host_bells 2 >/dev/null
    block 1 2
    equal "$(host_bells 1)/$(host_bells 2)" "p 5/p 5"
    equal "$(presence 1 3)/$(presence 1 4)/$(presence 1 5)" "4|1|f|{2}||t 5|2|f|{1}||t/5|2|f|{1}||t/"
    # A page may end between the two.
    equal "$(presence 1 0 all 4)" "1|1|t|all|{}|f 2|2|t|all|{}|f 3|3|t|all||f 4|1|f|{2}||t"
    equal "$(presence 1 3 contacts)/$(presence 1 3 off)" "4|1|f|{2}||t 5|2|f|{1}||t/"
    # No contacts of each other: nothing is to be seen.
    block 1 3
    equal "$(host_bells 1)/$(host_bells 2)" "p 7/p 7"
    equal "$(presence 1 5 contacts)" "6|1|f|{}||t 7|3|f|{}||t"
    # Both have, and both lift: only the first and the last change anything.
    block 2 1
    block 1 2 false
    equal "$(host_bells 2)" ""
    equal "$(presence 1 7)" ""
    block 2 1 false
    equal "$(presence 1 7)" "8|2|t|{1}||t 9|1|t|{2}||t"
    equal "$(host_bells 2)" "p 9"
    equal "$(api "select presence from chatd_api.host_attach('x', 0, 0)")" 9
}

@test "presence_read: a change that came before a block is told, one that came later is hidden from the other" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    session_open 1 1,2,3 1,2,3
    q "delete from sessions where user_id = 1"
    # Of who is away nothing is told; but that somebody went is, though it is read only now. Who is away
    # because the host is, learns what has changed meanwhile.
    block 2 1
    equal "$(presence 1 3)" "4|1|f|all|{}|f 5|2|f|{1}||t 6|1|f|{}||t"
    session_open 1 4 1
    equal "$(presence 1 6)/$(presence 2 6)" "7|1|t|all|{2}|f/7|1|t|all|{}|f"
    # Who reads only now has not heard that the one was away meanwhile.
    equal "$(presence 1 5)" "6|1|f|{2}||t 7|1|t|all|{2}|f"
    # Where both have, the first one counts.
    block 1 2
    block 2 1 false
    equal "$(presence 1 6)" "7|1|t|all|{2}|f"
    equal "$(api "select change, user_id, hidden from chatd_api.presence_read_user(2, 6, 9, 'all')")" "7|1|{2}"
    equal "$(api "select change, user_id, hidden from chatd_api.presence_read_user(3, 6, 9, 'all')")" "7|1|"
    q "delete from sessions where user_id = 2"
    # Lifted while one is away: told of when that one comes.
    block 1 2 false
    equal "$(presence 1 7)" "8|2|f|all|{}|f 9|1|t|{2}||t 10|2|f|{}||t"
    session_open 1 5 2
    equal "$(presence 1 10)" "11|2|t|all|{}|f"
    # Who sees somebody again who has gone since is told nothing of it.
    q "delete from sessions where user_id = 1"
    equal "$(presence 1 8 all 3)" "9|1|f|{}||t 10|2|t|{1}||t 11|2|t|all|{}|f"
}

@test "presence_read: of one whom very many have blocked, those of this host are hidden from as of anybody" {
    host_open 1 >/dev/null
    host_open 2 >/dev/null
    q "insert into users (username, email, password_hash) select 'u' || n, 'u' || n, 'hash' from generate_series(5, 1003) n;
       insert into blocks (user_id, blocked_id) select id, 1 from users where id > 2"
    session_open 1 1,2,3,4 1,2,3,7
    session_open 2 1 4
    equal "$(q "select count(*) from blocks where blocked_id = 1")" 1001
    local last
    last=$(q "select max(change) from blocks")
    hidden() { api "select hidden from chatd_api.presence_read(1, $last, 9, 'all') where user_id = 1"; }
    equal "$(hidden)" "{3,7}"
    q "delete from blocks where user_id > 1000"
    equal "$(hidden)" "{3,7}"
}

@test "presence_read_user: what blocks have changed, in its place among the others" {
    host_open 1 >/dev/null
    session_open 1 1,2,3 1,2,3
    block 1 2
    q "delete from sessions where user_id = 3"
    read_user() { api "select change, user_id, username, online, audience, view from chatd_api.presence_read_user(2, $1, $2, '${3:-all}')" | xargs; }
    equal "$(read_user 2 3)/$(read_user 5 3)" "4|1|ann|f|{2}|t 5|2|bob|f|{1}|t 6|3|cid|f||f/6|3|cid|f||f"
    equal "$(read_user 2 2)/$(read_user 4 1)" "4|1|ann|f|{2}|t 5|2|bob|f|{1}|t/5|2|bob|f|{1}|t"
    equal "$(read_user 2 9 off)" ""
}

@test "user_list: who is hidden by a block is shown as somebody who never came, to the two and to nobody else" {
    host_open 1 >/dev/null
    q "insert into messages (sender_id, receiver_id, content) values (1, 2, 'x'), (3, 2, 'x')"
    session_open 1 1,2,3 1,2,3
    block 2 1
    list() {
        api "select u->>'id', u->>'online', u->>'last_seen' is null
               from chatd_api.user_list($1, '$2', 0, 3, '${3:-}') l, jsonb_array_elements(l.users::jsonb) u" | xargs
    }
    equal "$(list 1 all)/$(list 2 all)" "1|true|f 2|false|t 3|true|f/1|false|t 2|true|f 3|true|f"
    equal "$(list 3 all)/$(list 2 all ann)" "1|true|f 2|true|f 3|true|f/1|false|t"
    equal "$(list 2 contacts)/$(list 3 contacts)" "1|false|t 2|true|f 3|true|f/1|false|t 2|true|f 3|true|f"
    block 2 1 false
    equal "$(list 2 all)" "1|true|f 2|true|f 3|true|f"
}
