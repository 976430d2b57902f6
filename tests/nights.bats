#!/usr/bin/env bats
# The bad nights of chatd(8) that no other file has: what the log, the metrics, status and doctor say,
# what clients notice, and that what the manual advises ends it.
#
# The cluster is this file's own, so that stopping and filling it disturbs nobody.

load lib/server

setup_file() {
    unset TEST_CLUSTER
    server_setup_file
    # As doctor is asked.
    printf '%s\n' "db_password_file = $T/db_password" "jwt_secret_file = $T/jwt_secret" "db_user = $DB" "db_name = $DB" \
        "db_host = $PGHOST" "run_dir = $T/main.run" 'user = daemon' 'session_user = nobody' >"$T/chatd.conf"
    server_start main -o admin_listen=127.0.0.1:0 -o presence=off
}

teardown_file() {
    server_teardown_file
}

# Whatever a test left behind.
setup() {
    "$ROOT/tests/tools/cluster" start --fast "$TEST_CLUSTER"
}

@test "disk full: messages get a temporary error, who reads is served, the log has PostgreSQL's reason; with room again all is stored once" {
    py - <<'PY'
from nights import *
a, b = user(), user()
wa, wb = connect(a.token), connect(b.token)
wa.message(b.id, "before", "0")
wa.until("ack"), wb.until("message")
stop()
start(shimmed())
serves(a)
# So that the write-ahead log has room in its file: without it PostgreSQL would end.
sql("select pg_switch_wal()")
wa.message(b.id, "just before", "00")
wa.until("ack"), wb.until("message")
before, sent, refused = scrape(), 0, []
full(True)
# The tables have some room left.
while not refused:
    sent += 1
    wa.message(b.id, f"{sent}" + secrets.token_hex(8000), f"m-{sent}")
    frame = wa.until_any("ack", "error")
    if frame["type"] == "error":
        refused.append(frame)
assert refused[0]["data"] == {"code": "unavailable", "temporary": True}, refused
assert "No space left on device" in log()
assert api("GET", f"/messages/{b.id}", token=a.token)[0] == 200
n = scrape()
assert n["chatd_refusals_total", "unavailable"] > before["chatd_refusals_total", "unavailable"] and n["chatd_database_up"] == 1
assert asked("main", "status")["servers"][0]["database"] == "up"
full(False)
def stored():
    wa.message(b.id, f"{sent} again", f"m-{sent}")
    return wa.until_any("ack", "error")["type"] == "ack"
eventually(stored)
got = [wb.until("message")["content"] for _ in range(sent)]
assert [c[:len(f"{n}")] for n, c in enumerate(got, 1)] == [f"{n}" for n in range(1, sent + 1)] and got[-1] == f"{sent} again"
PY
}

@test "certificate expired: the log, the metric, its alert and doctor say so, clients refuse; renewed, it is in force after SIGHUP" {
    py - <<'PY'
from nights import *
authority = Pair(authority=True)
pair = Pair(issuer=authority)
def sign(days):
    openssl("x509", "-req", "-in", f"{pair.key}.req", "-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial",
            "-days", days, "-copy_extensions", "copy", "-out", pair.chain)
EXPIRY = "chatd_tls_certificate_expiry_timestamp_seconds"
assert EXPIRY in scrape().families and (EXPIRY,) not in scrape().samples       # there is none
sign("-1")
with Server(*ADMIN, *pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    assert "tls_certificate_file: the certificate has expired" in s.log()
    assert -2 * 86400 < scrape(s.name)[EXPIRY] - time.time() < 0
    try:
        dial(s, pair)
        raise AssertionError("a client took it")
    except ssl.SSLCertVerificationError as e:
        assert "expired" in str(e), e
    eventually(lambda: scrape(s.name)["chatd_sessions_failed_total", "tls_failed"] == 1)
    found = findings(*pair.options())["certificate"]
    assert not found["good"] and "expired" in found["finding"] and "SIGHUP" in found["remedy"], found
    careless = ssl.create_default_context(cafile=authority.certificate)
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    old = dial(s, pair, careless)
    # Soon again.
    for days, words in ("1", "the certificate expires within 24 hours"), ("30", "configuration reloaded"):
        sign(days)
        s.kill(signal.SIGHUP)
        s.logged(words)
    eventually(lambda: 29 * 86400 < scrape(s.name)[EXPIRY] - time.time() <= 30 * 86400)
    for t in dial(s, pair), old:
        assert fetch(t)[0] == 401
    assert findings(*pair.options())["certificate"]["good"]
# chatd -t says it, too, and takes it.
sign("-1")
status, output = chatd("-t", *options(some_name()), *SECRETS, *pair.options(), "-o", "listen=tls:127.0.0.1")
assert status == 0 and "the certificate has expired" in output, output
PY
    cat >"$T/alerts.yml" <<END
rule_files: ['$ROOT/packaging/prometheus/chatd.rules.yml']
evaluation_interval: 1h
tests:
  - interval: 1h
    input_series:
      - series: 'chatd_tls_certificate_expiry_timestamp_seconds{instance="a"}'
        values: '1814400x600'
    alert_rule_test:
      - {eval_time: 5d, alertname: ChatdCertificateNotRenewed}
      - eval_time: 10d
        alertname: ChatdCertificateNotRenewed
        exp_alerts:
          - exp_labels: {severity: ticket, instance: a}
            exp_annotations:
              summary: 'The certificate of chatd on a expires in 11d 0h 0m 0s'
              action: 'Look why it was not renewed, and whether chatd was told by SIGHUP: it goes on with the one it has read.'
      - {eval_time: 19d, alertname: ChatdCertificateExpires}
      - eval_time: 22d
        alertname: ChatdCertificateExpires
        exp_alerts:
          - exp_labels: {severity: page, instance: a}
            exp_annotations:
              summary: 'The certificate of chatd on a expires within a day, or has expired'
              action: 'Renew it, then send SIGHUP (systemctl reload chatd); open connections go on meanwhile.'
END
    promtool test rules "$T/alerts.yml"
}

@test "max_connections used up by others: a host that is connected goes on, one that comes says why and serves when there is room" {
    py - <<'PY'
from nights import *
a, b = user(), user()
with open(f"{CLUSTER}/pg/replication.conf", "w") as f:
    f.write("max_connections = 25\n")
os.chmod(f"{CLUSTER}/pg/replication.conf", 0o644)
stop()
start()
serves(a)
wa, wb = connect_again(a), connect_again(b)
readers = "select count(*) from pg_stat_activity where application_name = 'chatd pool'"
eventually(lambda: sql(readers) == "3")
with crowd(22):
    wa.message(b.id, "in spite of it", "1")
    assert wb.until("message")["content"] == "in spite of it" and wa.until("ack")
    assert api("GET", "/users", token=a.token)[0] == 200 and get("/readyz") == (200, "ready\n")
    found = findings()["login"]
    assert not found["good"] and "reserved" in found["finding"], found
    with Server(*ADMIN) as s:
        s.logged("53300")
        assert "lower db_readers, or raise max_connections" in s.log()
        assert get("/readyz", s.name) == (503, "not ready: the database is away; the log says why\n")
        assert api("GET", "/users", token=a.token, name=s.name)[0] == 503
        assert scrape(s.name)["chatd_database_up"] == 0
        # Whoever administers has places of the server's own.
        assert asked(s.name, "status")["servers"][0]["database"] == "away"
        crowd_leaves()
        serves(a, s.name)
os.remove(f"{CLUSTER}/pg/replication.conf")
stop()
start()
serves(a)
PY
}

@test "a whole host hangs (SIGSTOP): its users are offline elsewhere within presence_lease, others chat on, and it misses nothing" {
    server_start lease -o presence_lease=4s -o presence=all
    server_start other -o presence_lease=4s -o presence=all
    py - <<'PY'
from nights import *
a, b = user(instance="lease"), user(instance="other")
wa, wb = connect(a.token, "lease"), connect(b.token, "other")
assert seen(wa, b, name="lease") == [(b, True)]
def hosts():
    return {h["host"] for h in asked("lease", "status")["hosts"]}
def number():
    return asked("other", "status")["servers"][0]["host"]
before = number()
assert before in hosts()
with open(f"{T}/other.pid") as f:
    master = int(f.read())
# The master first: what it starts meanwhile is stopped, too.
stopped = [master]
os.kill(master, signal.SIGSTOP)
for pid in tree(master):
    os.kill(pid, signal.SIGSTOP)
    stopped.append(pid)
try:
    while (d := wa.until("user_status")["data"])["user_id"] != b.id:
        pass
    assert d["online"] is False
    assert before not in hosts()
    wa.message(b.id, "meanwhile", "1")
    wa.until("ack")
finally:
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
assert wb.until("message")["content"] == "meanwhile"
eventually(lambda: "is not attached" in log("other"))
eventually(lambda: online(b, a, "lease"))
assert number() != before and number() in hosts()
PY
    server_stop lease
    server_stop other
}

@test "a table bloated: doctor names it, and the transaction that keeps vacuum away; clients notice nothing" {
    py - <<'PY'
from nights import *
a, b = user(), user()
wa, wb = connect(a.token), connect(b.token)
# One that nobody else writes to here.
sql("create table chatd.bloated (n int) with (autovacuum_enabled = off)")
found = findings()
assert found["vacuum"]["good"] and found["transactions"]["good"], found
with held("set transaction isolation level repeatable read; select max(id) from users"):
    sql("insert into chatd.bloated select generate_series(1, 60000)")
    sql("delete from chatd.bloated")
    eventually(lambda: not findings()["vacuum"]["good"])
    found = findings()["vacuum"]
    assert "chatd.bloated has 60000 dead rows" in found["finding"] and "old transaction" in found["remedy"], found
    wa.message(b.id, "all the same", "1")
    assert wb.until("message")["content"] == "all the same" and wa.until("ack")
    sql("vacuum chatd.bloated")
    assert not findings()["vacuum"]["good"]
sql("vacuum chatd.bloated")
eventually(lambda: findings()["vacuum"]["good"])
sql("drop table chatd.bloated")
PY
}

@test "a runaway bot: requests of its kind rise, who shows it, kick and disable end it, and others are served" {
    py - <<'PY'
from nights import *
bot, a, b = user(), user(), user()
wbot, wa, wb = connect(bot.token), connect(a.token), connect(b.token)
before = scrape()
for n in range(200):
    wbot.message(b.id, f"{n}", f"bot-{n}")
wa.message(b.id, "I am human", "1")
while wb.until("message")["content"] != "I am human":
    pass
for n in range(200):
    wbot.until("ack")
assert scrape()["chatd_requests_total", "send"] >= before["chatd_requests_total", "send"] + 201
page = open(os.path.join(ROOT, "man/chatd.8")).read()
[statement] = re.findall(r"^\.Ss A bot runs away\n.*?^\.Bd -literal.*?\n(.*?)^\.Ed", page, re.M | re.S)
assert sql(statement).splitlines()[0] == f"{bot.name}|200", statement
[row] = asked("main", "who", bot.name)
assert row["state"] == "online" and row["session"] in children(f"session {bot.name} ")
asked("main", "kick", "user", bot.name)
assert wbot.closed() == 4000
wbot = connect(bot.token)                    # it comes back
asked("main", "user", "disable", bot.name)
assert wbot.closed() == 4403
assert api("GET", "/users", token=bot.token)[0] == 403
wa.message(b.id, "at last", "2")
while wb.until("message")["content"] != "at last":     # behind what is left of the bot's
    pass
PY
}

@test "max_clients reached: one more gets 503; log, metrics and status say so, and those who are there are served" {
    py - <<'PY'
from nights import *
with Server(*ADMIN, "-o", "max_clients=3", "-o", "max_clients_per_address=0") as s:
    a = user(instance=s.name)
    ws = connect(a.token, s.name)
    eventually(lambda: scrape(s.name)["chatd_connections"] == 1)
    others = [raw(name=s.name) for _ in range(2)]
    assert read_all(raw(name=s.name)).startswith(b"HTTP/1.1 503 ")
    s.logged("a client was refused: there are 3, see max_clients in chatd.conf(5)")
    n = scrape(s.name)
    assert n["chatd_connections"] == n["chatd_connections_max"] == 3 and n["chatd_connections_refused_total", "max_clients"] >= 1
    [server] = asked(s.name, "status")["servers"]
    assert server["clients"] == server["max_clients"] == 3, server
    ws.send({"type": "ping"})
    assert ws.until("pong")
PY
}

@test "a database that cannot be reached at the start: systemd gets READY=1 and a STATUS that says so, and another when it is there; chatd -T fails" {
    py - <<'PY'
from nights import *
path, n = notify_socket()
told = []
def until(line):
    while line not in told:
        told.extend(n.recv(4096).decode().splitlines())
stop()
status, output = chatd("-T", *options(some_name()), *SECRETS)
assert status == 1 and "cannot connect" in output and output.endswith("chatd: the database cannot be used\n"), output
with Server(*ADMIN, env={**os.environ, "NOTIFY_SOCKET": path}) as s:
    until("READY=1")
    assert told == ["STATUS=the database is away; the log says why", "READY=1"], told
    s.logged("cannot connect")
    start()
    until("STATUS=serving")
    eventually(lambda: get("/readyz", s.name) == (200, "ready\n"))
n.close()
PY
}

@test "each bad night of chatd(8) has a test here or in the file that CONTRIBUTING names, and each alert that it names is there" {
    py - "$ROOT" <<'PY'
import re, sys
root = sys.argv[1]
page = open(f"{root}/man/chatd.8").read()
part = re.search(r"^\.Sh BAD NIGHTS\n(.*?)^\.Sh ", page, re.M | re.S)[1]
nights = re.findall(r"^\.Ss (.*)", part, re.M)
assert len(nights) >= 10, nights
text = open(f"{root}/CONTRIBUTING.md").read()
rows = dict(re.findall(r"^\| ([^|]+?) \| (`\w+\.bats`: [^|]+?) \|$", text, re.M))
assert set(nights) <= set(rows), set(nights) ^ set(rows)
for night in nights:
    for name, title in re.findall(r"`(\w+\.bats)`: ([^;]+)", rows[night]):
        assert f'@test "{title.strip()}' in open(f"{root}/tests/{name}").read(), (night, name, title)
rules = open(f"{root}/packaging/prometheus/chatd.rules.yml").read()
alerts = set(re.findall(r"\bChatd[A-Z]\w+", part))
assert len(alerts) >= 6 and alerts <= set(re.findall(r"- alert: (\w+)", rules)), alerts
PY
}
