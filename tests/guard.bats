#!/usr/bin/env bats
# bats file_tags=once
#
# What must not become dearer unnoticed, by counts, which no slow or busy machine changes: system calls
# and statements per message, memory and wake-ups of a session at rest, instructions of the parsers.
#
# Each bound has room for compilers, kernels and honest changes, about half as much again as was
# counted; a change that goes beyond has a price that its author should know. The lower bounds say that
# something was counted at all.
#
# Sanitizers have system calls, memory and instructions of their own, and are too slow for messages to
# come together: all of it is counted with the plain build only.

load lib/server

setup_file() {
    server_setup_file
    # A server that is traced, by a tracer that is no parent of it, for its pid to be its own.
    mkdir "$T/traced"
    cat >"$T/traced/chatd" <<END
#!/bin/bash
exec strace -D -f -qq -c -U calls,name -o "\$TRACE" "$BUILD/chatd" "\$@"
END
    chmod +x "$T/traced/chatd"
}

teardown_file() {
    server_teardown_file
}

# between VALUE LEAST MOST WHAT
between() {
    echo "$4: $1 (from $2 to $3)"
    awk -v v="$1" -v least="$2" -v most="$3" 'BEGIN { exit !(v >= least && v <= most) }' ||
        fail "$4: $1 is not from $2 to $3"
}

# --- system calls ---

# What traced() and statements() have counted. Not their output: a failure in $(...) fails no test.
counted=

# traced NAME COMMAND...: all system calls of a server's life in which this command is carried out.
traced() {
    export TRACE=$T/$1.strace
    BUILD=$T/traced server_start "$1" -o presence=off
    "${@:2}"
    server_stop "$1"
    # The tracer writes when all that it traced have ended.
    timeout 60 bash -c "until grep -qw total '$TRACE' 2>/dev/null; do sleep 0.05; done"
    cat "$TRACE" >&2
    counted=$(awk '$2 == "total" { print $1 }' "$TRACE")
}

# pairs NAME P W MESSAGES: P pairs have MESSAGES each.
pairs() {
    "$BUILD/bench/load" "$(server_port "$1")" users "$((2 * $2))" >"$T/$1.users"
    "$BUILD/bench/load" -u "$T/$1.users" "$(server_port "$1")" count "$2" "$3" "$4" >&2
}

# team NAME DOES COUNT: in a group of eleven who are connected one writes, or reads, so often; or one asks for the
# list of conversations, of which there are twenty. The next comes when all have been told.
team() {
    py - "$@" <<'PY'
from groups import *
n, does, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
alice, *others = [user(instance=n) for _ in range(11)]
g = group(alice, "Team", *others, name_of=n)
for i in range(19):
    group(alice, f"more {i}", *others[:2], name_of=n)
messages = [post(others[0], g, "hello", n) for _ in range(100 if does == "reads" else 1)]
clients = [connect(who.token, n) for who in (alice, *others)]
with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port(n), timeout=WAIT)) as asking:
    for i in range(count):
        if does == "writes":
            say(clients[0], g, "hello", f"{i}")
            assert [c.recv()["type"] for c in clients] == ["ack"] + ["message"] * 10
        elif does == "reads":
            mark(clients[0], "read", g, messages[i])
            assert {c.expect("receipt")["data"]["read_upto"] for c in clients} == {messages[i]}
        else:
            asking.request("GET", "/conversations", headers={"Authorization": f"Bearer {alice.token}"})
            assert len(json.loads(asking.getresponse().read())["conversations"]) == 20
PY
}

@test "system calls per delivered message, with one in flight: all processes together" {
    local few
    traced few pairs few 1 1 100
    few=$counted
    traced many pairs many 1 1 600
    # Counted: 16. Sender, receiver and broker each wait for what comes, read it and write it on; the
    # broker waits for the database, too.
    between "$(((counted - few) / 500))" 10 24 'system calls per message'
}

# each_time DOES: the system calls of each time that this is done; see team().
each_time() {
    local few
    traced "few-$1" team "few-$1" "$1" 10
    few=$counted
    traced "many-$1" team "many-$1" "$1" 90
    counted=$(((counted - few) / 80))
}

@test "system calls per message into a group of eleven, per receipt there, and per list of conversations" {
    # Counted: 52, 77 and 11. Each receiver of a message is woken, and reads and writes it; of a receipt all eleven are.
    each_time writes
    between "$counted" 35 78 'system calls per message into a group with ten receivers'
    each_time reads
    between "$counted" 50 114 'system calls per receipt in a group of eleven'
    each_time lists
    between "$counted" 7 17 'system calls per list of twenty conversations'
}

# --- statements ---

# calls FUNCTION: how often chatd has had the database carry out this one; each of its statements is
# one. A backend counts at the latest when it ends, and nobody else calls it.
calls() {
    psql -qXAt -c "select coalesce(sum(calls), 0) from pg_stat_user_functions
        where schemaname = 'chatd_api' and funcname = '$1'"
}

# Waits for the end of all of them, and shows the counts.
counts_are_complete() {
    timeout 20 bash -c 'until [[ $(psql -qXAtc "select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and application_name like '"'chatd %'"'") == 0 ]]; do sleep 0.05; done'
    psql -qXAt -c "select funcname, calls from pg_stat_user_functions where schemaname = 'chatd_api'" >&2
}

@test "PostgreSQL statements: one stores all messages that wait" {
    local before
    psql -qX -c "alter database $DB set track_functions = 'all'"
    before=$(calls message_send)
    # One more than fills the queue is refused: then all others wait.
    server_start piled -o presence=off -o batch_queue=40
    py - <<'PY'
from chat import *
n = "piled"
a, b = user(instance=n), user(instance=n)
wa, wb = connect(a.token, n), connect(b.token, n)
wa.message(b.id, "warm", "warm")
wa.expect("ack")
wb.until("message")
with nothing_stored():
    wa.message(b.id, "0", "0")
    writer_waits()
    for i in range(1, 42):
        wa.message(b.id, f"{i}", f"{i}")
    assert wa.expect("error")["id"] == "41"
assert [wa.expect("ack")["id"] for _ in range(41)] == [f"{i}" for i in range(41)]
assert [wb.until("message")["content"] for _ in range(41)] == [f"{i}" for i in range(41)]
PY
    server_stop piled
    counts_are_complete
    # The one before, the one that waits for the lock, and one for the other 40.
    between "$(($(calls message_send) - before))" 3 3 'statements for 1 + 1 + 40 messages'
}

# statements MESSAGES: those for a pair that has had so many, with one in flight: sets $sent, $read.
statements() {
    sent=$(calls message_send) read=$(calls event_read)
    server_start busy -o presence=off
    "$BUILD/bench/load" -u "$T/busy.users" "$(server_port busy)" count 1 1 "$1" >&2
    server_stop busy
    counts_are_complete
    sent=$(($(calls message_send) - sent)) read=$(($(calls event_read) - read))
}

@test "PostgreSQL statements per message, with one in flight" {
    local sent read
    psql -qX -c "alter database $DB set track_functions = 'all'"
    server_start busy -o presence=off
    "$BUILD/bench/load" "$(server_port busy)" users 2 >"$T/busy.users"
    server_stop busy
    statements 500
    # The one that stores it also brings what is delivered: events are read at the start only.
    between "$sent" 500 500 'statements that store 500 messages'
    between "$read" 0 6 'statements that read events'
}

@test "PostgreSQL statements: messages into a group on two hosts, receipts, and lists of conversations" {
    local name
    local -A before
    psql -qX -c "alter database $DB set track_functions = 'all'"
    for name in message_send event_read group_list receipt_put conversation_list; do before[$name]=$(calls "$name"); done
    server_start near -o presence=off
    server_start far -o presence=off
    py - <<'PY'
from groups import *
alice, *others = [user(instance="near") for _ in range(11)]
g = group(alice, "Team", *others, name_of="near")
near, far = [alice, *others[:5]], others[5:]
here = [connect(who.token, "near") for who in near]
clients = here + [connect(who.token, "far") for who in far]
messages = []
for i in range(20):
    say(clients[0], g, "hello", f"{i}")
    messages.append(clients[0].expect("ack")["data"]["message_id"])
    assert [c.recv()["type"] for c in clients[1:]] == ["message"] * 10
for message in messages:
    mark(clients[-1], "read", g, message)
    assert {c.expect("receipt")["data"]["read_upto"] for c in clients} == {message}
for i in range(5):
    assert len(listed(alice, "near")) == 1
# Receipts that come while a statement is under way wait for the next one, together.
with held(f"select from members where conversation_id = {g} and user_id = {alice.id} for update"):
    mark(here[0], "read", g, messages[-1])
    eventually(lambda: sql("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
                           r" and query like '%chatd_api.receipt\_put%'") == "1")
    for c in here[1:]:
        mark(c, "read", g, messages[-1])
        c.send({"type": "resume", "id": "taken"})   # is answered behind what was sent before
        while c.recv().get("id") != "taken":
            pass
for c in clients:
    assert {c.expect("receipt")["data"]["user_id"] for _ in here} == {who.id for who in near}
PY
    server_stop near
    server_stop far
    counts_are_complete
    between "$(($(calls message_send) - before[message_send]))" 20 20 'statements that store 20 messages'
    # The other host reads each, and some once more, since a bell may ring while it reads.
    between "$(($(calls event_read) - before[event_read]))" 20 60 'statements that read 20 messages, on two hosts'
    between "$(($(calls group_list) - before[group_list]))" 2 16 'statements that read the groups of 11 users'
    between "$(($(calls receipt_put) - before[receipt_put]))" 22 22 'statements for 20 + 1 + 5 receipts'
    between "$(($(calls conversation_list) - before[conversation_list]))" 5 5 'statements for 5 lists'
}

# --- sessions at rest ---

@test "a session at rest is not woken while others talk; its memory; connections to PostgreSQL" {
    server_start rest -o presence=off -o ping_interval=1h
    "$BUILD/bench/load" "$(server_port rest)" users 4 >"$T/rest.users"
    head -n 2 "$T/rest.users" >"$T/talkers"
    tail -n 2 "$T/rest.users" >"$T/sleepers"
    PYTHONPATH=$ROOT/tests/bench:$PYTHONPATH py - "$BUILD/bench/load" <<'PY'
from chat import *
import proc
load = sys.argv[1]
COUNT = 40
p = subprocess.Popen([load, "-u", f"{T}/sleepers", str(port("rest")), "idle", str(COUNT), "8"], text=True,
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
assert json.loads(p.stdout.readline())["sessions"] == COUNT
sleepers = children("session b", "rest")
assert len(sleepers) == COUNT, sleepers

def switches():
    return [proc.switches([pid]) for pid in sleepers]

def all_wait():
    """Each in its poll: nothing that it began by itself is under way."""
    return all(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "S" for pid in sleepers)
eventually(all_wait)
before = switches()
subprocess.run([load, "-u", f"{T}/talkers", str(port("rest")), "count", "1", "8", "500"], check=True)
woken = [after - then for after, then in zip(switches(), before)]
# Looking at a process does not wake it. One more for what was between two waits when first looked at.
print("wake-ups:", woken)
assert max(woken) <= 1 and sum(woken) <= 4, woken
pss = proc.pss(sleepers) / COUNT
print(f"PSS: {pss:.0f} kB")
# Counted: 100 kB with 40 sessions; shared pages weigh less with more.
assert 30 <= pss <= 140, pss
faults = sum(map(proc.faults, sleepers)) / COUNT
print(f"page faults: {faults:.0f}")
# Counted: 47; each page that a library touches needlessly is one for every client.
assert 25 <= faults <= 58, faults
connections = int(sql("select count(*) from pg_stat_activity where datname = current_database()"
                      " and application_name like 'chatd %'"))
assert 3 <= connections <= 8, connections
p.stdin.close()
assert p.wait(WAIT) == 0
PY
}

@test "a session of TLS at rest: its memory, and that of a plain one next to it" {
    PYTHONPATH=$ROOT/tests/bench:$PYTHONPATH py - <<'PY'
from tls import *
import proc
COUNT = 40
pair = Pair()
def at_rest(s, who, **options):
    clients = [connect(who.token, s.name, **options) for _ in range(COUNT)]
    for c in clients:
        c.ping()
    sessions = s.children(f"session {who.name} ")
    assert len(sessions) == COUNT, sessions
    return clients, sessions
with Server(*pair.options(), "-o", f"listen=127.0.0.1, tls:127.0.0.1:{free_ports()[0]}", "-o", "ping_interval=1h") as s:
    a, b = user(instance=s.name), user(instance=s.name)
    plain_clients, plain_sessions = at_rest(s, a)
    set_address(s.name, s.addresses[1])
    tls_clients, tls_sessions = at_rest(s, b, ssl=pair.trust())
    plain, tls = (proc.pss(pids) / COUNT for pids in (plain_sessions, tls_sessions))
print(f"PSS: {tls:.0f} kB, a plain session {plain:.0f} kB")
# Counted: 291 and 105 kB with 40 of each; libcrypto's heap is most of it.
assert 100 <= tls <= 420 and 30 <= plain <= 160, (tls, plain)
PY
}

# --- instructions ---

# instructions PARSER: of one input, without start and end of the program.
instructions() {
    local times
    for times in 100 300; do
        valgrind --tool=callgrind --callgrind-out-file=/dev/null "$BUILD/bench/parse" "$1" "$times" 2>&1 |
            awk '/ refs:/ { gsub(",", "", $NF); print $NF }'
    done | awk 'NR == 1 { few = $1 } NR == 2 { printf "%d\n", ($1 - few) / 200 }'
}

@test "instructions of the parsers" {
    # A request head of 392 bytes, with eight fields: 30 a byte.
    between "$(instructions http)" 3000 18000 'instructions for a request'
    # 1,000 bytes unmasked and checked for UTF-8, some of them at once: 2 a byte.
    between "$(instructions ws)" 500 4000 'instructions for a WebSocket frame'
    # 113 bytes of JSON read twice, strictly and by json-c, which allocates a dozen times.
    between "$(instructions frame)" 5000 28000 'instructions for a chat frame'
    between "$(instructions json)" 500 4000 'instructions for the strict look at it'
}
