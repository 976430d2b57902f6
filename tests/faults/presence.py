"""Who was really connected, who was shown so, and how far apart the two were: pure functions.

The truth is the kernel's: a user may be online from the moment at which a client of his begins to
connect until its socket is closed at either end, and is online, for sure, while a connection of his
is open.

A host lives and is connected while its GET /users is answered, from the first answer to the last
request before one that was not. The database is there while that is so for any host. Only then does
the promise hold, so only then does its clock run:

  ghost   shown online, in the answer of GET /users or by the last user_status frame, though nobody
          of that user is connected: counted from the latest of the close of the last connection,
          the return of the database, and, for frames, the return of the observer and its host
  absent  shown offline though a connection to such a host is open: counted from the latest of its
          opening, the return of that host and of the observer's, and the last answer of the same
          observer that showed him
"""
import bisect
from collections import defaultdict


class Runs:
    """Disjoint intervals of time, in their order."""

    def __init__(self, intervals):
        self.list = []
        for begin, end in sorted(intervals):
            if self.list and begin <= self.list[-1][1]:
                self.list[-1][1] = max(end, self.list[-1][1])
            else:
                self.list.append([begin, end])
        self.begins = [begin for begin, _ in self.list]

    def around(self, t):
        """The interval that this moment is in, or None."""
        i = bisect.bisect_right(self.begins, t) - 1
        return self.list[i] if i >= 0 and t <= self.list[i][1] else None

    def within(self, begin, end):
        """The parts of these intervals between two moments."""
        for a, b in self.list:
            if max(a, begin) < min(b, end):
                yield max(a, begin), min(b, end)


def end_of(rows):
    return max([r["t"] for topic in rows.values() for r in topic], default=0)


def attempts(rows):
    """user -> [begin, open or None, close, host] of all his connections."""
    found, last = {}, end_of(rows)
    for r in rows["connections"]:
        key = r["device"], r["conn"]
        if r["ev"] == "begin":
            found[key] = [r["user"], r["t"], None, last + 1, r["host"]]
        elif r["ev"] == "open":
            found[key][2] = r["t"]
        elif r["ev"] in ("close", "failed"):
            found[key][3] = r["t"]
    users = defaultdict(list)
    for user, *rest in found.values():
        users[user].append(rest)
    return users


def absences(connections, last):
    """Between these connections: from when to when nobody was there, and the host of the last one. What
    was before the first one is not counted."""
    runs = Runs((begin, close) for begin, _, close, _ in connections).list
    ends = [begin for begin, _ in runs[1:]] + [last + 1]
    where = {close: host for _, _, close, host in connections}
    return [(close, next_begin, where[close]) for (_, close), next_begin in zip(runs, ends) if close <= last]


def connected(rows):
    """(host -> Runs, Runs of the database)."""
    runs, open_run = defaultdict(list), {}
    for r in rows["seen"]:
        if r["ev"] == "users":
            run = open_run.setdefault(r["observer"], [r["t"], r["t"]])
            run[1] = r["t"]
        elif r["ev"] == "away" and r["observer"] in open_run:
            # It ended at some moment after the last answer.
            runs[r["observer"]].append(open_run.pop(r["observer"]))
    for host, run in open_run.items():
        runs[host].append(run)
    return ({host: Runs(list_) for host, list_ in runs.items()},
            Runs([tuple(run) for list_ in runs.values() for run in list_]))


def shown_online(rows):
    """(observer, user) -> intervals in which the frames that an observer got said so."""
    since, watching, shown = {}, {}, defaultdict(list)
    last = end_of(rows)

    def end(key, t):
        if key in since:
            shown[key].append((since.pop(key), t))

    for r in rows["seen"]:
        o = r["observer"]
        if r["ev"] == "watch":
            watching[o] = set()
            for key in [k for k in since if k[0] == o]:
                end(key, r["t"])
        elif r["ev"] == "status":
            watching[o].add(r["user"])
            end((o, r["user"]), r["t"])
            if r["online"]:
                since[o, r["user"]] = r["t"]
        elif r["ev"] == "view":
            # Older than the frames that came since the connection was open.
            for user in r["online"]:
                if user not in watching[o]:
                    since[o, user] = r["t"]
    for key in list(since):
        end(key, last)
    return shown


def ghosts(rows):
    """(length, user, observer, where shown, from, to, host of the last connection) of each, however
    short."""
    users, last = attempts(rows), end_of(rows)
    hosts, database = connected(rows)
    gone = {user: absences(c, last) for user, c in users.items()}
    for r in rows["seen"]:
        if r["ev"] != "users":
            continue
        for user in r["online"]:
            for close, back, host in gone.get(user, ()):
                run = database.around(r["asked"])
                if close <= r["asked"] and r["t"] < back and run:
                    begin = max(close, run[0])
                    yield r["asked"] - begin, user, r["observer"], "GET /users", begin, r["asked"], host
    for (observer, user), intervals in shown_online(rows).items():
        for close, back, host in gone.get(user, ()):
            for a, b in Runs(intervals).within(close, min(back, last)):
                # The database's own absence is one of its host, too.
                for begin, end in hosts.get(observer, Runs([])).within(a, b):
                    yield end - begin, user, observer, "user_status", begin, end, host


def absent(rows):
    """The same for those who were there and not shown."""
    users = attempts(rows)
    hosts, _ = connected(rows)
    shown = {}
    for r in rows["seen"]:
        if r["ev"] != "users":
            continue
        shown.update({(r["observer"], user): r["asked"] for user in r["online"]})
        online = set(r["online"])
        watched = hosts[r["observer"]].around(r["t"])[0]
        for user, connections in users.items():
            if user in online:
                continue
            for _, opened, close, host in connections:
                run = hosts[host].around(r["asked"]) if host in hosts else None
                if opened is not None and run and max(opened, run[0]) <= r["asked"] and r["t"] < min(close, run[1]):
                    begin = max(opened, run[0], watched, shown.get((r["observer"], user), 0))
                    yield r["asked"] - begin, user, r["observer"], "GET /users", begin, r["asked"], host


def last_views(rows):
    """When all was over: observer -> (who is online by GET /users, and by frames)."""
    over = next((r["t"] for r in rows["run"] if r["ev"] == "end"), end_of(rows))
    shown = shown_online(rows)
    asked = {r["observer"]: set(r["online"]) for r in rows["seen"] if r["ev"] == "users" and r["t"] <= over}
    return {o: (online, {user for (who, user), runs in shown.items()
                         if who == o and any(a <= over <= b for a, b in runs)})
            for o, online in asked.items()}
