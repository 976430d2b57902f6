#!/usr/bin/env bats
# What is served on admin_listen: the numbers, health and readiness; and what is made of them: alert
# rules and a dashboard.
#
# The cluster is this file's own, so that stopping it disturbs nobody.

load lib/server

setup_file() {
    unset TEST_CLUSTER
    server_setup_file
    server_start main -o admin_listen=127.0.0.1:0 -o presence=off
}

teardown_file() {
    server_teardown_file
}

# Whatever a test left behind.
setup() {
    "$ROOT/tests/tools/cluster" start --fast "$TEST_CLUSTER"
}

# --- the numbers ---

@test "each number has its name, help and type as Prometheus wants them, and its entry in chatd(8)" {
    py - "$ROOT" "$T/scraped" <<'PY'
from metrics import *
n = scrape()
with open(sys.argv[2], "w") as f:
    f.write(n.text)
page = open(f"{sys.argv[1]}/man/chatd.8").read()
part = re.search(r"^\.Sh MONITORING\n(.*?)^\.Sh ", page, re.M | re.S)[1]
described = [name for line in re.findall(r"^\.It Li (chatd_.*)", part, re.M) for name in line.split(" , ")]
assert len(described) == len(set(described)) > 25, described
assert set(described) == set(n.families), set(described) ^ set(n.families)
for name, kind in n.families.items():
    assert (kind == "counter") == name.endswith("_total"), (name, kind)
version = subprocess.run([CHATD, "-V"], capture_output=True, text=True).stdout.split()[1]
assert n["chatd_build_info", version] == 1 and n["chatd_broker_up"] == 1 and n["chatd_database_up"] == 1
PY
    run promtool check metrics <"$T/scraped"
    echo "$output"
    [[ $status == 0 && -z $output ]]
    # It would say so.
    sed 's/^chatd_restarts_total/chatd_restarts_total_count/' "$T/scraped" >"$T/wrong"
    run promtool check metrics <"$T/wrong"
    echo "$output"
    [[ $status != 0 ]]
}

@test "messages, requests and refusals: each number moves by what was done, and no other does" {
    py - <<'PY'
from metrics import *
# So long after it has found its database, a broker asks for the clock there again (skew.c).
QUIET = 60

def scenario(s):
    # It has asked for it a first time.
    eventually(lambda: scrape(s.name)["chatd_read_seconds_count"] == 1)
    a, b = user(instance=s.name), user(instance=s.name)
    wa, wb = connect(a.token, s.name), connect(b.token, s.name)
    wa.message(b.id, "first", "0")
    wb.until("message"), wa.until("ack")
    def settled():
        """Requests over HTTP have ended, with their sessions; and the host has read all that it has heard of."""
        n = scrape(s.name)
        return n["chatd_messages_delivered_total"] == n["chatd_delivery_seconds_count"] and n["chatd_connections"] == 2 == n["chatd_clients", "online"] and n["chatd_clients", "new"] == n["chatd_clients", "requests"] == 0
    eventually(settled)

    def moved(what):
        before = scrape(s.name)
        what()
        eventually(settled)
        return {k: v for k, v in scrape(s.name).minus(before).items() if k[0] not in ("chatd_spare_sessions",)}
    def stored(n):
        return {("chatd_requests_total", "send"): n, ("chatd_messages_stored_total",): n, ("chatd_messages_delivered_total",): n,
                ("chatd_delivery_seconds_count",): n, ("chatd_queue_wait_seconds_count", "messages"): n,
                ("chatd_commit_batch_messages_sum",): n, ("chatd_commit_seconds_count",): n, ("chatd_commit_batch_messages_count",): n}
    def one_by_one():
        for i in range(5):
            wa.message(b.id, f"{i}", f"one-{i}")
            assert wb.until("message")["content"] == f"{i}" and wa.until("ack")
    got = moved(one_by_one)
    assert got == {**stored(5), **{("chatd_commit_batch_messages_bucket", le): 5 for le in "1 2 4 8 16 32 64 128 256 512 1024 4096 +Inf".split()}}, got

    # Together in one transaction, behind one that waits for a lock.
    def together():
        with nothing_stored():
            wa.message(b.id, "x", "lock")
            writer_waits()
            for i in range(6):
                wa.message(b.id, f"{i}", f"all-{i}")
            eventually(lambda: scrape(s.name)["chatd_queue_length", "messages"] == 6)
        for _ in range(7):
            wb.until("message"), wa.until("ack")
    got = moved(together)
    sizes = {le: got.pop(("chatd_commit_batch_messages_bucket", le)) for le in "1 2 4 8 16 32 64 128 256 512 1024 4096 +Inf".split()}
    assert sizes == {**dict.fromkeys(("1", "2", "4"), 1), **dict.fromkeys(("8", "16", "32", "64", "128", "256", "512", "1024", "4096", "+Inf"), 2)}, sizes
    assert got == {**stored(7), ("chatd_commit_seconds_count",): 2, ("chatd_commit_batch_messages_count",): 2}, got

    # To nobody; and what was stored before.
    def refused():
        wa.message(2**50, "nobody", "r-1")
        assert wa.until("error")["data"]["code"] == "unknown_receiver"
        wa.message(b.id, "0", "one-0")
        assert wa.until("ack")["data"]["duplicate"] is True
    got = moved(refused)
    assert {k: v for k, v in got.items() if "batch_messages" not in k[0]} == {
        ("chatd_requests_total", "send"): 2, ("chatd_refusals_total", "unknown_receiver"): 1, ("chatd_commit_seconds_count",): 2,
        ("chatd_queue_wait_seconds_count", "messages"): 2}, got

    # A change, which both see; over HTTP.
    row = api("GET", f"/messages/{b.id}", token=a.token, name=s.name)[1][-1]
    eventually(settled)
    def change():
        assert api("PATCH", f"/conversations/{row['conversation_id']}/messages/{row['id']}", {"content": "other"}, a.token, s.name)[0] == 200
        wa.until("message_changed"), wb.until("message_changed")
    got = moved(change)
    assert got == {("chatd_requests_total", "hello"): 1, ("chatd_requests_total", "auth"): 1, ("chatd_requests_total", "edit"): 1,
                   ("chatd_connections_accepted_total",): 1, ("chatd_queue_wait_seconds_count", "changes"): 1,
                   ("chatd_queue_wait_seconds_count", "reads"): 1, ("chatd_read_seconds_count",): 1,
                   ("chatd_messages_delivered_total",): 2, ("chatd_delivery_seconds_count",): 2}, got

    # A wrong password.
    def wrong():
        assert api("POST", "/login", {"username": a.name, "password": "wrong" * 3}, name=s.name)[0] == 401
    got = moved(wrong)
    assert got == {("chatd_requests_total", "hello"): 1, ("chatd_requests_total", "login"): 1, ("chatd_refusals_total", "credentials"): 1,
                   ("chatd_connections_accepted_total",): 1, ("chatd_queue_wait_seconds_count", "auth"): 1,
                   ("chatd_queue_wait_seconds_count", "reads"): 1, ("chatd_read_seconds_count",): 1}, got

    # Nothing is done: nothing moves, whoever looks.
    assert moved(lambda: [scrape(s.name) for _ in range(3)]) == {}
    wa.close(), wb.close()

# What is too old is looked for a day later: the clock is all that a timer asks for.
for left in range(4, -1, -1):
    began = time.monotonic()
    with Server(*ADMIN, "-o", "retention_interval=1d") as s:
        try:
            scenario(s)
            break
        except AssertionError:
            # On a machine that is as slow as this, the clock may be what was counted.
            if time.monotonic() - began < QUIET or not left:
                raise
PY
}

@test "what comes by a doorbell from another host, or from psql, is delivered and counted like the rest" {
    server_start other -o presence=off -o admin_listen=127.0.0.1:0
    py - <<'PY'
from metrics import *
a, b = user(), user(instance="other")
wa, wb = connect(a.token), connect(b.token, "other")
wa.message(b.id, "warm", "w")
wb.until("message"), wa.until("ack")
here, there = scrape(), scrape("other")
wa.message(b.id, "across", "1")
assert wb.until("message")["content"] == "across" and wa.until("ack")
sql(f"insert into messages (sender_id, receiver_id, content) values ({a.id}, {b.id}, 'from psql')")
assert wb.until("message")["content"] == "from psql" and wa.until("message")
def counts(name, before):
    got = scrape(name).minus(before)
    return [got.get((k,), 0) for k in ("chatd_messages_stored_total", "chatd_messages_delivered_total", "chatd_delivery_seconds_count")]
assert counts("main", here) == [1, 1, 1] and counts("other", there) == [0, 2, 2], (counts("main", here), counts("other", there))
wa.close(), wb.close()
PY
    server_stop other
}

@test "deliveries: all that is read for a doorbell counts, page by page, and the host is behind until then" {
    py - <<'PY'
from metrics import *
a, b = user(), user()
wb = connect(b.token)
before = scrape()
# More than are read at once.
sql(f"insert into messages (sender_id, receiver_id, content) select {a.id}, {b.id}, 'm ' || n from generate_series(1, 1200) n")
for n in range(1, 1201):
    assert wb.until("message")["content"] == f"m {n}"
def counted():
    got = scrape().minus(before)
    return got.get(("chatd_delivery_seconds_count",), 0) == got["chatd_messages_delivered_total",] == 1200
eventually(counted)
assert scrape()["chatd_delivery_behind"] == 0
with locked("group_changes", "access exclusive"):
    sql(f"insert into messages (sender_id, receiver_id, content) values ({a.id}, {b.id}, 'late')")
    eventually(lambda: scrape()["chatd_delivery_behind"] == 1)
assert wb.until("message")["content"] == "late"
eventually(lambda: scrape()["chatd_delivery_behind"] == 0)
PY
}

@test "histograms: buckets are cumulative, the last is the count, and the sum lies within them" {
    py - <<'PY'
from metrics import *
a, b = user(), user()
wa, wb = connect(a.token), connect(b.token)
for i in range(20):
    wa.message(b.id, f"{i}", f"h-{i}")
for i in range(20):
    wb.until("message"), wa.until("ack")
n = scrape()
ranges = n.ranges()
assert {k[0] for k in ranges} == {k for k, v in n.families.items() if v == "histogram"} and len(ranges) >= 9, ranges
for (name, *labels), buckets in ranges.items():
    bounds = [float(le) for le, _ in buckets]
    values = [v for _, v in buckets]
    assert bounds == sorted(bounds) and bounds[-1] == float("inf") and len(set(bounds)) == len(bounds), (name, bounds)
    assert values == sorted(values) and values[-1] == n[(f"{name}_count", *labels)], (name, labels, values)
    each = [v - before for v, before in zip(values, [0, *values])]
    least = sum(v * bound for v, bound in zip(each, [0, *bounds]))
    most = sum(v * bound for v, bound in zip(each, bounds) if v)
    # Six digits of a second are written; the rest is cut off.
    assert least <= n[(f"{name}_sum", *labels)] + 1e-6 and n[(f"{name}_sum", *labels)] <= most, (name, labels, buckets)
assert n["chatd_commit_seconds_count"] >= 1 and n["chatd_commit_seconds_sum"] > 0
wa.close(), wb.close()
PY
}

@test "connections: clients, places, those that are refused by each limit, sessions that die" {
    py - <<'PY'
from metrics import *
with Server(*ADMIN, "-o", "max_clients=3", "-o", "max_clients_per_address=0", "-o", "min_spare=0", "-o", "max_spare=1") as s:
    u = user(instance=s.name)
    eventually(lambda: scrape(s.name)["chatd_connections"] == 0)
    before = scrape(s.name)
    assert before["chatd_connections_max"] == 3 and before["chatd_connections_refused_total", "max_clients"] == 0
    held = [connect(u.token, s.name), raw(name=s.name), raw(name=s.name)]
    assert read_all(raw(name=s.name)).startswith(b"HTTP/1.1 503 ")
    n = scrape(s.name)
    assert n["chatd_connections"] == 3 and n["chatd_clients", "online"] == 1, n.text
    assert n["chatd_connections_accepted_total"] - before["chatd_connections_accepted_total"] == 4
    assert n["chatd_connections_refused_total", "max_clients"] == 1 and n["chatd_connections_refused_total", "max_clients_per_address"] == 0
    [session] = s.children(f"session {u.name}")
    os.kill(session, signal.SIGKILL)
    assert held.pop(0).closed() == 1006
    eventually(lambda: scrape(s.name)["chatd_connections"] == 2)
    n = scrape(s.name)
    assert n["chatd_sessions_failed_total", "killed"] == 1 and n["chatd_sessions_failed_total", "died"] == 0
with Server(*ADMIN, "-o", "max_clients_per_address=1") as s:
    held = raw(name=s.name)
    assert read_all(raw(name=s.name)).startswith(b"HTTP/1.1 503 ")
    assert scrape(s.name)["chatd_connections_refused_total", "max_clients_per_address"] == 1
PY
}

@test "handshakes of TLS that fail are counted by reason" {
    py - <<'PY'
from tls import *
from metrics import *
pair = Pair()
with Server(*ADMIN, *pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    host, number = s.addresses[0].removeprefix("tls:").rsplit(":", 1)
    for data, reason in ((b"GET / HTTP/1.1\r\n\r\n", "tls_plain"), (b"\x17\x03\x03\x00\x01x", "tls_failed"), (b"", "tls_left")):
        before = scrape(s.name)
        with socket.create_connection((host, int(number)), WAIT) as c:
            c.sendall(data)
            if data:
                read_all(c)
        eventually(lambda: scrape(s.name)["chatd_sessions_failed_total", reason] == before["chatd_sessions_failed_total", reason] + 1)
PY
}

@test "processes that die are counted by role; the exporter counts on after its own death" {
    py - <<'PY'
from metrics import *
u = user()
ws = connect(u.token)
before = scrape()
def died(title, role):
    [old] = children(title)[:1]
    os.kill(old, signal.SIGKILL)
    eventually(lambda: old not in children(title) and len(children(title)) >= 1)
    def counted():
        with contextlib.suppress(OSError):
            return scrape()["chatd_restarts_total", role] == before["chatd_restarts_total", role] + 1
    eventually(counted)
died("broker", "broker")
eventually(lambda: scrape()["chatd_broker_up"] == 1 and scrape()["chatd_database_up"] == 1)
assert scrape()["chatd_messages_stored_total"] == 0          # it begins anew
died("auth", "auth")
died("exporter", "exporter")
assert scrape()["chatd_restarts_total", "signer"] == 0
ws.close()
PY
}

# --- health and readiness ---

@test "readyz: 503 with the reason while the database is away, 200 when it is back; healthz: 200 all the time" {
    py - <<'PY'
from metrics import *
from postgres import *
u = user()
assert get("/readyz") == (200, "ready\n") and get("/healthz") == (200, "ok\n")
before = scrape()
stop()
eventually(lambda: get("/readyz")[0] == 503)
assert get("/readyz") == (503, "not ready: the database is away; the log says why\n") and get("/healthz") == (200, "ok\n")
eventually(lambda: scrape()["chatd_database_connect_failures_total"] > before["chatd_database_connect_failures_total"])
n = scrape()
assert n["chatd_database_up"] == 0 and n["chatd_database_losses_total"] == before["chatd_database_losses_total"] + 1
assert api("GET", "/users", token=u.token)[0] == 503
assert scrape()["chatd_refusals_total", "unavailable"] > n["chatd_refusals_total", "unavailable"]
start()
eventually(lambda: get("/readyz") == (200, "ready\n"))
n = scrape()
assert n["chatd_database_up"] == 1 and n["chatd_database_connects_total"] == before["chatd_database_connects_total"] + 1
PY
}

@test "started while the database is away: healthy, not ready, and ready when it is there" {
    py - <<'PY'
from metrics import *
from postgres import *
stop()
with Server(*ADMIN) as s:
    assert get("/healthz", s.name) == (200, "ok\n")
    assert get("/readyz", s.name) == (503, "not ready: the database is away; the log says why\n")
    assert scrape(s.name)["chatd_database_connects_total"] == 0
    start()
    eventually(lambda: get("/readyz", s.name) == (200, "ready\n"))
PY
}

@test "readyz: 503 while the server stops, to its end" {
    py - <<'PY'
from metrics import *
with Server(*ADMIN, "-o", "drain_time=30s", "-o", "presence_lease=1h") as s:
    u = user(instance=s.name)
    ws = connect(u.token, s.name)
    [session] = s.children(f"session {u.name}")
    os.kill(session, signal.SIGSTOP)
    try:
        s.kill(signal.SIGTERM)
        eventually(lambda: get("/readyz", s.name)[0] == 503)
        assert get("/readyz", s.name) == (503, "not ready: the server stops\n") and get("/healthz", s.name) == (200, "ok\n")
        n = scrape(s.name)
        assert n["chatd_phase", "draining"] == 1 and n["chatd_phase", "serving"] == 0 and n["chatd_connections"] == 1
    finally:
        os.kill(session, signal.SIGCONT)
    assert ws.closed() == 1012 and s.ended() == 0
PY
}

@test "a broker that hangs, and a master that does, are seen as that, and hold nobody up" {
    py - <<'PY'
from metrics import *
from operators import *
[path] = sockets("main")
[broker] = children("broker")
os.kill(broker, signal.SIGSTOP)
try:
    n = scrape()
    assert n["chatd_broker_up"] == 0 and "chatd_requests_total" not in n.families and n["chatd_phase", "serving"] == 1
    assert get("/healthz") == (200, "ok\n") and get("/readyz") == (503, "not ready: the broker does not answer\n")
    # More than have a place ask at once: all of them are answered.
    visitors = []
    for _ in range(60):
        visitors.append(visit())
        visitors[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually(lambda: "admin_listen: too many ask at the same time" in open(f"{T}/main.log").read())
    assert [split(read_all(s))[0] for s in visitors] == [200] * 60
    # Operators fill the way to it: who asks is told at once, not only when its time is over.
    held = []
    def full():
        held.append(call(path))
        return "control socket: too many wait for the broker" in open(f"{T}/main.log").read()
    eventually(full)
    assert scrape()["chatd_broker_up"] == 0
    assert "exporter: too many wait for the broker" in open(f"{T}/main.log").read()
    for s in held:
        s.close()
finally:
    os.kill(broker, signal.SIGCONT)
eventually(lambda: get("/readyz") == (200, "ready\n"))
with open(f"{T}/main.pid") as f:
    master = int(f.read())
os.kill(master, signal.SIGSTOP)
try:
    assert get("/healthz") == get("/metrics") == (503, "the master does not answer\n")
    assert get("/readyz") == (503, "not ready: the master does not answer\n")
finally:
    os.kill(master, signal.SIGCONT)
eventually(lambda: get("/readyz") == (200, "ready\n"))
assert scrape()["chatd_broker_up"] == 1 and children("broker") == [broker]
PY
}

@test "a master without descriptors answers as soon as it has some" {
    py - <<'PY'
from metrics import *
with Server(*ADMIN, "-o", "min_spare=0") as s:
    assert get("/healthz", s.name) == (200, "ok\n")
    with visit(s.name) as asked:
        with no_descriptor(s.pid):
            asked.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            s.logged("exporter: socketpair: Too many open files")
        assert split(read_all(asked))[0] == 200
    assert get("/healthz", s.name) == (200, "ok\n")
PY
}

@test "an answer of the master that is lost is not waited for: it is asked again" {
    py - <<'PY'
from metrics import *
with Server(*ADMIN, "-o", "min_spare=0") as s:
    [exporter] = s.children("exporter")
    assert get("/healthz", s.name) == (200, "ok\n")
    with visit(s.name) as asked:
        asked.sendall(b"GET /healthz HTTP/1.1\r\n")
        # Nobody but this one is there, whose request is read so far.
        eventually(lambda: unread(asked) == 0 and len(links(exporter, "socket:")) == 3)
        with no_descriptor(exporter):
            asked.sendall(b"Host: x\r\n\r\n")
            assert split(read_all(asked))[0] == 503
    eventually(lambda: get("/healthz", s.name) == (200, "ok\n"))
    assert s.children("exporter") == [exporter]
PY
}

# --- who asks ---

@test "GET and HEAD; anything else, elsewhere, or malformed is refused as HTTP has it" {
    py - <<'PY'
from metrics import *
for path in "/metrics", "/healthz", "/readyz":
    status, fields, body = ask(path, method="HEAD")
    assert (status, body) == (200, "") and int(fields["content-length"]) > 0, (path, status, fields)
    assert ask(path + "?a=b")[0] == 200
    status, fields, body = ask(path, method="POST")
    assert status == 405 and fields["allow"] == "get, head", fields
for path in "/", "/metrics/", "/Metrics", "/../metrics", "/metricsx", "/healthz%00":
    assert get(path) == (404, "There are /metrics, /healthz and /readyz\n"), path
assert split(said(b"GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 200
assert split(said(b"GET /healthz HTTP/1.0\r\n\r\n"))[0] == 200
# Byte by byte; and with a body, or another request, that nobody reads.
with visit() as s:
    for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n":
        s.sendall(bytes([byte]))
    assert split(read_all(s))[0] == 200
assert split(said(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000))[0] == 200
answer = said(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
assert answer.count(b"HTTP/1.1 ") == 1, answer
PY
}

@test "hostile requests: each is refused or dropped, and the exporter answers on" {
    py - <<'PY'
from metrics import *
from chance import *
[exporter] = children("exporter")
rows = [(b"GET /metrics HTTP/1.1\r\n\r\n", 400), (b"GET /metrics HTTP/1.1\nHost: x\n\n", 400), (b"\r\n\r\n\x00", 400), (b"GET  /metrics HTTP/1.1\r\n", 400),
        (b"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n", 505), (b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET /" + b"a" * 9000, 414), (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20000, 431), (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400)]
for data, status in rows:
    answer = said(data)
    assert answer.startswith(b"HTTP/1.1 %d " % status), (data[:60], answer[:200])
words = [b"GET ", b"POST ", b"/metrics", b" HTTP/1.1", b"\r\n", b"\n", b"Host: x", b"\0", b"\xff" * 9, b"Content-Length: 99999999999999999999", b":", b" ", b"a" * 3000]
for _ in range(200):
    data = b"".join(dice.choice(words) for _ in range(dice.randrange(1, 12))) if dice.random() < 0.7 else dice.randbytes(dice.randrange(1, 2000))
    with visit() as s, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        s.sendall(data)
        if dice.random() < 0.5:
            s.shutdown(socket.SHUT_WR)
            got = read_all(s)
            assert not got or got.startswith(b"HTTP/1.1 "), (data, got[:100])
assert get("/healthz") == (200, "ok\n") and children("exporter") == [exporter]
PY
}

@test "connections that say nothing, do not read, or are very many keep nobody out, and are closed in time" {
    py - <<'PY'
from metrics import *
[exporter] = children("exporter")
first = visit()
first.sendall(b"GET /metrics HT")
silent = [visit() for _ in range(100)]
# Those who ask have no more room than the kernel gives, and read nothing.
deaf = []
for _ in range(60):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    host, number = admin_address().rsplit(":", 1)
    s.connect((host, int(number)))
    s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    deaf.append(s)
assert get("/healthz") == (200, "ok\n")
assert scrape()["chatd_broker_up"] == 1
assert len(os.listdir(f"/proc/{exporter}/fd")) <= 64
assert read_all(first) == b""
# Nobody else comes, so that nobody needs their places: time ends them.
left = [visit() for _ in range(3)]
for s in left:
    assert read_all(s) == b""
for s in silent + deaf:
    s.close()
# Many at once, each of which is answered.
clients = [visit() for _ in range(30)]
for s in clients:
    s.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
assert [split(read_all(s))[0] for s in clients] == [200] * 30
assert children("exporter") == [exporter]
PY
}

@test "out of descriptors, the exporter says so, waits, and serves again when there are some" {
    py - <<'PY'
from metrics import *
with Server(*ADMIN, "-o", "min_spare=0", program=["bash", "-c", 'ulimit -n 48; exec "$@"', "bash"]) as s:
    [exporter] = s.children("exporter")
    silent = [visit(s.name) for _ in range(46)]
    eventually(lambda: "admin_listen: Too many open files" in s.log())
    for c in silent:
        c.close()
    assert get("/readyz", s.name) == (200, "ready\n") and s.children("exporter") == [exporter]
PY
}

@test "an exporter that is to end answers whom it has, lets the others go, and leaves the address at once" {
    py - <<'PY'
from metrics import *
[old] = children("exporter")
[broker] = children("broker")
silent = visit()
get("/healthz")
os.kill(broker, signal.SIGSTOP)
try:
    asked = visit()
    asked.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually(lambda: len([fd for fd in os.listdir(f"/proc/{old}/fd")]) > 0 and unread(asked) == 0)
    os.kill(old, signal.SIGUSR1)
    assert read_all(silent) == b""
    assert split(read_all(asked))[0] == 200
finally:
    os.kill(broker, signal.SIGCONT)
eventually(lambda: children("exporter") not in ([], [old]))
eventually(lambda: get("/readyz") == (200, "ready\n"))
PY
}

@test "operators who take all their places do not keep the numbers away, nor the exporter theirs" {
    py - <<'PY'
from metrics import *
from operators import *
[path] = sockets("main")
held = [call(path) for _ in range(4)]
eventually(lambda: told("main", "status") == ["error too many operators ask at the same time; try again", "end"])
assert scrape()["chatd_broker_up"] == 1 and get("/readyz") == (200, "ready\n")
for s in held:
    s.close()
visitors = [visit() for _ in range(8)]
for s in visitors:
    s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
assert eventually(lambda: told("main", "status")[-1] == "end" and len(told("main", "status")) > 3) is None
lines = told("main", "metrics")
assert lines[0] == "database up" and lines[-1] == "end" and any(line.startswith("chatd_requests_total{") for line in lines)
PY
}

# A build for AddressSanitizer is not confined.
# bats test_tags=once
@test "the exporter has no capability, a filter, another user, and no descriptor but those it needs" {
    py - <<'PY'
from metrics import *
import pwd
[exporter] = children("exporter")
scrape()
with open(f"/proc/{exporter}/status") as f:
    status = dict((k, v.split()) for k, v in (line.rstrip().split(":", 1) for line in f))
assert status["NoNewPrivs"] == ["1"] and int(status["CapEff"][0], 16) == int(status["CapPrm"][0], 16) == 0, status
assert status["Seccomp"] == ["2"], status
if os.geteuid() == 0:
    assert status["Uid"] == [str(pwd.getpwnam("nobody").pw_uid)] * 4 and status["Groups"] == [], status
to = {int(fd): os.readlink(f"/proc/{exporter}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{exporter}/fd")}
log = os.path.realpath(f"{T}/main.log")
assert {0: "/dev/null", 1: "/dev/null", 2: log, 7: log, 11: "socket", 12: "socket"}.items() <= to.items(), to
assert set(to.values()) <= {"/dev/null", log, "socket", "anon_inode"}, to
key, role = (open(f"{T}/{name}").read().strip() for name in ("jwt_secret", "db_password"))
assert not holds(exporter, {key, role})
PY
}

# --- the address ---

@test "an address that is taken: an error with the remedy, and no server; another, or none, is one" {
    py - <<'PY'
from metrics import *
number = int(admin_address().rsplit(":", 1)[1])
out = refused(*options(some_name()), *SECRETS, "-o", f"admin_listen=127.0.0.1:{number}")
assert f"admin_listen: 127.0.0.1 port {number}: Address already in use; if another chatd of this host has it, give this one another, or none" in out, out
path = f"{T}/{some_name('a')}"
with Server("-o", f"admin_listen=unix:{path}") as s:
    assert get("/readyz", s.name) == (200, "ready\n")
    out = refused(*options(some_name()), *SECRETS, "-o", f"admin_listen=unix:{path}")
    assert f"admin_listen: another server answers at unix:{path}; if another chatd" in out, out
    assert get("/readyz", s.name) == (200, "ready\n") and os.path.exists(path)
assert not os.path.exists(path)
# One that was killed has left its socket.
with Server("-o", f"admin_listen=unix:{path}") as s:
    s.kill(signal.SIGKILL)
    s.ended()
    all_gone(s.known)
assert os.path.exists(path)
with Server("-o", f"admin_listen=unix:{path}") as s:
    assert get("/healthz", s.name) == (200, "ok\n")
out = refused(*options(some_name()), *SECRETS, "-o", "admin_listen=192.0.2.1:8079")
assert "admin_listen: 192.0.2.1 port 8079 could not be bound; choose another address, or none" in out, out
if os.geteuid() != 0:
    out = refused(*options(some_name()), *SECRETS, "-o", "admin_listen=127.0.0.1:1")
    assert "admin_listen: 127.0.0.1 port 1: Permission denied; ports below 1024" in out, out
with Server() as s:
    assert not s.children("exporter") and "metrics and health" not in s.log()
with Server("-o", "admin_listen=[::1]:0") as s:
    assert admin_address(s.name).startswith("[::1]:") and get("/healthz", s.name) == (200, "ok\n")
PY
}

@test "admin_listen: what is no address with a port, no absolute path, or more than one, is an error" {
    py - <<'PY'
from metrics import *
for value in ("127.0.0.1", "*:80", ":80", "localhost:80", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:1, 127.0.0.1:2", "tls:127.0.0.1:1",
              "unix:relative", "unix:/" + "x" * 200, "[::1:80", "8079", "[::1]"):
    status, output = chatd("-t", *SECRETS, "-o", "mode=development", "-o", f"admin_listen={value}")
    assert status == 1 and output.startswith(f'chatd: -o: admin_listen: "{value[:60]}": ') and output.count("\n") == 1, (value, output)
for value in "", "127.0.0.1:0", "[::]:8079", "unix:/x":
    assert chatd("-t", *SECRETS, "-o", "mode=development", "-o", f"admin_listen={value}")[0] == 0, value
PY
}

@test "a reload: whether it worked is a number; another admin_listen needs a restart" {
    py - <<'PY'
from metrics import *
conf = f"{T}/{some_name('c')}.conf"
def write(text):
    with open(conf, "w") as f:
        f.write(text)
write("min_password = 8\n")
with Server("-f", conf, *ADMIN) as s:
    n = scrape(s.name)
    assert n["chatd_config_last_reload_successful"] == 1
    first = n["chatd_config_last_reload_success_timestamp_seconds"]
    assert abs(first - time.time()) < 3600
    write("min_password = none\n")
    s.kill(signal.SIGHUP)
    eventually(lambda: scrape(s.name)["chatd_config_last_reload_successful"] == 0)
    assert scrape(s.name)["chatd_config_last_reload_success_timestamp_seconds"] == first
    write("min_password = 9\n")
    s.kill(signal.SIGHUP)
    eventually(lambda: scrape(s.name)["chatd_config_last_reload_successful"] == 1)
    assert scrape(s.name)["chatd_config_last_reload_success_timestamp_seconds"] >= first
    assert get("/readyz", s.name) == (200, "ready\n")
# Of the file, since -o wins over it.
name = some_name()
given = options(name)
at = given.index("admin_listen=")
del given[at - 1:at + 1]
write("admin_listen = 127.0.0.1:0\n")
with Process([CHATD, *given, *SECRETS, "-f", conf], name) as p:
    p.logged("ready: ")
    assert get("/readyz", name) == (200, "ready\n")
    write("admin_listen = 127.0.0.1:1\n")
    p.kill(signal.SIGHUP)
    p.logged("changed, but needs a restart to take effect: admin_listen")
    assert get("/readyz", name) == (200, "ready\n")
PY
}

# --- after SIGUSR2 ---

@test "a takeover: the address answers all the time, first for the old server, then for the new" {
    py - <<'PY'
from metrics import *
from operators import *
from takeover import *
with Service(*ADMIN) as s:
    u = user(instance=s.name)
    before = admin_address(s.name)
    ws = connect(u.token, s.name)
    assert scrape(s.name)["chatd_clients", "online"] == 1
    with Watcher(s.name) as watcher:
        s.update()
        s.take_over()
        watcher.more()
        eventually(lambda: scrape(s.name)["chatd_clients", "online"] == 0)
        watcher.more()
    assert admin_address(s.name) == before and get("/readyz", s.name) == (200, "ready\n")
    eventually(lambda: sorted(title for pid, title in tree(s.pid).items() if "exporter" in title) == ["chatd: exporter"])
    [exporter] = s.children("exporter")
    assert parents()[exporter][0] == s.master
    # The old server's has ended as it was told, which is no death.
    assert [server["deaths"] for server in asked(s.name, "status")["servers"]] == [0, 0]
    ws.close()
    assert s.ended() == 0 and get("/healthz", s.name) == (200, "ok\n")
PY
}

@test "a takeover that fails leaves the address, and its Unix socket, with the old server" {
    py - <<'PY'
from metrics import *
from takeover import *
path = f"{T}/{some_name('a')}"
with Service("-o", f"admin_listen=unix:{path}") as s:
    sql("alter function chatd_api.schema_range() rename to schema_range_now")
    try:
        s.stays(s.ask())
    finally:
        sql("alter function chatd_api.schema_range_now() rename to schema_range")
    assert get("/readyz", s.name) == (200, "ready\n")
    s.take_over()
    eventually(lambda: s.process.poll() is not None)
    assert get("/readyz", s.name) == (200, "ready\n")
assert not os.path.exists(path)
PY
}

@test "a takeover: the address is the same in whatever form it is written" {
    py - <<'PY'
from metrics import *
from takeover import *
for text in f"127.1:{free_ports()[0]}", "127.1:0", f"[0:0:0:0:0:0:0:1]:{free_ports()[0]}", "[0::1]:0":
    with Service("-o", f"admin_listen={text}") as s:
        before = admin_address(s.name)
        assert get("/readyz", s.name) == (200, "ready\n")
        s.take_over()
        assert admin_address(s.name) == before
        eventually(lambda: get("/readyz", s.name) == (200, "ready\n"))
PY
}

# --- what is made of the numbers ---

@test "the alert rules are good, and they and the dashboard name numbers and labels that there are" {
    run promtool check rules "$ROOT/packaging/prometheus/chatd.rules.yml"
    echo "$output"
    [[ $status == 0 ]]
    py - "$ROOT" <<'PY'
from metrics import *
root = sys.argv[1]
n = scrape()
families = dict(n.families)
series = set(families) | {f"{k}_{end}" for k, v in families.items() if v == "histogram" for end in ("bucket", "sum", "count")}
labels = {}
for line in n.text.splitlines():
    if "{" in line and not line.startswith("#"):
        name, rest = line.split("{", 1)
        for label, value in re.findall(r'(\w+)="([^"]*)"', rest):
            labels.setdefault((name, label), set()).add(value)
rules = open(f"{root}/packaging/prometheus/chatd.rules.yml").read()
dashboard = json.load(open(f"{root}/packaging/grafana/chatd.json"))
expressions = re.findall(r"^ +expr: (.*)", rules, re.M)
assert len(expressions) == rules.count("- alert:") > 10
shown = [t["expr"] for p in dashboard["panels"] for t in p.get("targets", [])]
assert len(shown) > 30 and all(p["gridPos"] for p in dashboard["panels"])
assert len({p["id"] for p in dashboard["panels"]}) == len(dashboard["panels"])
named = set()
for e in expressions + shown:
    used = re.findall(r"\b(chatd_\w+)(?:\{([^}]*)\})?", e)
    assert used or e.startswith("up{"), e
    for name, within in used:
        assert name in series, (name, e)
        named.add(re.sub("_(bucket|sum|count)$", "", name) if name not in families else name)
        for label, value in re.findall(r'(\w+)=~?"([^"$]*)"', within):
            assert set(value.split("|")) <= labels[name, label], (name, label, value)
# Of those that are numbers, each is shown or rung for.
rest = set(families) - named
assert rest == {"chatd_config_last_reload_success_timestamp_seconds", "chatd_delivery_behind", "chatd_database_connects_total", "chatd_retention_removed_messages_total",
                "chatd_build_info"}, rest
assert "chatd_build_info" in json.dumps(dashboard)
PY
}

# --- chatd -T ---

@test "chatd -T: tries the database as the broker would, says what is wrong, and writes nothing there" {
    py - <<'PY'
from metrics import *
from postgres import *
eventually(lambda: sql("select count(*) from chatd.hosts") == "1")
before = sql("select max(id) from chatd.hosts")
def trial(*more):
    return chatd("-T", *options(some_name()), *SECRETS, *more)
status, output = trial()
assert status == 0 and output.endswith("The configuration is fine.\nThe database can be used.\n"), output
# Whatever the log is, the reason is told here.
for more, words in ((["-o", f"db_host={T}/nowhere", "-o", "log_file=syslog"], "see db_host and db_port"), (["-o", "db_name=nothing_here"], "see db_name; make the database"),
                    (["-o", "db_user=nobody_here"], "db_user"), (["-o", f"db_name=postgres"], "run sql/migrate")):
    status, output = trial(*more)
    assert status == 1 and words in output and "\nThe configuration is fine.\n" in "\n" + output and output.endswith("chatd: the database cannot be used\n"), (more, output)
sql("alter function chatd_api.schema_range() rename to schema_range_now")
try:
    status, output = trial()
finally:
    sql("alter function chatd_api.schema_range_now() rename to schema_range")
assert status == 1 and "sql/migrate" in output, output
stop()
status, output = trial()
assert status == 1 and "cannot connect" in output, output
start()
eventually(lambda: get("/readyz") == (200, "ready\n"))
status, output = chatd("-T", "-o", "port=x")
assert status == 1 and "database" not in output, output
# A configuration that is fine, and no question about the database.
status, output = chatd("-t", *options(some_name()), *SECRETS, "-o", f"db_host={T}/nowhere")
assert status == 0 and "database" not in output.replace("db_", ""), output
PY
}
