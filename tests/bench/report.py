"""From the records to a table in Markdown, held against the targets, and to plots."""
import os
import shutil
import statistics
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


class Row:
    """One line of the table.

    A figure of chatd stands beside the same figure of another system ("against"), run by run: their
    ratio is what a target of the form "at least 2 x" bounds. Without "against" the target bounds the
    figure itself. What has another shape overrides values().
    """

    def __init__(self, mode, label, unit, figure, case, against="baseline", least=None, most=None,
                 own=False):
        """least, most: the target; own: it bounds chatd's figure though there is one to compare."""
        self.mode, self.label, self.unit, self.figure = mode, label, unit, figure
        self.case, self.against, self.least, self.most = case, against, least, most
        self.own = own or not against

    def select(self, records, system):
        """run -> figure"""
        return {r["run"]: r[self.figure] for r in records
                if r["mode"] == self.mode and r["system"] == system and r["case"] == self.case
                and self.figure in r}

    def values(self, records):
        """(chatd's figures, the other's, ratios), each a list."""
        ours = self.select(records, "chatd")
        theirs = self.select(records, self.against) if self.against else {}
        ratios = [ours[n] / theirs[n] for n in sorted(ours) if theirs.get(n)]
        return list(ours.values()), list(theirs.values()), ratios

    def target(self):
        if self.least is None and self.most is None:
            return ""
        bound = f"≥ {self.least:,g}" if self.most is None else f"≤ {self.most:,g}"
        return bound + (f" {self.unit}".rstrip() if self.own else " ×")

    def met(self, ours, ratios):
        judged = ours if self.own else ratios
        if not judged or not self.target():
            return ""
        value = statistics.median(judged)
        good = (self.least is None or value >= self.least) and (self.most is None or value <= self.most)
        return "yes" if good else "**no**"

    def line(self, records):
        """The cells, or None where nothing was measured."""
        ours, theirs, ratios = self.values(records)
        if not ours:
            return None
        return [self.label, number(ours) + f" {self.unit}".rstrip(), self.against if theirs else "",
                number(theirs), spread(ratios), self.target(), self.met(ours, ratios)]


class Within(Row):
    """One case of chatd against another case, or another figure, of chatd."""

    def __init__(self, *args, other_case=None, other_figure=None, name="", **kw):
        super().__init__(*args, **kw)
        self.other_case, self.other_figure, self.against = other_case, other_figure, name

    def values(self, records):
        other = Row(self.mode, "", "", self.other_figure or self.figure, self.other_case or self.case)
        ours, theirs = self.select(records, "chatd"), other.select(records, "chatd")
        ratios = [ours[n] / theirs[n] for n in sorted(ours) if theirs.get(n)]
        return list(ours.values()), list(theirs.values()), ratios


# What chatd is held against, and stands beside in the plots.
BASELINES = ["baseline", "batching"]


def beside(records, mode, label, unit, figure, case, batching=None, **target):
    """A row against each baseline that was measured. "target" is that against the first, "batching" the
    one against the second, as a dict."""
    measured = {r["system"] for r in records if r["mode"] == mode and r["case"] == case and figure in r}
    targets = {"baseline": target, "batching": batching or {}}
    for name in [b for b in BASELINES if b in measured] or BASELINES[:1]:
        yield Row(mode, label, unit, figure, case, against=name, **targets[name])


def number(values):
    if not values:
        return ""
    value = statistics.median(values)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(ratios):
    if not ratios:
        return ""
    text = f"{statistics.median(ratios):.2f}"
    return text if len(ratios) == 1 else f"{text} ({min(ratios):.2f}–{max(ratios):.2f})"


def cases(records, mode):
    """The cases of a mode, in the order in which they came."""
    found = []
    for r in records:
        if r["mode"] == mode and r["case"] not in found:
            found.append(r["case"])
    return found


def pairs_rows(records):
    rate_targets = {(50, 1): (2, 1), (500, 1): (2, 0.9), (50, 8): (3, 1.2)}
    for case in cases(records, "pairs"):
        p, w = case["P"], case["W"]
        name = f"pairs P={p} W={w}"
        one, (least, batching) = (p, w) == (1, 1), rate_targets.get((p, w), (None, None))
        yield from beside(records, "pairs", f"{name}, durable messages", "/s", "per_second", case,
                          least=least, batching={"least": batching})
        yield from beside(records, "pairs", f"{name}, median latency", "ms", "receipt_p50_ms", case,
                          most=1.5 if one else None, batching={"most": 1.2 if one else None})
        yield from beside(records, "pairs", f"{name}, p99 latency", "ms", "receipt_p99_ms", case,
                          most=1 if least else None, batching={"most": 1.2 if one or least else None})


def groups_rows(records):
    for case in cases(records, "groups"):
        name = f"groups G={case['groups']} R={case['receivers']:,} W={case['W']}"
        large = case["receivers"] >= 1000
        for row in beside(records, "groups", f"{name}, deliveries", "/s", "deliveries_per_second", case):
            if large and row.against == "baseline":
                row.least, row.own = 80_000, True
            yield row
        yield from beside(records, "groups", f"{name}, p99 latency", "ms", "receipt_p99_ms", case)
        yield from beside(records, "groups", f"{name}, processors that the generator took", "",
                          "generator_cpu", case)


def lists_rows(records):
    for case in cases(records, "lists"):
        name = (f"GET /conversations, 50 of {case['conversations']:,}, {case['messages']:,} messages stored,"
                f" {case['unread']} unread")
        for row in beside(records, "lists", f"{name}, one connection, median", "ms", "one_p50_ms", case):
            if row.against == "baseline":
                row.most, row.own = 3, True
            yield row
        yield from beside(records, "lists", f"{name}, {case['connections']} connections", "/s", "per_second",
                          case, batching={"least": 1})


def idle_rows(records):
    for case in cases(records, "idle"):
        name = f"idle N={case['N']:,}"
        yield from beside(records, "idle", f"{name}, a session all in", "kB", "session_kb", case, most=170,
                          own=True)
        yield from beside(records, "idle", f"{name}, of that PSS", "kB", "pss_kb", case)
        yield from beside(records, "idle", f"{name}, PostgreSQL connections", "", "connections", case, most=8,
                          own=True)
        yield Row("idle", f"{name}, wake-ups of a session at rest", "", "wakeups", case, against=None, most=0)


def crowd_rows(records):
    found = cases(records, "crowd")
    for case in found:
        name = f"pairs P={case['P']} amid N={case['N']:,}"
        yield from beside(records, "crowd", f"{name}, durable messages", "/s", "per_second", case)
        yield from beside(records, "crowd", f"{name}, p99 latency", "ms", "receipt_p99_ms", case)
        if case["N"]:
            yield Within("crowd", f"{name}, rate", "/s", "per_second", case, other_case=found[0],
                         name=f"N={found[0]['N']}", least=0.85)


def http_rows(records):
    for case in cases(records, "http"):
        name = f"GET {case['resource']}, {case['connections']} connections, {case['kind']}"
        keep = case["kind"] == "keepalive"
        yield from beside(records, "http", name, "/s", "per_second", case, least=2 if keep else 2600,
                          own=not keep, batching={"least": 1 if keep else None})
        if keep:
            yield Row("http", name, "/s", "per_second", case, against="pgbench", least=0.5)


def login_rows(records):
    for case in cases(records, "login"):
        alone = case["beside"] == "nothing"
        name = (f"login, cost {case['cost']}, {case['connections']} at once, "
                + ("nothing beside" if alone else "beside messages"))
        yield Row("login", name, "/s", "per_second", case, against="crypt", least=0.9 if alone else None)
        yield from beside(records, "login", name, "/s", "per_second", case)
        if not alone:
            yield Within("login", f"{name}: p99 of messages", "ms", "busy_p99_ms", case,
                         other_figure="quiet_p99_ms", name="quiet", most=10)
            yield Row("login", f"{name}: p99 of messages", "ms", "busy_p99_ms", case, against="crypt")
            yield Row("login", f"{name}: messages", "/s", "messages_per_second", case, against="crypt")


def storm_rows(records):
    for case in cases(records, "storm"):
        name = f"storm of {case['N']:,}"
        yield from beside(records, "storm", f"{name}, connects", "/s", "per_second", case, least=1000, own=True)
        yield from beside(records, "storm", f"{name}, p99 until open", "ms", "open_p99_ms", case)
        yield from beside(records, "storm", f"{name}, presence right after the last", "s", "right_after_s", case)
        yield from beside(records, "storm", f"{name}, nobody online after their end", "s", "empty_after_s", case)


def history_rows(records):
    found = cases(records, "history")
    for case in found[1:]:
        for what, figure in (("the last page", "last_p50_ms"), ("a page in the middle", "middle_p50_ms"),
                             ("the page after it", "after_p50_ms"), ("resume, 100 missed", "resume_p50_ms"),
                             ("resume, the oldest 50 missed", "oldest_p50_ms")):
            yield Within("history", f"{case['messages']:,} messages stored, {what}", "ms", figure, case,
                         other_case=found[0], name=f"{found[0]['messages']:,}", most=1.5)
        yield Row("history", f"{case['messages']:,} messages stored, most that a step of a plan reads", "",
                  "rows_read", case, against=None, most=200)


def retention_rows(records):
    found = cases(records, "retention")
    for case in (c for c in found if c["during"]):
        quiet = {**case, "during": False}
        name = f"a pair while {case['messages']:,} messages are removed"
        for label, figure, most in (("median", "receipt_p50_ms", None), ("p99", "receipt_p99_ms", None),
                                    ("longest", "receipt_max_ms", 100)):
            yield Within("retention", f"{name}, {label}", "ms", figure, case, other_case=quiet, name="before", most=most,
                         own=most is not None)
        yield Row("retention", "removed", "/s", "removed_per_second", {**case, "during": None}, against=None)


def hosts_rows(records):
    found = cases(records, "hosts")
    for case in found:
        service = "a service each" if case["databases"] > 1 else "one service"
        name = f"{case['hosts']} hosts, {service}" if case["hosts"] > 1 else "1 host"
        yield Within("hosts", f"{name}, durable messages", "/s", "per_second", case, other_case=found[0], name="1 host")
        for label, figure in (("the primary", "primary_us"), ("of that the writers", "writer_us"), ("chatd", "chatd_us")):
            yield Within("hosts", f"{name}, processor time of a message: {label}", "µs", figure, case,
                         other_case=found[0], name="1 host")


def primary_rows(records):
    found = cases(records, "primary")
    for case in found:
        where = "one database" if case["databases"] == 1 else f"{case['databases']} databases"
        name = f"{case['writers']} writers in {where}" if case["writers"] > 1 else "1 writer"
        yield Within("primary", f"PostgreSQL alone, {name}, messages stored", "/s", "per_second", case,
                     other_case=found[0], name="1 writer")


def fair_rows(records):
    found = cases(records, "fair")
    for case in found:
        attack = case["attack"]
        p50, p99 = (20, 100) if "send" in attack else (None, 250)
        for who, figure, most in ((f"a pair beside: {attack}, p50", "receipt_p50_ms", p50),
                                  (f"a pair beside: {attack}, p99", "receipt_p99_ms", p99),
                                  (f"a login beside: {attack}, p50", "answer_p50_ms", None)):
            yield Within("fair", who, "ms", figure, case, other_case=found[0], name="nothing", most=most,
                         own=most is not None)
        yield Row("fair", f"logins refused beside: {attack}", "", "refused", case, against=None, most=0)
        yield Row("fair", f"{attack}: memory of a session", "kB", "session_kb", case, against=None, most=2000)
        yield Row("fair", f"{attack}: log", "kB/s", "log_kb_s", case, against=None, most=20)


ROWS = [pairs_rows, groups_rows, idle_rows, crowd_rows, http_rows, lists_rows, login_rows, storm_rows, history_rows,
        retention_rows, hosts_rows, primary_rows, fair_rows]
HEAD = ["", "chatd", "against", "its figure", "ratio (min–max)", "target", "met"]


def machine():
    with open("/proc/cpuinfo") as f:
        models = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) // 1024 // 1024
    kernel = os.uname()
    return (f"{os.cpu_count()} × {models[0] if models else kernel.machine}, {memory} GB,"
            f" {kernel.sysname} {kernel.release}")


def busiest(records):
    """The greatest share of a processor that the generator itself took."""
    return max((r["generator_cpu"] for r in records if "generator_cpu" in r), default=0)


def table(records, quick):
    lines = [[cell or "" for cell in line] for rows in ROWS for row in rows(records)
             if (line := row.line(records))]
    text = ["| " + " | ".join(cells) + " |" for cells in [HEAD, ["---"] * len(HEAD), *lines]]
    runs = 1 + max((r["run"] for r in records), default=0)
    note = [f"{machine()}. Medians of {runs} run{'s' if runs > 1 else ''} in turn; the load generator,"
            f" on the same machine, took at most {busiest(records):.0%} of a processor."]
    if quick:
        note.insert(0, "**Sizes of a trial: these figures say only that the bench works.**\n")
    return "\n".join([*note, "", *text, ""])


def write_data(records, mode, x, path, where=lambda case: True):
    """Columns for the plot: x, and each system's rate and p99. Returns whether there is a line to draw."""
    points = sorted({r["case"][x] for r in records if r["mode"] == mode and where(r["case"])})
    if len(points) < 2:
        return False
    with open(path, "w") as f:
        for point in points:
            cells = [str(point)]
            for system in ["chatd", *BASELINES]:
                for figure in "per_second", "receipt_p99_ms":
                    got = [r[figure] for r in records if r["mode"] == mode and r["system"] == system
                           and r["case"][x] == point and where(r["case"])]
                    cells.append(f"{statistics.median(got):.4f}" if got else "NaN")
            f.write(" ".join(cells) + "\n")
    return True


def plot(records, out):
    if not shutil.which("gnuplot"):
        return
    for mode, x, label, where in (
            ("pairs", "P", "pairs, one message in flight each", lambda case: case["W"] == 1),
            ("crowd", "N", "sessions at rest beside the pairs", lambda case: True)):
        data = f"{out}/{mode}.dat"
        if write_data(records, mode, x, data, where):
            settings = f"data='{data}'; out='{out}/{mode}.svg'; label='{label}'; logx={int(x == 'P')}"
            subprocess.run(["gnuplot", "-e", settings, f"{HERE}/plot.gp"], check=True, start_new_session=True)
            os.unlink(data)


def write(records, out, quick):
    with open(f"{out}/table.md", "w") as f:
        f.write(table(records, quick))
    plot(records, out)
