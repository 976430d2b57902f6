#!/usr/bin/env bats
# The bench works: the load generator counts right and notices what is wrong, the table follows from
# the records, and a run leaves nothing behind, however it ends. How fast anything is, is no test.

load lib/server

setup_file() {
    server_setup_file
    server_start
    "$BUILD/bench/load" "$(server_port)" users 8 >"$T/users"
}

teardown_file() {
    server_teardown_file
}

# generate MODE …: the load generator, against the server of this file.
generate() {
    "$BUILD/bench/load" -u "$T/users" "$(server_port)" "$@"
}

# bench ARGUMENT …: the program that make bench calls, without the baselines.
bench() {
    "$ROOT/tests/bench/run" --quick --systems chatd --out "$T/results" "$@"
}

rows() {
    psql -qXAt -c 'select count(*) from chatd.messages'
}

# --- the load generator ---

@test "users are registered, and their tokens and passwords work" {
    [[ $(wc -l <"$T/users") == 8 ]]
    local id name password token
    read -r id name password token < <(tail -n 1 "$T/users")
    [[ $(id_of "$name") == "$id" ]]
    api GET /users '' "$token"
    [[ $status == 200 ]]
    api POST /login "{\"username\":\"$name\",\"password\":\"$password\"}"
    [[ $status == 200 ]]
}

@test "count: each message is sent, acknowledged, received in order and stored, once" {
    local before
    before=$(rows)
    generate count 3 4 50 >"$T/result"
    cat "$T/result"
    jq -se 'length == 1 and (.[0] | .mode == "count" and .sent == 150 and .acked == 150
            and .received == 150 and .messages == 150 and .reordered == 0)' "$T/result"
    (($(rows) == before + 150))
}

@test "pairs: what is under way at the end of the time arrives, and is counted" {
    local before
    before=$(rows)
    generate pairs 4 8 0.1 0.2 >"$T/result"
    cat "$T/result"
    jq -e --argjson rows "$(($(rows) - before))" '.sent >= 32 and .sent == .acked and .sent == .received
        and .sent == $rows and .messages <= .sent and .receipt_p50_ms <= .receipt_p99_ms' "$T/result"
}

@test "http: with and without keep-alive every request has its answer, and that is the server's" {
    local token other kind
    token=$(awk 'NR == 1 { print $4 }' "$T/users")
    other=$(awk 'NR == 2 { print $1 }' "$T/users")
    api GET "/messages/$other" '' "$token"
    for kind in keepalive close; do
        generate http 3 0.2 $kind /users >"$T/result"
        cat "$T/result"
        jq -e '.answers >= 3 and .answers >= .requests' "$T/result"
        # One connection asks for the first user, whose answer is known.
        generate http 1 0.2 $kind "/messages/$other" >"$T/result"
        jq -e --argjson size "$(wc -c <"$T/body")" '.bytes_each == $size' "$T/result"
    done
}

@test "http: an answer in chunks is followed to its end, and its bytes are those of the body" {
    local token kind
    token=$(awk 'NR == 1 { print $4 }' "$T/users")
    psql -qX -c "insert into chatd.users (username, email, password_hash)
                 select 'crowd' || n, n || '@crowd.example', '' from generate_series(1, 2500) n"
    api GET /users '' "$token"
    grep -qi '^transfer-encoding: chunked' "$T/headers"
    for kind in keepalive close; do
        generate http 1 0.2 $kind /users >"$T/result"
        cat "$T/result"
        jq -e --argjson size "$(wc -c <"$T/body")" '.answers > 0 and .bytes_each == $size' "$T/result"
    done
    psql -qX -c "delete from chatd.users where username like 'crowd%'"
}

@test "login: every request has its answer" {
    generate login 2 0.2 >"$T/result"
    cat "$T/result"
    jq -e '.mode == "login" and .answers >= 2' "$T/result"
}

@test "idle: so many sessions are there, all at once or a few at a time, until the input ends" {
    py - "$BUILD/bench/load" "$T/users" <<'PY'
from chat import *
load, users = sys.argv[1:]
ids = {int(line.split()[0]) for line in open(users)}
token = open(users).readline().split()[3]
watcher = user()

def online():
    return {u["id"] for u in api("GET", "/users", token=watcher.token)[1] if u["online"]}
for at_once in "4", "20":
    p = subprocess.Popen([load, "-u", users, str(port()), "idle", "20", at_once], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    opened = json.loads(p.stdout.readline())
    assert opened["mode"] == "open" and opened["sessions"] == 20, opened
    eventually(lambda: len(children("session b")) == 20 and online() == ids)
    p.stdin.close()
    rest = json.loads(p.stdout.readline())
    assert rest["mode"] == "rest" and rest["sessions"] == 20, rest
    assert p.wait(WAIT) == 0
    eventually(lambda: not online())
PY
}

@test "resume: each time all that was missed comes" {
    local cursor me
    read -r me _ _ token <"$T/users"
    cursor=$(curl -sN -m 20 -H "Authorization: Bearer $token" "$(server_url)/events?cursor=" |
        head -n 1 | jq -r .data.cursor)
    psql -qX -c "insert into chatd.messages (sender_id, receiver_id, content)
        select (select max(id) from chatd.users where id <> $me), $me, n from generate_series(1, 30) n"
    generate resume "$cursor" 3 >"$T/result"
    cat "$T/result"
    jq -e '.times == 3 and .frames_each == 30' "$T/result"
}

# A server that is wrong in one way, for one pair: WHAT is done to each message.
@test "a server that repeats, invents or changes something, or closes, is noticed" {
    py - "$BUILD/bench/load" <<'PY'
from chat import *
import asyncio
load = sys.argv[1]
with open(f"{T}/two", "w") as f:
    f.write("1 one password token-1\n2 two password token-2\n")

def wrong_server(what):
    ends = {}

    async def serve(ws):
        me = wsclient.request_fields(ws)["Authorization"][-1]
        ends[me] = ws
        async for text in ws:
            frame = json.loads(text)
            while "2" not in ends:
                await asyncio.sleep(0.01)
            message = {"type": "message", "content": frame["content"], "data": {}}
            ack = {"type": "ack", "id": frame["id"], "data": {"duplicate": False}}
            try:
                await what(ws, ends["2"], ack, message)
            except wsclient.ConnectionClosed:
                return

    async def begin():
        return await wsclient.serve(serve, "127.0.0.1", 0)
    return run(begin())

def dump(v):
    return json.dumps(v, separators=(",", ":"))

async def good(sender, receiver, ack, message):
    await receiver.send(dump(message))
    await sender.send(dump(ack))

async def message_twice(sender, receiver, ack, message):
    await receiver.send(dump(message))
    await receiver.send(dump(message))

async def ack_twice(sender, receiver, ack, message):
    await sender.send(dump(ack))
    await sender.send(dump(ack))

async def duplicate(sender, receiver, ack, message):
    ack["data"]["duplicate"] = True
    await sender.send(dump(ack))

async def unknown_number(sender, receiver, ack, message):
    await receiver.send(dump(message | {"content": "77 is no message"}))

async def other_id(sender, receiver, ack, message):
    await sender.send(dump(ack | {"id": "else"}))

async def error(sender, receiver, ack, message):
    await sender.send(dump({"type": "error", "error": "no", "data": {"code": "overloaded"}}))

async def close(sender, receiver, ack, message):
    await receiver.close()

for what, said in ((good, None), (message_twice, "came twice"), (ack_twice, "two acks"),
                   (duplicate, "not the ack of a new message"), (unknown_number, "not under way"),
                   (other_id, "unexpected frame"), (error, "the server says"), (close, "closed")):
    server = wrong_server(what)
    number = server.sockets[0].getsockname()[1]
    p = subprocess.run([load, "-u", f"{T}/two", str(number), "count", "1", "1", "5"], timeout=WAIT * 4,
                       capture_output=True, text=True)
    if said is None:
        assert p.returncode == 0 and json.loads(p.stdout)["received"] == 5, p
    else:
        assert p.returncode == 1 and said in p.stderr and not p.stdout, (what, p)
    server.close()
PY
}

# A server of groups by hand, wrong in one way: WHAT is sent to whom for each message.
@test "groups: each message reaches each receiver once, or that is noticed" {
    py - "$BUILD/bench/load" <<'PY'
from frames import *
import asyncio, re
load = sys.argv[1]
with open(f"{T}/groups", "w") as f:
    f.writelines(f"{n} user{n} password token-{n}\n" for n in range(1, 7))

def dump(v):
    return json.dumps(v, separators=(",", ":"))

async def payload(reader):
    """Of the next frame; they are short."""
    _, n = await reader.readexactly(2)
    n &= 0x7f
    if n == 126:
        n = int.from_bytes(await reader.readexactly(2), "big")
    mask = await reader.readexactly(4)
    return bytes(b ^ mask[i % 4] for i, b in enumerate(await reader.readexactly(n)))

def wrong_server(what, refuses=False):
    made, ends = {}, {}     # by user: the group's members

    async def make(reader, writer, head):
        [size] = re.findall("Content-Length: (\\d+)", head)
        asked = json.loads(await reader.readexactly(int(size)))
        body = f'{{"id":{100 + len(made)},"kind":"group"}}'
        made[100 + len(made)] = asked["members"]
        status = "405 Method Not Allowed" if refuses else "201 Created"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        [me] = re.findall("token-(\\d+)", head)
        if head.startswith("POST /conversations "):
            return await make(reader, writer, head)
        ends[int(me)] = writer
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        while True:
            try:
                asked = json.loads(await payload(reader))
            except asyncio.IncompleteReadError:
                return
            message = dump({"type": "message", "content": asked["content"], "data": {}})
            ack = dump({"type": "ack", "id": asked["id"], "data": {"duplicate": False}})
            members = made[asked["data"]["conversation_id"]]
            for end, said in what(writer, [ends[m] for m in members], ack, message):
                end.write(frame(TEXT, said.encode(), masked=False))

    async def begin():
        return await asyncio.start_server(serve, "127.0.0.1", 0)
    return run(begin())

def good(sender, receivers, ack, message):
    return [(sender, ack), *((r, message) for r in receivers)]

def twice(sender, receivers, ack, message):
    return [(receivers[0], message)] * 2

def ack_twice(sender, receivers, ack, message):
    return [(sender, ack)] * 2

def to_sender(sender, receivers, ack, message):
    return [(sender, message)]

for what, refuses, said in ((good, False, None), (good, True, "was not made: 405"), (twice, False, "came twice"),
                            (ack_twice, False, "two acks"), (to_sender, False, "not the ack")):
    server = wrong_server(what, refuses)
    p = subprocess.run([load, "-u", f"{T}/groups", str(server.sockets[0].getsockname()[1]), "groups", "2", "2",
                        "3", "0", "0.2"], timeout=WAIT * 4, capture_output=True, text=True)
    if said is None:
        result = json.loads(p.stdout)
        assert p.returncode == 0 and result["groups"] == 2 and result["reordered"] == 0, p
        assert result["sent"] >= 6 and result["sent"] == result["acked"], p
        assert result["received"] == 2 * result["sent"] and result["receipt_p50_ms"] > 0, p
    else:
        assert p.returncode == 1 and said in p.stderr and not p.stdout, (what, p)
    server.close()
PY
}

@test "arguments that make no sense are refused with a sentence" {
    local line
    while read -r line; do
        # shellcheck disable=SC2086 # words
        run "$BUILD/bench/load" $line
        echo "$line: $output"
        [[ $status == 1 && $output == load:* && $output != *connect:* ]]
    done <<END

80
80 nothing
0 users 1
80 users none
80 pairs 1 1 1 1
-u $T/users 80 pairs 1 65 1 1
-u $T/users 80 pairs 1000 1 1 1
-u $T/users 80 groups 2 4 1 1 1
-u $T/users 80 groups 1 1 65 1 1
-u $T/users 80 http 1 1 sometimes /users
-u $T/absent 80 pairs 1 1 1 1
END
}

# --- what is made of it ---

@test "counts that differ fail a run, and so does disorder where order is promised" {
    PYTHONPATH=$ROOT/tests/bench py - <<'PY'
from scene import Failed, check_counts, check_groups
good = {"sent": 5, "acked": 5, "received": 5, "reordered": 0}
check_counts(good, 5, True)
check_counts(good | {"reordered": 1}, 5, False)
for result, rows in (good, 4), (good, 6), (good | {"acked": 4}, 5), (good | {"received": 4}, 5), \
        (good | {"sent": 6}, 5), (good | {"reordered": 1}, 5):
    try:
        check_counts(result, rows, True)
    except Failed:
        continue
    raise AssertionError((result, rows))
group = good | {"receivers": 3, "received": 15}
check_groups(group, 5, True)
for result, rows in (group, 4), (group | {"received": 14}, 5), (group | {"received": 12}, 5):
    try:
        check_groups(result, rows, True)
    except Failed:
        continue
    raise AssertionError((result, rows))
PY
}

@test "the table: medians, the ratio run by run with its spread, the target and whether it is met" {
    PYTHONPATH=$ROOT/tests/bench py - "$T" <<'PY'
import sys
import report

def record(mode, case, system, run, **figures):
    return {"mode": mode, "case": case, "system": system, "run": run} | figures

def cells(records, label):
    lines = [line for line in report.table(records, False).splitlines() if line.startswith(f"| {label} |")]
    assert len(lines) == 1, (label, lines)
    return [cell.strip() for cell in lines[0].split("|")[2:-1]]
case = {"P": 50, "W": 1}
rates = {"chatd": [3000, 5000, 4000], "baseline": [1000, 2000, 2500]}
records = [record("pairs", case, system, run, per_second=rate, receipt_p50_ms=1, receipt_p99_ms=2)
           for system, list_ in rates.items() for run, rate in enumerate(list_)]
label = "pairs P=50 W=1, durable messages"
assert cells(records, label) == ["4,000 /s", "baseline", "2,000", "2.50 (1.60–3.00)", "≥ 2 ×", "yes"]
slow = [r | {"per_second": r["per_second"] / 1.4} if r["system"] == "chatd" else r for r in records]
assert cells(slow, label)[-2:] == ["≥ 2 ×", "**no**"]      # by the median, not by the best
both = records + [r | {"system": "batching", "per_second": 4200} for r in records[3:]]
lines = [line.split("|")[3:8] for line in report.table(both, False).splitlines() if label in line]
assert [[cell.strip() for cell in line] for line in lines] == [
    ["baseline", "2,000", "2.50 (1.60–3.00)", "≥ 2 ×", "yes"],
    ["batching", "4,200", "0.95 (0.71–1.19)", "≥ 1 ×", "**no**"]], lines
assert cells(records[:3], label)[1:] == ["", "", "", "≥ 2 ×", ""]      # chatd alone: nothing to judge by
idle = [record("idle", {"N": 9}, s, 0, session_kb=kb, pss_kb=1, connections=5, wakeups=0)
        for s, kb in (("chatd", 251), ("baseline", 20))]
assert cells(idle, "idle N=9, a session all in")[-2:] == ["≤ 170 kB", "**no**"]      # its own figure
assert cells(idle, "idle N=9, wake-ups of a session at rest")[-1] == "yes"
crowd = [record("crowd", {"N": n, "P": 1}, "chatd", 0, per_second=rate, receipt_p99_ms=1)
         for n, rate in ((0, 1000), (9, 840))]
assert cells(crowd, "pairs P=1 amid N=9, rate") == ["840 /s", "N=0", "1,000", "0.84", "≥ 0.85 ×", "**no**"]
login = {"connections": 1, "cost": 10}
alone, beside = login | {"beside": "nothing"}, login | {"beside": "messages"}
logins = [record("login", alone, "chatd", 0, per_second=9.5),
          record("login", alone, "crypt", 0, per_second=10),
          record("login", beside, "chatd", 0, per_second=5, quiet_p99_ms=1, busy_p99_ms=9),
          record("login", beside, "crypt", 0, per_second=10, busy_p99_ms=8)]
assert "| yes |" in report.table(logins, False) and "**no**" not in report.table(logins, False)
PY
}

@test "a whole run, small, against chatd alone: records, a table, and nothing left" {
    # A history of more than a chunk: the second is filled in another way.
    run bench --set 'history=[200,10200]' --set resumes=5 same pairs groups idle lists history retention hosts primary storm
    echo "$output"
    [[ $status == 0 ]]
    jq -se 'map(.mode) | unique == ["groups", "history", "hosts", "idle", "lists", "pairs", "primary", "retention", "storm"]' "$T/results/results.jsonl"
    jq -se 'map(select(.mode == "pairs")) | length == 3 and all(.sent > 0 and .sent == .received)' \
        "$T/results/results.jsonl"
    grep -q '^| pairs P=1 W=1, median latency | .* ms |' "$T/results/table.md"
    grep -q '^| groups G=2 R=3 W=1, deliveries | .* /s |' "$T/results/table.md"
    grep -q '^| 2 hosts, a service each, durable messages | .* /s |' "$T/results/table.md"
    grep -q '^| PostgreSQL alone, 2 writers in 2 databases, messages stored | .* /s |' "$T/results/table.md"
    grep -q '^| storm of 50, connects | ' "$T/results/table.md"
    grep -q '^| GET /conversations, 50 of 60, 2,000 messages stored, all unread, 4 connections | ' \
        "$T/results/table.md"
    [[ -z $(find "$T/results" -name 'work.*') ]]
}

# ended HOW: a run that is ended so, in the middle of its load, leaves no process and no folder.
ended() {
    py - "$ROOT" "$T/ended-$1" "$1" <<'PY'
from chat import *
import glob, signal
sys.path.insert(0, sys.argv[1] + "/tests/bench")
import proc
out, how = sys.argv[2], getattr(signal, sys.argv[3])
log = open(f"{out}.log", "w")
p = subprocess.Popen([f"{sys.argv[1]}/tests/bench/run", "--systems", "chatd", "--out", out, "pairs"],
                     stdout=log, stderr=log, start_new_session=True)

def command(pid):
    try:
        return open(f"/proc/{pid}/cmdline").read().replace("\0", " ")
    except OSError: # it has ended meanwhile
        return ""
def titles():
    return [command(q) for q in proc.tree(p.pid)]
# Its load is under way: sessions have users, and send.
eventually(lambda: p.poll() is not None or any("/bench/load" in t and " pairs " in t for t in titles()), 120)
assert p.poll() is None, open(f"{out}.log").read()
[postmaster] = glob.glob(f"{out}/work.*/cluster/pg/postmaster.pid")
with open(postmaster) as f:
    pids = [int(f.readline()), *proc.tree(p.pid)]
assert len(pids) > 8, pids
os.kill(p.pid, how)
p.wait(60)
eventually(lambda: not glob.glob(f"{out}/work.*"), 60)

def is_left(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
eventually(lambda: not any(map(is_left, pids)), 60)
PY
}

@test "a run that is interrupted leaves nothing" {
    ended SIGINT
    grep -q 'ended by SIGINT' "$T/ended-SIGINT.log"
    [[ -e $T/ended-SIGINT/table.md ]]
}

@test "a run that is killed leaves nothing" {
    ended SIGKILL
}

# --- the baselines, as far as they can be looked at without Node.js and Go ---

@test "the baseline that batches needs only what Debian's packages bring, and those are installed" {
    py - "$ROOT" <<'PY'
import glob, re, sys
packages = {"github.com/jackc/": "golang-github-jackc-pgx-v4-dev", "golang.org/x/crypto/": "golang-golang-x-crypto-dev",
            "github.com/gorilla/websocket": "golang-github-gorilla-websocket-dev"}
used = set()
for path in glob.glob(f"{sys.argv[1]}/tests/bench/batching/*.go"):
    text = open(path).read()
    assert len(text.splitlines()) < 300, path
    for name in re.findall(r'^(?:import |\t)"([\w./-]+)"$', text, re.M):
        if "." in name.split("/")[0]:      # not of Go's own library
            used.update(p for start, p in packages.items() if name.startswith(start))
            assert name.startswith(tuple(packages)), (path, name)
assert used == set(packages.values()), used
installed = open(f"{sys.argv[1]}/tests/tools/install").read()
for name in "golang-go", *used:
    assert re.search(rf"^bench  {name} ", installed, re.M), name
PY
}

@test "the baseline's packages are pinned, with their integrity and without an address" {
    py - "$ROOT/tests/bench/baseline" <<'PY'
import json, re, sys
package = json.load(open(f"{sys.argv[1]}/package.json"))
assert package["dependencies"] and all(re.fullmatch(r"\d+\.\d+\.\d+", v) for v in package["dependencies"].values())
text = open(f"{sys.argv[1]}/package-lock.json").read()
locked = {k: v for k, v in json.loads(text)["packages"].items() if k}
assert all(v["integrity"].startswith("sha512-") and "resolved" not in v for v in locked.values())
for name, version in package["dependencies"].items():
    assert locked[f"node_modules/{name}"]["version"] == version
assert "://" not in text
for name in "server.js", "conversations.js":
    assert len(open(f"{sys.argv[1]}/{name}").read().splitlines()) < 250, name
PY
}
