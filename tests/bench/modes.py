"""The modes of the bench. Each is a function of a Bench: it starts servers, puts load on them in turn,
and records what came out. A record is a dict: mode, case, system, run, and the figures. Those of
conversations are in conversations.py.

Runs of the servers alternate, so that what the machine does beside this meets both.
"""
import contextlib
import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import time

import conversations
import hosts
import proc
import same
from scene import BUILD, HERE, SYSTEMS, Failed, eventually, read_users

FULL = {
    "mode_seconds": 7200,  # for one mode
    "warm": 2, "seconds": 5, "runs": 5,
    "pairs": [(1, 1), (10, 1), (50, 1), (200, 1), (500, 1), (50, 8)],
    "groups": [(50, 10, 1), (10, 100, 1), (1, 1000, 8)],  # how many, receivers of each, messages in flight
    "lists": [10_000, 10_000_000], "listed": 1000,  # messages, and conversations of one user
    "idle": [10000], "rest": 10,
    "crowd": [0, 1000, 5000, 10000], "crowd_pairs": 50,
    "connections": 16, "logins": 16, "cost": 10,
    "storm": [5000],
    "history": [10_000, 10_000_000], "resumes": 200, "chunk": 100_000,
    "thinned": [10_000_000], "live_pairs": 10,
    "hosts": [1, 2, 3], "hosts_pairs": [60, 8], "writers": [1, 2, 3], "batch": 100,
    "crowd_of_users": 100_000, "floods": [(200, 64, 10), (100, 64, 4000)], "listers": 24,
    "resumers": 60, "missed": 2000, "registrars": 80, "slow_readers": 30,
}
QUICK = FULL | {
    "mode_seconds": 900,
    "warm": 0.2, "seconds": 0.5, "runs": 1,
    "pairs": [(1, 1), (4, 1), (4, 8)],
    "groups": [(2, 3, 1), (1, 10, 4)],
    "lists": [2_000], "listed": 60,
    "idle": [50], "rest": 1,
    "crowd": [0, 50], "crowd_pairs": 4,
    "connections": 4, "logins": 4, "cost": 6,
    "storm": [50],
    "history": [2_000, 20_000], "resumes": 20, "chunk": 10_000,
    "thinned": [3_000], "live_pairs": 2,
    "hosts": [1, 2], "hosts_pairs": [4, 8], "writers": [1, 2], "batch": 10,
    "crowd_of_users": 100, "floods": [(4, 4, 10)], "listers": 2,
    "resumers": 2, "missed": 100, "registrars": 2, "slow_readers": 2,
}
SHARED_USERS = 500  # sessions beyond so many are further devices of the same users
DIALS = 64  # connections in the making at one time, where a storm is not the point


class Bench:
    """What the modes share: the scene, the sizes, who is measured, and where records go."""

    def __init__(self, scene, sizes, systems, out):
        self.scene, self.sizes, self.systems, self.out = scene, sizes, systems, out
        self.records = []

    def record(self, mode, case, system, run, figures):
        """Written at once, so that what an interrupted run has measured is not lost."""
        record = {"mode": mode, "case": case, "system": system, "run": run} | {
            k: v for k, v in figures.items() if k != "mode"}
        self.records.append(record)
        print(json.dumps(record), file=self.out, flush=True)

    @contextlib.contextmanager
    def started(self, only=None, **settings):
        """The servers, by name."""
        with contextlib.ExitStack() as stack:
            yield {name: stack.enter_context(SYSTEMS[name](self.scene, **settings))
                   for name in self.systems if not only or name in only}

    def alternating(self, systems):
        """(run, name, server): each server goes first in every other run."""
        for run in range(self.sizes["runs"]):
            order = list(systems.items())
            for name, server in order if run % 2 == 0 else reversed(order):
                yield run, name, server


def pairs(bench):
    """P pairs with W messages in flight each, every message durable and acknowledged."""
    z = bench.sizes
    most = max(p for p, _ in z["pairs"])
    with bench.started(sessions=2 * most) as systems:
        users = {name: s.register(2 * most) for name, s in systems.items()}
        for p, w in z["pairs"]:
            for run, name, s in bench.alternating(systems):
                bench.record("pairs", {"P": p, "W": w}, name, run,
                             s.pairs("pairs", p, w, z["warm"], z["seconds"], users=users[name]))


@contextlib.contextmanager
def resting(server, count, at_once, users):
    """Sessions at rest; gives what their opening was like, as a dict."""
    process = server.spawn("idle", count, at_once, users=users, stdin=subprocess.PIPE)
    line = process.stdout.readline()
    if not line:
        raise Failed(f"{server.name}: {process.stderr.read().strip()}")
    opened = json.loads(line)
    yield opened
    rest = server.result(process)
    if rest["sessions"] != count:
        raise Failed(f"{rest['sessions']} of {count} sessions are left")
    opened["rest"] = rest


def settle(server, seconds=120):
    """Waits until nothing of a server runs any more: presence has been told to all."""
    def at_rest():
        before = proc.switches(server.tree())
        time.sleep(0.5)
        return proc.switches(server.tree()) - before < 25
    eventually(at_rest, seconds)


def memory(server):
    return {"pss": proc.pss(server.tree())} | proc.kernel()


def idle(bench):
    """N sessions at rest. The kernel's part has the sockets of both ends in it. Pings are put off: what
    a session does beside them is what is counted."""
    z = bench.sizes
    for n in z["idle"]:
        for name in bench.systems:
            with bench.started(only=[name], sessions=n, ping=3600) as systems:
                server = systems[name]
                users = server.register(min(n, SHARED_USERS))
                settle(server)
                before = memory(server)
                with resting(server, n, min(n, DIALS), users) as opened:
                    settle(server)
                    figures = opened | rest_figures(server, z["rest"])
                    after = memory(server)
                    figures["connections"] = server.connections()
                grown = {k: (after[k] - before[k]) / n for k in after}
                figures |= {"pss_kb": grown.pop("pss"), "kernel_kb": sum(grown.values())} | grown
                figures["session_kb"] = figures["pss_kb"] + figures["kernel_kb"]
                bench.record("idle", {"N": n}, name, 0, figures)


def rest_figures(server, seconds):
    """How often the sessions, or else all of the server, ran in that time."""
    pids = server.sessions() if hasattr(server, "sessions") else server.tree()
    before = proc.switches(pids)
    time.sleep(seconds)
    return {"processes": len(pids), "wakeups": (proc.switches(pids) - before) / len(pids)}


def crowd(bench):
    """Pairs amid N sessions at rest, who all hear of the pairs' coming and going."""
    z = bench.sizes
    most, p = max(z["crowd"]), z["crowd_pairs"]
    with bench.started(sessions=most + 2 * p) as systems:
        users = {name: s.register(2 * p) for name, s in systems.items()}
        others = {name: s.register(min(most, SHARED_USERS), "others") for name, s in systems.items()}
        for n in z["crowd"]:
            warm = z["warm"] + n / 500  # until all have heard
            for run, name, s in bench.alternating(systems):
                with resting(s, n, min(n, DIALS), others[name]) if n else contextlib.nullcontext():
                    settle(s)
                    bench.record("crowd", {"N": n, "P": p}, name, run,
                                 s.pairs("pairs", p, 1, warm, z["seconds"], users=users[name]))


def pgbench(bench, server, query):
    """What PostgreSQL alone answers, to as many clients, with the same query."""
    path = f"{bench.scene.folder}/query.sql"
    with open(path, "w") as f:
        f.write(query + ";\n")
    clients = str(bench.sizes["connections"])
    out = bench.scene.run(["pgbench", "-n", "-M", "prepared", "-f", path, "-c", clients, "-j", "2", "-T",
                           str(max(1, int(bench.sizes["seconds"]))), server.id])
    [rate] = [float(line.split()[2]) for line in out.splitlines() if line.startswith("tps = ")]
    return {"per_second": rate}


def http_requests(bench):
    """GET /users of 10 users, and GET /messages/:id of 50 messages."""
    z = bench.sizes
    c = z["connections"]
    with bench.started() as systems:
        users = {name: s.register(10) for name, s in systems.items()}
        ids = {name: [u[0] for u in read_users(path)] for name, path in users.items()}
        for name, s in systems.items():
            s.pairs("count", 1, 1, 50, users=users[name])
        queries = {}
        if "chatd" in systems:
            queries["/users"] = ("select * from chatd_api.user_list"
                                 f"({ids['chatd'][0]}, 'all', 0, 1000, '')")
            queries["/messages"] = ("select * from chatd_api.message_history"
                                    f"({ids['chatd'][0]}, {ids['chatd'][1]}, null, null, 50)")
        for resource in "/users", "/messages":
            for run, name, s in bench.alternating(systems):
                path = resource if resource == "/users" else f"/messages/{ids[name][1]}"
                for kind in "keepalive", "close":
                    bench.record("http", {"resource": resource, "kind": kind, "connections": c}, name, run,
                                 s.load("http", c, z["seconds"], kind, path, users=users[name]))
                if name == "chatd":
                    bench.record("http", {"resource": resource, "kind": "keepalive", "connections": c},
                                 "pgbench", run, pgbench(bench, s, queries[resource]))


def bare(bench, seconds, *low):
    """The command of a loop that does nothing but hash, with as many processes as chatd has workers."""
    return [f"{BUILD}/bench/crypt", "2", str(bench.sizes["cost"]), str(seconds), *low]


def login(bench):
    """Logins with nothing beside them, and beside messages. In the same run a loop that only hashes
    takes their place in both: what it makes is what the processors give. Beside messages it has the
    priority of an auth worker; with another it would leave them another share."""
    z = bench.sizes
    message = ("pairs", 2, 1, z["warm"], z["seconds"])
    meanwhile = z["seconds"] + z["warm"] + 1
    case = {"connections": z["logins"], "cost": z["cost"]}
    with bench.started(cost=z["cost"]) as systems:
        users = {name: s.register(20) for name, s in systems.items()}
        for run, name, s in bench.alternating(systems):
            bench.record("login", case | {"beside": "nothing"}, name, run,
                         s.load("login", z["logins"], z["seconds"], users=users[name]))
            quiet = s.pairs(*message, users=users[name])
            storm = s.spawn("login", z["logins"], meanwhile, users=users[name])
            busy = s.pairs(*message, users=users[name])
            bench.record("login", case | {"beside": "messages"}, name, run, s.result(storm) | {
                "quiet_p99_ms": quiet["receipt_p99_ms"], "busy_p99_ms": busy["receipt_p99_ms"],
                "messages_per_second": busy["per_second"]})
            if name == "chatd":
                bench.record("login", case | {"beside": "nothing"}, "crypt", run,
                             json.loads(bench.scene.run(bare(bench, z["seconds"]))))
                loop = s.scene.start(bare(bench, meanwhile, "low"), text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                busy = s.pairs(*message, users=users[name])
                bench.record("login", case | {"beside": "messages"}, "crypt", run, s.result(loop) | {
                    "busy_p99_ms": busy["receipt_p99_ms"], "messages_per_second": busy["per_second"]})


def online(server, token):
    """The ids of those who are online, as GET /users has them."""
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    c.request("GET", "/users", headers={"Authorization": f"Bearer {token}"})
    answer = c.getresponse()
    body = answer.read()
    c.close()
    if answer.status != 200:
        raise Failed(f"GET /users: {answer.status} {body!r}")
    return {u["id"] for u in json.loads(body) if u["online"]}


def storm(bench):
    """N clients connect at once; then exactly they are online, and after their end nobody."""
    for n in bench.sizes["storm"]:
        with bench.started(sessions=n) as systems:
            users = {name: s.register(min(n, SHARED_USERS)) for name, s in systems.items()}
            watchers = {name: read_users(s.register(3, "watchers"))[0][3] for name, s in systems.items()}
            for run, name, s in bench.alternating(systems):
                everyone = {u[0] for u in read_users(users[name])}
                with resting(s, n, n, users[name]) as figures:
                    figures["right_after_s"] = eventually(
                        lambda: online(s, watchers[name]) == everyone, 120)
                figures["empty_after_s"] = eventually(lambda: not online(s, watchers[name]), 120)
                bench.record("storm", {"N": n}, name, run, figures)


FILL = """
{how}
insert into chatd.messages (sender_id, receiver_id, conversation_id, client_id, content)
select sender, receiver,
       (select c.conversation_id from chatd.contacts c where c.user_id = sender and c.contact_id = receiver),
       n, 'message ' || n || ' of the history'
  from generate_series({first}, {last}) n,
       (select array_agg(id order by id) u from chatd.users where id <> all (array{quiet})) everyone,
       lateral (select case when n % 10 = 0 then {a} else u[1 + n % cardinality(u)] end as sender,
                       case when n % 10 = 0 then {b} else u[1 + n / cardinality(u) % cardinality(u)] end
                       as receiver) two
"""
# All users have written to each other by the end of the first chunk, and their contacts are there; what
# is left of the triggers is many minutes of checks that would find nothing.
UNCHECKED = "set session_replication_role = replica;"


def fill(server, a, b, quiet, have, want, chunk):
    """Every tenth message is between two users, the rest among all but those who are quiet."""
    for first in range(have, want, chunk):
        server.sql(FILL.format(how=UNCHECKED if first >= chunk else "", a=a, b=b, quiet=quiet, first=first,
                               last=min(first + chunk, want) - 1))
    server.sql("vacuum analyze")
    if server.rows() != want:
        raise Failed(f"{server.rows()} messages in the history in place of {want}")


def current_cursor(server, token):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    c.request("GET", "/events?cursor=", headers={"Authorization": f"Bearer {token}"})
    frame = json.loads(c.getresponse().readline())
    c.close()
    if frame["type"] != "resumed":
        raise Failed(f"not resumed: {frame}")
    return frame["data"]["cursor"]


PLANS = """
load 'auto_explain';
set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on;
set auto_explain.log_analyze = on; set auto_explain.log_timing = off;
set client_min_messages = log;
\\echo -- history, the last page
select known from chatd_api.message_history({a}, {b}, null, null, 50);
\\echo -- history, a page in the middle
select known from chatd_api.message_history({a}, {b}, {middle}, null, 50);
\\echo -- history, the page after it
select known from chatd_api.message_history({a}, {b}, null, {middle}, 50);
\\echo -- resume, the last 100 changes
select count(*) from chatd_api.event_read_user({a}, {recent}, {last}, 50);
\\echo -- resume, from the very first change on
select count(*) from chatd_api.event_read_user({a}, 0, {last}, 50);
\\echo -- resume, from there on, of a user with few messages
select count(*) from chatd_api.event_read_user({few}, 0, {last}, 50);
"""


def plans(bench, server, a, b, few, size):
    """Writes how PostgreSQL goes about it, and returns the most messages that a step of it reads."""
    last = int(server.sql("select max(id) from chatd.messages"))
    text = PLANS.format(a=a, b=b, few=few, middle=last // 2, recent=last - 100, last=last)
    out = subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", server.id], input=text,
                         env=bench.scene.env, check=True, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True).stdout
    with open(f"{os.path.dirname(bench.out.name)}/plans-{size}.txt", "w") as f:
        f.write(out)
    read = re.findall(r"-> .*Scan.* on messages .*\(actual rows=(\d+) loops=1\)", out)
    if not read:
        raise Failed("auto_explain showed no plan that reads messages")
    return max(map(int, read + re.findall(r"Rows Removed by Filter: (\d+)", out)))


def add(server, sender, receiver, count):
    server.sql("insert into chatd.messages (sender_id, receiver_id, content)"
               f" select {sender}, {receiver}, 'missed ' || n from generate_series(1, {count}) n")


def stored(bench, server, size):
    """Fills a server's history; returns a function that measures.

    Two users keep quiet but for the first messages of all, and one of them comes back with a cursor
    from before. Two others have a tenth of all messages between them, and one missed the last.
    """
    z, few, missed = bench.sizes, 50, 100
    users, quiet = server.register(100), server.register(2, "quiet")
    (a, _, _, token), (b, *_) = read_users(users)[:2]
    (c, _, _, quiet_token), (d, *_) = read_users(quiet)
    oldest = current_cursor(server, quiet_token)
    add(server, d, c, few)
    fill(server, a, b, [c, d], few, size, z["chunk"])
    rows_read = plans(bench, server, a, b, c, size)
    recent = current_cursor(server, token)
    add(server, b, a, missed)
    middle = int(server.sql("select max(id) / 2 from chatd.messages"))

    def page(where):
        return server.load("http", 1, z["seconds"], "keepalive", f"/messages/{b}{where}",
                           users=users)["answer_p50_ms"]

    def resume(cursor, who, count):
        result = server.load("resume", cursor, z["resumes"], users=who)
        if result["frames_each"] != count:
            raise Failed(f"resume brought {result['frames_each']} of {count} messages")
        return result["resume_p50_ms"]

    return lambda: {
        "rows_read": rows_read, "last_p50_ms": page(""), "middle_p50_ms": page(f"?before={middle}"),
        "after_p50_ms": page(f"?after={middle}"), "resume_p50_ms": resume(recent, users, missed),
        "oldest_p50_ms": resume(oldest, quiet, few)}


def history(bench):
    """Pages and resume, with few and with many stored messages; chatd only, compared with itself."""
    if "chatd" not in bench.systems:
        return
    with contextlib.ExitStack() as stack:
        measures = {}
        for size in bench.sizes["history"]:
            server = stack.enter_context(SYSTEMS["chatd"](bench.scene))
            measures[size] = stored(bench, server, size)
        for run, size, measure in bench.alternating(measures):
            bench.record("history", {"messages": size}, "chatd", run, measure())


def retention(bench):
    """Pairs, before and while what is too old is removed; chatd only, compared with itself."""
    z = bench.sizes
    for size in z["thinned"]:
        with bench.started(only=["chatd"], retention_interval="100ms") as systems:
            for server in systems.values():
                thin(bench, server, size, server.register(2 * z["live_pairs"]))


def thin(bench, server, size, users):
    z = bench.sizes
    (a, *_), (b, *_) = read_users(server.register(2, "old"))
    server.sql(f"""
        insert into chatd.messages (sender_id, receiver_id, content, created_at) values ({a}, {b}, 'first', now() - interval '40 days');
        set session_replication_role = replica;
        insert into chatd.messages (conversation_id, sender_id, receiver_id, client_id, content, created_at)
        select c.conversation_id, {a}, {b}, n, 'This is old, and nobody needs it any more', now() - interval '40 days'
          from generate_series(2, {size}) n, chatd.contacts c where c.user_id = {a} and c.contact_id = {b};
        analyze chatd.messages""")
    last = int(server.sql("select max(id) from chatd.messages"))

    def left():
        return last - int(server.sql("select swept from chatd.retention"))

    def live():
        return server.load("pairs", z["live_pairs"], 1, z["warm"], z["seconds"], users=users)

    def record(during, figures):
        bench.record("retention", {"messages": size, "during": during}, server.name, 0, figures)

    record(False, live())
    before, began = left(), time.monotonic()
    server.sql("update chatd.retention set days = 30")
    parts = [live()]
    while left() > 0:
        parts.append(live())
        if time.monotonic() - began > z["mode_seconds"]:
            raise Failed(f"{left():,} messages are still there")
    record(True, {figure: statistics.median(p[figure] for p in parts) for figure in ("receipt_p50_ms", "receipt_p99_ms")}
           | {"receipt_max_ms": max(p["receipt_max_ms"] for p in parts)})
    record(None, {"removed_per_second": before / (time.monotonic() - began)})


def fair(bench):
    """What a pair of users notices, and somebody who logs in, while one account or one stranger takes all
    that it gets; and what that costs the server. chatd only, compared with a quiet server."""
    z = bench.sizes
    most = max([c for c, *_ in z["floods"]] + [z["listers"], z["resumers"], z["registrars"], z["slow_readers"]])
    with bench.started(only=["chatd"], sessions=100 + most, cost=z["cost"]) as systems:
        for server in systems.values():
            innocent, attacker = server.register(2, "innocent"), server.register(2, "attacker")
            fill_for_fair(server, read_users(attacker)[0][0], read_users(attacker)[1][0], z)
            for run in range(z["runs"]):
                for name, attack in attacks(z, server, attacker).items():
                    with attacking(server, attack, attacker) as costs:
                        figures = server.load("pairs", 1, 1, z["warm"], z["seconds"], users=innocent)
                        figures |= server.load("login", 1, z["seconds"], users=innocent, refusals=True)
                    bench.record("fair", {"attack": name}, server.name, run, figures | costs)


def fill_for_fair(server, one, other, z):
    """A crowd of users, an account that missed much, and messages whose JSON is six times as long."""
    server.sql(f"""
        insert into chatd.users (username, email, password_hash)
        select 'crowd' || n, 'crowd' || n || '@example.com', '' from generate_series(1, {z['crowd_of_users']}) n;
        insert into chatd.messages (sender_id, receiver_id, content)
        select {other}, {one}, 'missed ' || n from generate_series(1, {z['missed']}) n;
        insert into chatd.messages (sender_id, receiver_id, content)
        select {one}, {other}, repeat(chr(1), 16000) from generate_series(1, 100)""")


def attacks(z, server, attacker):
    """Name -> what the process is started with: load's modes, or attack.py's."""
    (_, _, _, token), (other, *_) = read_users(attacker)
    tag = server.sql("select tag from chatd.instance")
    cursor = server.sql("select min(id) || '-' || chatd.change_stamp(min(created_at)) from chatd.messages"
                        f" where sender_id = {other}")
    found = {"nothing": None}
    for connections, window, size in z["floods"]:
        found[f"{connections} connections of one account send {size} bytes"] = (
            "load", "flood", connections, window, size, 3600)
    found[f"{z['listers']} connections of one account ask for GET /users of {z['crowd_of_users']:,}"] = (
        "load", "http", z["listers"], 3600, "keepalive", "/users")
    found[f"{z['resumers']} connections of one account resume {z['missed']:,} messages"] = (
        "attack", "resume", z["resumers"], token, f"/ws?cursor={tag}-{cursor}")
    found[f"{z['registrars']} connections of a stranger register"] = "attack", "register", z["registrars"]
    found["8 connections of a stranger with bad tokens"] = "attack", "bad-token", 8
    found[f"{z['slow_readers']} connections of one account read a page slowly"] = (
        "attack", "slow-reader", z["slow_readers"], token, f"/messages/{other}?limit=100")
    return found


@contextlib.contextmanager
def attacking(server, attack, users):
    """While this lasts. Gives a dict that has, afterwards, what it has cost the server."""
    costs = {}
    if not attack:
        yield costs
        return
    program, *args = attack
    before = proc.pss(server.sessions()), len(server.sessions()), os.path.getsize(server.log.name), time.monotonic()
    if program == "load":
        process = server.spawn(*args, users=users)
        if args[0] == "flood":
            process.stdout.readline()   # all its connections are open
    else:
        process = server.scene.start(["/usr/bin/python3", f"{HERE}/attack.py", str(server.port), *map(str, args)],
                                     text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdout.readline()
    time.sleep(1)
    yield costs
    sessions = server.sessions()
    costs["session_kb"] = (proc.pss(sessions) - before[0]) / max(1, len(sessions) - before[1])
    costs["log_kb_s"] = (os.path.getsize(server.log.name) - before[2]) / 1000 / (time.monotonic() - before[3])
    server._ended(process)


MODES = {"same": same.same, "pairs": pairs, "groups": conversations.groups, "idle": idle, "crowd": crowd,
         "http": http_requests, "lists": conversations.lists, "login": login, "storm": storm,
         "history": history, "retention": retention, "hosts": hosts.hosts,
         "primary": hosts.primary, "fair": fair}


def missing(modes, systems):
    """Programs that these modes need and this machine lacks."""
    wanted = {"psql"} | ({"node", "npm"} if "baseline" in systems else set())
    wanted |= {"go"} if "batching" in systems else set()
    wanted |= {"pgbench"} if {"http", "primary"} & set(modes) and "chatd" in systems else set()
    return sorted(program for program in wanted if not shutil.which(program))
