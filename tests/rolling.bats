#!/usr/bin/env bats
# Several hosts as chatd(8) sets them up, word for word: three behind HAProxy, with TLS, and PostgreSQL
# with a standby. They are upgraded one by one, with a migration, while clients write; then the primary
# dies. No request of a client that tries again fails, and no message is lost or comes twice.
#
# PREVIOUS=DIR, a checkout of another version with its build: the hosts begin as that one, and the
# migrations between are real.

load lib/server

HOSTS="11 12 13"

setup_file() {
    unset TEST_CLUSTER
    server_setup_file
    PORTS=$(py -c 'from server import *; print(*free_ports(4))')
    export PRIMARY=$PGHOST STANDBY PORTS
    password >/dev/null
    blocks >"$T/chapter"
    block 1 21 >>"$TEST_CLUSTER/pg/pg_hba.conf"
    mkdir "$T/standby"
    follow 21 2
    follow 22 3
    STANDBY=$("$ROOT/tests/tools/cluster" env "$T/standby" | sed -n 's/^PGHOST=//p')
    # The database is one that chatctl init makes.
    DB+=_hosts
    export PGDATABASE=$DB
    local host
    for host in $HOSTS; do
        # As make install makes it.
        mkdir -m 0755 "$T/$host" && mkdir -m 0700 "$T/$host/chatd" "$T/$host/private"
        block 5 "$host" >"$T/$host/chatd.conf"
        settings "$host" >>"$T/$host/chatd.conf"
    done
    py -c 'import os, certificates; certificates.Pair(os.environ["T"] + "/11/private", "chat")'
    cp "$T/11/private/chat.pem" "$T"
    if [[ ${PREVIOUS:-} ]]; then
        installed "$PREVIOUS/build" "$PREVIOUS/sql"
    else
        installed "$BUILD" "$ROOT/sql"
    fi
}

teardown_file() {
    [[ $(psql -qXAt -d postgres -c 'select 1' 2>/dev/null) == 1 ]] || export PGHOST=$STANDBY
    server_teardown_file
    "$ROOT/tests/tools/cluster" stop "$T/standby"
}

# What "make install" would have put there last: programs and migrations.
installed() {
    ln -sfn "$1" "$T/programs"
    ln -sfn "$2" "$T/sql"
}

# The literal lines of the chapter, each behind the number of its block.
blocks() {
    sed -n '/^\.Sh SEVERAL HOSTS/,/^\.Sh CHANGING/p' "$ROOT/man/chatd.8" |
        awk '/^\.Bd -literal/ { block++; code = 1; next } /^\.Ed/ { code = 0 } code { print block, $0 }'
}

# Addresses and folders as they are here, for HOST in place of the first.
here() {
    local tls admin front all
    read -r tls admin front all <<<"$PORTS"
    sed -e "s|^host \(.*\) 10\.0\.0\.22/32|local \1|; s|/var/lib/postgresql/15/main|$T/standby/pg|" \
        -e "s|10\.0\.0\.11:/usr/local/etc|$T/11|; s|/usr/local/etc|$T/$1|g" \
        -e "s|10\.0\.0\.11:/etc/ssl|$T/11|; s|/etc/ssl|$T/$1|g" \
        -e "s|10\.0\.0\.21,10\.0\.0\.22|$PRIMARY,$STANDBY|; s|10\.0\.0\.21|$PRIMARY|; s|10\.0\.0\.22|$STANDBY|" \
        -e "s|10\.0\.0\.5|127.0.0.1|; ${2:-s|10\.0\.0\.11|127.0.0.$1|}; s|10\.0\.0\.1|127.0.0.1|" \
        -e "s|:8443|:$tls|; s|:8079|:$admin|; s|port 8079|port $admin|; s|:443|:$front|; s|:8404|:$all|"
}

# block NUMBER HOST
block() {
    sed -n "s/^$1 //p" "$T/chapter" | here "$2"
}

# What a test needs beside the lines of the chapter.
settings() {
    printf '%s\n' "db_name = $DB" "db_user = $DB" "run_dir = $T/$1.run" 'user = daemon' 'session_user = nobody' \
        'bcrypt_cost = 4' 'register_rate = 0' 'max_connections_per_address = 1000'
}

# What the lines call, where there is no systemd, chatd is not installed, and one machine is all hosts.
systemctl() {
    case $* in
    'start postgresql')
        ((EUID != 0)) || chown -R postgres: "$T/standby/pg"
        "$ROOT/tests/tools/cluster" start --fast "$T/standby"
        ;;
    'enable --now chatd') host_start "$host" ;;
    'restart chatd')
        server_stop "$host"
        host_start "$host"
        ;;
    *) return 1 ;;
    esac
}

# Without a terminal they read the password, which createuser wants twice, from standard input.
createuser() {
    setsid -w createuser "$@" < <(printf '%s\n' "$(password)" "$(password)")
}

pg_basebackup() {
    setsid -w pg_basebackup "$@" < <(printf '%s\n' "$(password)")
}

scp() {
    cp "$@"
}

chatctl() {
    "$T/programs/chatctl" -f "$T/$host/chatd.conf" --sql "$T/sql" "$@"
}

host_start() {
    local line
    [[ -p $T/$1.ready ]] || mkfifo "$T/$1.ready"
    (
        exec 8<>"$T/$1.ready" 3>&-
        cd "$T" || exit
        exec setsid "$T/programs/chatd" -f "$T/$1/chatd.conf" -o ready_fd=8 >>"$T/$1.log" 2>&1 </dev/null
    ) &
    echo $! >"$T/$1.pid"
    disown
    read -r -t 30 line <>"$T/$1.ready" || {
        cat "$T/$1.log" >&2
        fail "chatd on host $1 did not become ready"
    }
}

haproxy_start() {
    here 11 's|x|x|' <"$ROOT/packaging/examples/haproxy-hosts.cfg" >"$T/haproxy.cfg"
    haproxy -db -f "$T/haproxy.cfg" >>"$T/haproxy.log" 2>&1 </dev/null 3>&- &
    echo $! >"$T/haproxy.pid"
    disown
    echo "127.0.0.1:$(cut -d ' ' -f 3 <<<"$PORTS")" >"$T/haproxy.address"
}

# follow HOST NUMBER…: these blocks, on this host.
follow() {
    local host=$1 number
    shift
    cd "$T"
    for number; do
        block "$number" "$host" >"$T/block"
        cat "$T/block"
        # doctor does not like that this cluster would not survive a crash, and 1 says that something is missing.
        sed -i 's/^chatctl doctor$/chatctl doctor || true/; s/^chatctl migrate -n$/chatctl migrate -n || (($? == 1))/' "$T/block"
        (
            set -e
            # shellcheck disable=SC1091 # made above
            . "$T/block"
        )
    done
}

# Clients, until load_end; see rolling.py.
load_start() {
    rm -f "$T/load.in" "$T/load.out"
    mkfifo "$T/load.in" "$T/load.out"
    py "$ROOT/tests/lib/rolling.py" "$T/chat.pem" 2 <"$T/load.in" >"$T/load.out" 2>"$T/load.err" 3>&- &
    load=$!
    exec 5>"$T/load.in" 6<"$T/load.out"
}

# Each client has got further since.
load_more() {
    local line
    echo more >&5
    read -r -t 120 line <&6 || true
    [[ $line == more ]] || {
        cat "$T/load.err" >&2
        fail "the clients did not get further"
    }
}

load_end() {
    local line
    echo "end $PGHOST" >&5
    read -r -t 120 line <&6 || cat "$T/load.err" >&2
    exec 5>&- 6<&-
    wait "$load"
    echo "# $line" >&3
}

# A version of which the migration only adds. Functions that are prepared return one more column.
next_version() {
    local last
    mkdir "$T/next"
    cp "$ROOT"/sql/migrate "$ROOT"/sql/0*.sql "$T/next"
    last=$(find "$ROOT/sql" -name '0*.sql' | wc -l)
    {
        echo "-- compatible-from: $last"
        echo 'create table chatd.additions (id bigint primary key, text text);'
        echo 'alter table chatd.messages add column addition bigint, add column added boolean not null default false;'
        py -c 'from widened import *; print(widened("message_send", "event_read", "event_read_user", "session_open", "user_list", "message_history"))'
    } >"$T/next/$(printf '%04d' $((last + 1)))_additions.sql"
}

@test "the chapter has the commands that the tests below follow, and the example is what it shows" {
    cut -d ' ' -f 1,2 "$T/chapter" | sed '/^[158] /d' >"$T/commands"
    cat "$T/commands"
    [[ $(tr '\n' ',' <"$T/commands") == '2 createuser,2 psql,3 pg_basebackup,3 systemctl,4 psql,4 psql,4 psql,6 chatctl,6 chatctl,6 systemctl,7 scp,7 scp,7 chatctl,7 chatctl,7 systemctl,9 chatctl,10 chatctl,11 systemctl,11 until,11 until,12 psql,12 psql,12 psql,' ]]
    diff <(sed -n 's/^8 //p' "$T/chapter") <(sed -n '/^defaults/,$p' "$ROOT/packaging/examples/haproxy-hosts.cfg" | sed '/^ *#/d')
}

@test "each commit waits for a standby that was set up as chatd(8) says" {
    # A reload takes its time.
    for _ in {1..50}; do
        follow 21 4 >"$T/said"
        ! grep -q '| sync$' "$T/said" || break
        sleep 0.1
    done
    cat "$T/said"
    grep '| sync$' "$T/said"
    [[ $(psql -qXAt -d postgres -c 'select slot_name, active from pg_replication_slots') == 'standby|t' ]]
}

@test "three hosts behind HAProxy, set up as chatd(8) says, are one service over TLS" {
    follow 11 6
    follow 12 7
    follow 13 7
    haproxy_start
    load_start
    load_more
    # Each has some of them.
    for host in $HOSTS; do
        [[ $(server_child 'session u' "$host") ]]
    done
    load_end
}

@test "upgraded one by one, with a migration, while clients write: no request fails, no message is lost or comes twice" {
    local host
    load_start
    load_more
    if [[ ${PREVIOUS:-} ]]; then
        installed "$BUILD" "$ROOT/sql"
    else
        next_version
        installed "$BUILD" "$T/next"
    fi
    follow 12 9 >"$T/said"
    cat "$T/said"
    grep -x 'program chatd: may run on: .*' "$T/said"
    follow 12 10
    # The version before goes on with the new schema.
    load_more
    for host in $HOSTS; do
        follow "$host" 11
        load_more
    done
    load_end
}

@test "the primary dies while clients write, and the standby is promoted: the same" {
    load_start
    load_more
    "$ROOT/tests/tools/cluster" kill "$TEST_CLUSTER"
    follow 11 12
    export PGHOST=$STANDBY
    load_more
    load_end
}
