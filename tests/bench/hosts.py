"""Several hosts: what a message costs the primary, and what another database would change."""
import contextlib
import subprocess

import proc
from scene import SYSTEMS, check_counts, read_users

# The backends of a host, by the name that it gives them.
BACKENDS = {"writer": "chatd writer", "listener": "chatd listener", "readers": "chatd pool"}


def hosts(bench):
    """One service on several hosts, each pair across two of them, and as many services of one host with
    a database each, all in one PostgreSQL. chatd only, compared with itself."""
    z = bench.sizes
    if "chatd" not in bench.systems:
        return
    for count in z["hosts"]:
        for databases in dict.fromkeys((1, count)):
            with contextlib.ExitStack() as stack:
                services = [stack.enter_context(SYSTEMS["chatd"](bench.scene)) for _ in range(databases)]
                for _ in range(count // databases - 1):
                    services[0].another()
                measure(bench, count, services)


def measure(bench, count, services):
    z = bench.sizes
    p, w = z["hosts_pairs"]
    p //= len(services)
    users = [s.register(2 * p) for s in services]
    for run in range(z["runs"]):
        before = [used(s) for s in services]
        stored = [s.rows() for s in services]
        loads = [s.spawn("pairs", p, w, 0, z["seconds"], users=u) for s, u in zip(services, users)]
        results = [s.result(load) for s, load in zip(services, loads)]
        for s, rows, result in zip(services, stored, results):
            check_counts(result, s.rows() - rows, s.in_order)
        after = [used(s) for s in services]
        messages = sum(r["acked"] for r in results)
        figures = {f"{part}_us": sum(a[part] - b[part] for a, b in zip(after, before)) * 1e6 / messages
                   for part in before[0]}
        figures["primary_us"] = sum(figures[f"{part}_us"] for part in BACKENDS)
        figures |= {"per_second": sum(r["per_second"] for r in results),
                    "generator_cpu": sum(r["generator_cpu"] for r in results)}
        bench.record("hosts", {"hosts": count, "databases": len(services)}, "chatd", run, figures)


def used(service):
    """Seconds of a processor that each part of a service has taken so far."""
    pids = service.sql("select application_name || ':' || pid from pg_stat_activity"
                       " where datname = current_database()")
    backends = [line.rsplit(":", 1) for line in pids.splitlines()]
    parts = {part: sum(proc.cpu(int(pid)) for name, pid in backends if name == application)
             for part, application in BACKENDS.items()}
    # The sessions of an earlier run have ended: their time is with the master's.
    return parts | {"chatd": sum(proc.cpu(pid) for host in [service, *service.others] for pid in host.tree())}


# A batch as a host's writer sends it, each pair with a message of its own.
BATCH = """
\\set k random(1, 9000000000)
select count(*) from chatd_api.message_send((select min(id) from chatd.hosts),
    array{senders}::bigint[], array{receivers}::bigint[],
    array(select :k || '-' || n from generate_series(1, {size}) n), array_fill(null::bigint, array[{size}]),
    array_fill('This takes the place of a message'::text, array[{size}]), array_fill(false, array[{size}]));
"""


def primary(bench):
    """Batches stored by one writer and by several, in one database and in as many as there are writers,
    with nothing of chatd beside them: what PostgreSQL alone has room for."""
    z = bench.sizes
    if "chatd" not in bench.systems:
        return
    with contextlib.ExitStack() as stack:
        services = [stack.enter_context(SYSTEMS["chatd"](bench.scene)) for _ in range(max(z["writers"]))]
        scripts = [batch(s, z["batch"]) for s in services]
        for count in z["writers"]:
            for databases in dict.fromkeys((1, count)):
                for run in range(z["runs"]):
                    stored = [s.rows() for s in services]
                    began = [(s, store(bench, s, script, count // databases))
                             for s, script in zip(services[:databases], scripts)]
                    for s, process in began:
                        s.output(process)
                    rows = sum(s.rows() for s in services) - sum(stored)
                    bench.record("primary", {"writers": count, "databases": databases}, "chatd", run,
                                 {"per_second": rows / max(1, int(z["seconds"]))})


def batch(service, size):
    users = [u for u, *_ in read_users(service.register(2 * size))]
    path = f"{service.scene.folder}/{service.id}.batch"
    with open(path, "w") as f:
        f.write(BATCH.format(senders=users[::2], receivers=users[1::2], size=size))
    return path


def store(bench, service, script, clients):
    seconds = str(max(1, int(bench.sizes["seconds"])))
    return bench.scene.start(["pgbench", "-n", "-M", "prepared", "-f", script, "-c", str(clients),
                              "-j", str(clients), "-T", seconds, service.id],
                             env=bench.scene.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
