#!/usr/bin/env bats
# What is set for the role or the database changes nothing of what chatd does.

load lib/server

setup_file() {
    server_setup_file
    local on setting
    for on in "role $DB" "database $DB" "role $DB in database $DB"; do
        for setting in 'statement_timeout = 1' 'lock_timeout = 1' 'idle_session_timeout = 200' \
            'idle_in_transaction_session_timeout = 1' 'search_path = nowhere, pg_catalog' \
            "datestyle = 'German'" "intervalstyle = 'sql_standard'" "timezone = 'Asia/Kolkata'" \
            'standard_conforming_strings = off' "default_transaction_isolation = 'serializable'" \
            'default_transaction_read_only = on' 'default_transaction_deferrable = on' \
            "bytea_output = 'escape'" 'extra_float_digits = -15' 'row_security = off' \
            "client_encoding = 'LATIN1'" 'jit = on' 'jit_above_cost = 0' 'synchronous_commit = off' \
            'enable_indexscan = off' 'enable_nestloop = off' 'plan_cache_mode = force_custom_plan' \
            'array_nulls = off' 'transform_null_equals = on'; do
            psql -qX -d postgres -c "alter $on set $setting"
        done
        (($(psql -qXAt -d postgres -c 'show server_version_num') < 170000)) ||
            psql -qX -d postgres -c "alter $on set transaction_timeout = 1000"
    done
    # What this file itself asks.
    export PGOPTIONS='-c statement_timeout=0 -c lock_timeout=0 -c search_path=chatd -c default_transaction_read_only=off -c idle_session_timeout=0'
}

teardown_file() {
    server_teardown_file
}

@test "the tour, with each setting that could matter set wrongly for role and database" {
    server_start main
    py - <<'PY'
from chat import *
import re
alice, bob = user(), user()
a, b = connect(alice.token), connect(bob.token)
a.message(bob.id, 'naïve ✓ \\ "x"', "m-1")
assert a.until("ack")["id"] == "m-1"
got = b.until("message")
assert got["content"] == 'naïve ✓ \\ "x"', got
assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", got["data"]["created_at"]), got
status, page = api("GET", f"/messages/{bob.id}", token=alice.token)
assert status == 200 and [m["content"] for m in page] == [got["content"]], page
assert page[0]["created_at"] == got["data"]["created_at"]
status, users = api("GET", "/users", token=bob.token)
assert status == 200 and [u["online"] for u in users] == [True, True], users
# Past idle_session_timeout: the same host is attached still.
host = sql("select max(id) from hosts")
time.sleep(1)
a.message(bob.id, "later", "m-2")
assert b.until("message")["content"] == "later"
assert sql("select max(id) from hosts") == host
PY
}

@test "a role for which triggers do not run is refused, and the log says what to do" {
    psql -qX -d postgres -c "alter role $DB in database $DB set session_replication_role = replica"
    server_start replica
    grep 'session_replication_role is set for db_user or db_name' "$T/replica.log"
    server_stop replica
    psql -qX -d postgres -c "alter role $DB in database $DB reset session_replication_role"
}

@test "a refused connection is said with the key to look at" {
    says() {
        local name=$1 text=$2
        shift 2
        server_start "$name" "$@"
        grep "cannot connect.*$text" "$T/$name.log" || { cat "$T/$name.log"; return 1; }
        server_stop "$name"
    }
    echo wrong >"$T/wrong_password"
    chmod 600 "$T/wrong_password"
    says password '28P01: .*db_password_file' -o "db_password_file=$T/wrong_password"
    says role '28P01: .*db_password_file' -o db_user=nobody_of_that_name
    says database '3D000: .*see db_name' -o db_name=no_database_of_that_name
    says port 'see db_host and db_port' -o db_port=1
    psql -qX -d postgres -c "revoke connect on database $DB from $DB"
    says rights '42501: .*run sql/migrate --role' -o log_level=info
    psql -qX -d postgres -c "grant connect on database $DB to $DB"
    psql -qX -d postgres -c "create database ${DB}_latin1 encoding 'LATIN1' locale 'C' template template0"
    PGDATABASE=${DB}_latin1 psql -qX -c 'create schema chatd_api' -c 'create function chatd_api.schema_version() returns int language sql as $$ select 11 $$' -c "grant usage on schema chatd_api to $DB"
    server_start latin1 -o "db_name=${DB}_latin1"
    grep 'has encoding LATIN1, chatd needs UTF8' "$T/latin1.log"
    ! grep 'the schema does not fit' "$T/latin1.log"
    server_stop latin1
    psql -qX -d postgres -c "drop database ${DB}_latin1 with (force)"
}

@test "a connection that is refused again and again is said once, and the readers wait for the link" {
    py - <<'PY'
from chat import *
from fakepg import *
from removal import server_start
fake = Fake()
server_start("fake", "-o", "db_host=127.0.0.1", "-o", f"db_port={fake.port}")
assert {fake.next()[0] for _ in range(12)} == {"chatd listener", "chatd writer"}
with open(f"{T}/fake.log") as log:
    said = [line for line in log if "28P01" in line]
assert len(said) == 1 and "db_password_file" in said[0], said
PY
    server_stop fake
}

@test "a password is not shown to a server that asks for it as it is, where libpq can insist (since 16)" {
    local known=yes
    [[ $(psql 'require_auth=none port=1' -c '' 2>&1) != *'invalid connection option'* ]] || known=no
    KNOWN=$known py - <<'PY'
from chat import *
from fakepg import *
from removal import server_start
fake = Fake(asks=CLEARTEXT)
server_start("shown", "-o", "db_host=127.0.0.1", "-o", f"db_port={fake.port}")
with open(f"{T}/db_password") as f:
    password = f.read()
assert fake.next()[1] == (None if os.environ["KNOWN"] == "yes" else password)
PY
    server_stop shown
}

@test "a role that may have few connections: the link comes first, and the readers take what is left" {
    [[ ! -e $T/main.pid ]] || server_stop main
    psql -qX -d postgres -c "alter role $DB connection limit 3"
    server_start few -o db_readers=5
    py - <<'PY'
from chat import *
n = "few"
def readers():
    return int(sql("select count(*) from pg_stat_activity where datname = current_database() and application_name = 'chatd pool'"))
alice, bob = user(instance=n), user(instance=n)
a, b = connect(alice.token, n), connect(bob.token, n)
a.message(bob.id, "through the link", "m-1")
assert b.until("message")["content"] == "through the link"
assert api("GET", "/users", token=alice.token, name=n)[0] == 200
assert readers() == 1
with open(f"{T}/few.log") as log:
    said = [line for line in log if "too many connections" in line]
assert said and all("lower db_readers" in line for line in said), said
subprocess.run(["psql", "-qX", "-d", "postgres", "-c", f"alter role {os.environ['DB']} connection limit -1"], check=True)
eventually(lambda: readers() == 5)
PY
    server_stop few
}
