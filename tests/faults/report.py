"""The figures of the runs, as a table for people and as Markdown."""
from collections import Counter, defaultdict

import presence
from index import faults_of

DEFINITIONS = """\
Longest delivery gap: from the acknowledgement, or from the opening of the connection that brought
it where that came later, to the delivery. Slow readers are not counted. Longest ghost: for how long
somebody was shown online by a living, connected host after the last connection had gone. Each counts
for the first fault that was on meanwhile, in the database or at the host that the connection is or was
on; otherwise for the one that began last before its end; "none yet" is before the first."""


def figures(rows):
    """Everything that the table says of one run, as plain numbers."""
    devices = {r["device"]: r for r in rows["run"] if r["ev"] == "device"}
    faults = faults_of(rows)

    def cause(begin, end, host):
        """What a wait between two moments counts for."""
        on = [x["kind"] for x in faults if x["t"] <= end and begin <= x["over"] and x["host"] in (None, host)]
        before = [x["kind"] for x in faults if x["t"] <= end]
        return on[0] if on else before[-1] if before else "none yet"
    f = {"faults": Counter(r["kind"] for r in faults), "gap": defaultdict(float), "ghost": defaultdict(float)}
    f["attempts"] = len(rows["sent"])
    f["sent"] = len({(r["user"], r["id"]) for r in rows["sent"]})
    f["acked"] = len({(r["user"], r["id"]) for r in rows["acked"]})
    f["stored"] = len(rows["stored"])
    f["frames"] = len(rows["received"])
    f["changes"] = len({(r["device"], r["id"]) for r in rows["asked"]})
    f["changes_made"] = len({(r["device"], r["id"]) for r in rows["made"]})
    f["changes_told"] = len(rows["changed"])
    f["moves"] = len({(r["device"], r["id"]) for r in rows["moves"]})
    f["moved"] = sum(r["status"] in (200, 201, 204) for r in rows["moved"])
    f["group_changes"] = len(rows["groups"])
    f["refused"] = len(rows["refused"])
    f["said"] = len(rows["said"])
    f["shown"] = len(rows["shown"])
    f["views"] = len(rows["views"])
    opened = {(r["device"], r["conn"]): r["t"] for r in rows["connections"] if r["ev"] == "open"}
    host = {(r["device"], r["conn"]): r["host"] for r in rows["connections"] if r["ev"] == "open"}
    f["connections"] = len(opened)
    f["handshakes"] = sum(r["how"] == "good" for r in rows["handshakes"])
    acked = {}
    for r in rows["acked"]:
        acked.setdefault(r["message_id"], r["t"])
    first, f["repeats"], f["repeats_resumed"] = set(), 0, 0
    for r in rows["received"]:
        key, device = (r["device"], r["message_id"]), devices[r["device"]]
        if key in first:
            f["repeats" if device["resume"] == "history" else "repeats_resumed"] += 1
            continue
        first.add(key)
        if device["kind"] != "slow" and r["message_id"] in acked:
            since = max(acked[r["message_id"]], opened.get((r["device"], r["conn"]), 0))
            kind = cause(since, r["t"], host.get((r["device"], r["conn"])))
            f["gap"][kind] = max(f["gap"][kind], r["t"] - since)
    f["delivered"] = len(first)
    for length, _, _, _, begin, end, last in presence.ghosts(rows):
        kind = cause(begin, end, last)
        f["ghost"][kind] = max(f["ghost"][kind], length)
    return f


def total(all_):
    """Sums, and maxima of what is a longest."""
    sum_ = {"faults": Counter(), "gap": defaultdict(float), "ghost": defaultdict(float)}
    for f in all_:
        for key, value in f.items():
            if key in ("gap", "ghost"):
                for kind, length in value.items():
                    sum_[key][kind] = max(sum_[key][kind], length)
            elif key == "faults":
                sum_[key].update(value)
            else:
                sum_[key] = sum_.get(key, 0) + value
    return sum_


def tables(f):
    """[(head, rows)]."""
    seconds = lambda d, k: f"{d[k]:.2f} s" if k in d else "-"
    kinds = ["none yet", *sorted(f["faults"])]
    return [(("fault", "times", "longest delivery gap", "longest ghost"),
             [(k, str(f["faults"].get(k, "")), seconds(f["gap"], k), seconds(f["ghost"], k)) for k in kinds]),
            (("what", "how many"),
             [(name, str(f[key])) for key, name in [
                 ("sent", "messages sent"), ("attempts", "attempts to send them"), ("acked", "acknowledged"),
                 ("stored", "stored"), ("delivered", "delivered, once for each device"),
                 ("changes", "changes of messages asked for"), ("changes_made", "changes acknowledged"),
                 ("changes_told", "changes told, once for each device"), ("moves", "changes of groups asked for"),
                 ("moved", "granted"), ("group_changes", "made"),
                 ("refused", "messages, changes and watermarks refused by the rules of groups"), ("said", "watermarks said"),
                 ("shown", "watermarks shown, in receipts and lists"),
                 ("views", "what members were shown in the end"),
                 ("connections", "connections opened"), ("handshakes", "handshakes of TLS"),
                 ("repeats", "repeats seen by clients without resume"),
                 ("repeats_resumed", "repeats seen by clients with resume")]])]


def as_text(f):
    out = []
    for head, rows in tables(f):
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        lines = ["  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths)))
                 for row in [head, tuple("-" * w for w in widths), *rows]]
        out.append("\n".join(lines))
    return "\n\n".join([*out, DEFINITIONS])


def as_markdown(f, findings):
    out = ["# Fault suite"]
    for head, rows in tables(f):
        out.append("\n".join("| " + " | ".join(row) + " |" for row in [head, tuple("---" for _ in head), *rows]))
    out.append(DEFINITIONS)
    out.append("## Findings")
    out += [f"- seed {seed}: **{x.kind}** {x.text}\n  `{x.evidence}`" for seed, x in findings] or ["None."]
    return "\n\n".join(out) + "\n"
