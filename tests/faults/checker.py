#!/usr/bin/python3
"""Compares what was promised with what the records say happened: a pure function of the records.

    checker.py DIR/seed-3/records      prints all that is found in them

The promise: a message that was acknowledged is stored once, reaches every device of its receiver,
and the other devices of its sender, in order without a gap and, after resume, without a repeat; so
does each change of it, or a later one, and what was replaced never comes to those who ask later;
watermarks only move forward, and unread is counted right; who is in a group, and as what, is what was
asked for by those who might, and what is sent there reaches those who are in it then, and nobody else;
nobody is shown online who is not; and when a fault is over everybody comes in again, plain and over
TLS, by the host's own certificate. KINDS names all that can be found.
"""
import sys
from collections import Counter, defaultdict, namedtuple

sys.dont_write_bytecode = True

import conversations
import emojis
import membership
import presence
import records
from index import Index, placed

Finding = namedtuple("Finding", "kind text evidence")

KINDS = {
    "lost": "acknowledged, but not stored",
    "missing": "stored, but not received by a device that should have it",
    "late": "received only by a later connection, though one was open for a minute",
    "phantom": "received or acknowledged, but never sent or no longer stored",
    "doubled": "stored twice, acknowledged with two numbers, or received twice",
    "order": "received, or acknowledged, out of order",
    "unacknowledged": "sent, or a change that was asked for, but never acknowledged",
    "changed": "content, sender or receiver is not what was sent, or what it was changed to",
    "undone": "an acknowledged change of a message is neither stored nor superseded",
    "leaked": "the text of a deleted message reached somebody who asked after the deletion",
    "stale": "a superseded text reached somebody who asked later, or stayed the last one on a device that resumes",
    "backward": "a watermark has gone back",
    "behind": "in the end a watermark is not the greatest that was acknowledged",
    "miscounted": "unread, as a list says it, is not what there is",
    "membership": "who is in a group, and as what, is not what was asked for and acknowledged",
    "admitted": "done by somebody who was not in the group, or had not the role for it",
    "barred": "refused, though membership and role allowed it",
    "differs": "in the end a member is shown something else than what is stored",
    "ghost": "shown online for longer than the lease after the last connection was gone",
    "absent": "shown offline for longer than the lease though connected",
    "disagree": "when all is quiet, a view of who is online differs from the truth",
    "unrecovered": "resumed with recovered:false",
    "shut": "not let in for longer than the lease after a fault, or after all of them",
    "gone": "no signer for longer than the lease after a fault",
    "hung": "a TLS handshake was neither done nor refused in the time that it may take",
    "certificate": "a TLS handshake was answered with a certificate that is not, or no longer, the host's",
    "left": "a process or a connection is left behind",
    "error": "an answer that nothing here explains",
}


def check(rows):
    index = Index(rows)
    return [f for part in (check_acks, check_stored, check_delivery, check_late, check_sequences, check_conversations,
                           check_presence, check_entry, check_handshakes, check_rest) for f in part(rows, index)]


def check_acks(rows, index):
    numbers, new = {}, {}
    for r in rows["acked"]:
        key = r["user"], r["id"]
        first = numbers.setdefault(key, r)
        if key not in index.sent:
            yield Finding("phantom", f"an acknowledgement of {r['id']}, which was never sent", index.evidence(r))
        if first["message_id"] != r["message_id"]:
            yield Finding("doubled", f"{r['id']} acknowledged as {first['message_id']} and as {r['message_id']}",
                          {"first": first, "second": index.evidence(r)})
        if not r["duplicate"] and new.setdefault(key, r) is not r:
            yield Finding("doubled", f"{r['id']} was acknowledged as new, twice", {"first": new[key], "second": r})
        row = index.stored.get(r["message_id"])
        if row is None:
            yield Finding("lost", f"{r['id']}, acknowledged as {r['message_id']}, is not stored", index.evidence(r))
        elif (row["sender"], row["id"]) != key:
            yield Finding("changed", f"{r['message_id']} was acknowledged as {r['id']} and is stored as {row['id']}",
                          {"acked": index.evidence(r), "stored": row})
    for key, r in index.sent.items():
        if key not in numbers and key not in index.refused:
            yield Finding("unacknowledged", f"{r['id']} of user {r['user']}", index.evidence(r))


def check_stored(rows, index):
    seen = {}
    numbers = Counter(r["message_id"] for r in rows["stored"])
    for r in rows["stored"]:
        key = r["sender"], r["id"]
        if key in seen or numbers[r["message_id"]] > 1:
            yield Finding("doubled", f"{r['id']} is stored more than once", {"rows": [seen.get(key), r]})
        seen[key] = r
        sent = index.sent.get(key)
        if sent is None:
            yield Finding("phantom", f"{r['id']} is stored, and was never sent", r)
        elif sent["to"] != r["to"] or sent.get("group") not in (None, r["conversation"]) \
                or not index.is_text(r["message_id"], r["md5"]) \
                or r["deleted"] != (r["md5"] == records.EMPTY):
            yield Finding("changed", f"{r['id']} is not stored as it was sent", {"sent": sent, "stored": r})


def check_delivery(rows, index):
    """Every stored message against every device that should have it, and the other way round."""
    have = defaultdict(set)
    for r in rows["received"]:
        have[r["device"]].add(r["message_id"])
        row = index.stored.get(r["message_id"])
        if row is None:
            yield Finding("phantom", f"{r['message_id']} was received by {r['device']} and is not stored",
                          index.evidence(r))
        elif any(row[k] != r[k] for k in ("sender", "to", "conversation")) \
                or not (index.is_text(r["message_id"], r["md5"])
                        or r["deleted"] and index.is_hidden(index.devices[r["device"]]["user"], row)) \
                or r["deleted"] != (r["md5"] == records.EMPTY):
            yield Finding("changed", f"{r['message_id']} was not received as it is stored",
                          {"stored": row, "received": index.evidence(r)})
        elif not index.concerns(index.devices[r["device"]]["user"], row, r["message_id"]):
            yield Finding("phantom", f"{r['message_id']} was received by {r['device']}, whom it does not concern",
                          index.evidence(r))
    for r in rows["changed"]:
        row = index.stored.get(r["message_id"])
        if row is None or not index.concerns(index.devices[r["device"]]["user"], row, r["place"]):
            yield Finding("phantom", f"{r['device']} was told of a change of {r['message_id']}, which is not stored, "
                                     f"or does not concern it", index.evidence(r))
        elif not index.is_text(r["message_id"], r["md5"]) or r["deleted"] != (r["md5"] == records.EMPTY):
            yield Finding("changed", f"{r['message_id']} was changed, as {r['device']} was told, to what nobody asked "
                                     f"for", index.evidence(r))
    acked = {r["message_id"]: r for r in rows["acked"]}
    for number, row in index.stored.items():
        due = index.due_devices(row, number)
        # The connection that sent it has the acknowledgement; a stream has sent nothing.
        due -= {d for d in index.senders[row["sender"], row["id"]] if index.devices[d]["resume"] != "events"}
        for device in sorted(due):
            if number not in have[device]:
                ack = acked.get(number)
                yield Finding("missing", f"{number} ({row['id']}) never reached {device} "
                                         f"({index.devices[device]['kind']})",
                              {"stored": row, "acked": ack and index.evidence(ack)})


LATE_S = 60     # no fault lasts for longer, with what has to be made up for behind it


def check_conversations(rows, index):
    return (Finding(*f) for part in (membership, conversations, emojis) for f in part.check(rows, index))


def check_late(rows, index):
    """A connection that stays open brings what is acknowledged meanwhile: nobody has to come back for
    it. Slow readers, which have not read all when they leave, are not counted."""
    open_ = defaultdict(lambda: defaultdict(lambda: [None, float("inf")]))
    for r in rows["connections"]:
        if r["ev"] in ("open", "close"):
            open_[r["device"]][r["conn"]][r["ev"] == "close"] = r["t"]
    frames, _ = placed(rows)
    acked = conversations.acknowledged_places(rows)
    for r in rows["acked"]:
        acked.setdefault(r["message_id"], r["t"])
    first = {}
    for r in frames:
        first.setdefault((r["device"], r["message_id"]), r)
    for (device, number), r in first.items():
        t, group = acked.get(number), index.groups.get(r["conversation"])
        if t is None or index.devices[device]["kind"] == "slow":
            continue
        if group and group.spell(index.devices[device]["user"], number, r["subject"]) is None:
            continue
        for conn, (begin, end) in open_[device].items():
            if conn < r["conn"] and begin is not None and begin <= t and t + LATE_S <= end:
                yield Finding("late", f"{number} reached {device} ({index.devices[device]['kind']}) by connection "
                                      f"{r['conn']}, and not by {conn}, which was open from {begin} to {end}",
                              {"acked": t, "received": index.evidence(r)})


def check_sequences(rows, index):
    """Order and repeats on each device: from connection to connection where its kind resumes, and on
    each connection alone where it does not."""
    all_frames, all_acks = placed(rows)
    frames = defaultdict(lambda: defaultdict(list))
    for r in sorted(all_frames, key=lambda r: r["n"]):
        frames[r["device"]][r["conn"]].append(r)
    acks = defaultdict(list)
    for r in all_acks:
        acks[r["device"], r["conn"]].append(r)
    resumed = {(r["device"], r["conn"]): r["n"] for r in rows["connections"] if r["ev"] == "resumed"}
    for name, device in sorted(index.devices.items()):
        if device["resume"] == "history":
            for conn, list_ in frames[name].items():
                walk = Walk(name, device, index)
                for r in list_:
                    if r.get("via") != "history":
                        yield from walk.take(r)
            continue
        walk = Walk(name, device, index)
        for conn in sorted(set(frames[name]) | {c for d, c in acks if d == name}):
            begin = resumed.get((name, conn)) if device["resume"] == "frame" else 0
            yield from walk.connection(frames[name][conn], acks[name, conn], begin)


class Walk:
    """Follows one device from connection to connection.

    With a resume frame, live frames may come before and between the missed ones, each of the two in
    order; the cursor counts from "resumed" on, so what a connection that never got so far brought
    may come again."""

    def __init__(self, name, device, index):
        self.name, self.device, self.index = name, device, index
        self.have, self.top, self.acked = {}, 0, set()

    def repeat(self, r, before):
        return Finding("doubled", f"{self.name} ({self.device['kind']}) received {r['message_id']} again",
                       {"first": before, "second": self.index.evidence(r)})

    def disorder(self, r, after):
        return Finding("order", f"{self.name} ({self.device['kind']}) received {r['message_id']} after {after}",
                       self.index.evidence(r))

    def connection(self, frames, acks, begin):
        early = [r for r in frames if begin is None or r["n"] < begin]
        live = [r for r in frames if begin is not None and r["n"] >= begin]
        yield from self.before_resumed(early, begin is not None)
        for r in live:
            yield from self.take(r)
        yield from self.ack_order(live, acks)
        self.acked |= {a["message_id"] for a in acks if "attempt" not in a}

    def take(self, r):
        number = r["message_id"]
        if number in self.have:
            yield self.repeat(r, self.have[number])
        elif number in self.acked and self.device["resume"] != "events":
            yield self.repeat(r, "as an acknowledgement")
        elif number < self.top:
            yield self.disorder(r, self.top)
        self.have.setdefault(number, r)
        self.top = max(self.top, number)

    def before_resumed(self, early, counts):
        here = {}
        for r in early:
            number = r["message_id"]
            if number in here or number in self.have:
                yield self.repeat(r, here.get(number) or self.have[number])
            elif number < self.top:
                yield self.disorder(r, self.top)
            here[number] = r
        # Two rising sequences at most: what was missed, and what is new.
        ends = []
        for r in early:
            below = [e for e in ends if e < r["message_id"]]
            if below:
                ends.remove(max(below))
            elif len(ends) == 2:
                yield self.disorder(r, max(ends))
                continue
            ends.append(r["message_id"])
        if counts:
            self.have.update(here)
            self.top = max([self.top, *here])

    def ack_order(self, frames, acks):
        """An acknowledgement comes when everything that was stored before its message has been sent on
        that connection. It may come late: of a message that was stored while the answer was lost."""
        if self.device["resume"] == "events":
            return
        last = None
        both = [(r["n"], r) for r in frames] + [(a["n"], a) for a in acks if not a["duplicate"]]
        for _, r in sorted(both, key=lambda pair: pair[0]):
            if "duplicate" in r:
                last = r if last is None or r["message_id"] > last["message_id"] else last
            elif last and r["message_id"] < last["message_id"]:
                yield Finding("order", f"{self.name} ({self.device['kind']}) got {r['message_id']} after the "
                                       f"acknowledgement of {last['message_id']}, on one connection",
                              {"acked": last, "received": self.index.evidence(r)})


def check_presence(rows, index):
    constants = [r for r in rows["run"] if r["ev"] == "constants"]
    if not constants:
        return
    limit = constants[-1]["lease"] + constants[-1]["allowance"]
    for kind, found in ("ghost", presence.ghosts(rows)), ("absent", presence.absent(rows)):
        worst = {}
        for length, user, observer, where, begin, end, _ in found:
            if length > limit and length > worst.get((user, observer, where, begin), (0,))[0]:
                worst[user, observer, where, begin] = length, end
        for (user, observer, where, begin), (length, end) in sorted(worst.items()):
            yield Finding(kind, f"user {user} for {length:.1f} s by {where} at host {observer}",
                          {"from": begin, "to": end, "fault": index.fault_at(end)})
    settled = [r for r in rows["run"] if r["ev"] == "settled"]
    if settled:
        truth = set(settled[-1]["online"])
        for observer, (asked, framed) in sorted(presence.last_views(rows).items()):
            for where, view in ("GET /users", asked), ("user_status", framed):
                if view != truth:
                    yield Finding("disagree", f"{where} at host {observer}",
                                  {"only shown": sorted(view - truth), "not shown": sorted(truth - view)})


def check_entry(rows, index):
    """After a fault of the signer, and after all of them."""
    constants = [r for r in rows["run"] if r["ev"] == "constants"]
    for r in rows["run"]:
        if r["ev"] in ("entry", "signer") and \
                (r["took"] is None or r["took"] > constants[-1]["lease"] + constants[-1]["allowance"]):
            kind, what = ("gone", "no signer") if r["ev"] == "signer" else \
                ("shut", "nobody was let in over TLS" if r["tls"] else "nobody was let in")
            yield Finding(kind, f"{what} at host {r['host']}", index.evidence(r))
        elif r["ev"] == "settled":
            for device in r.get("out", ()):
                yield Finding("shut", f"{device} ({index.devices[device]['kind']}) was not let in", index.evidence(r))


HANDSHAKE_S = 13    # five to get to the signer, five for the signature, and what a busy machine adds


def check_handshakes(rows, index):
    used = certificates(rows)
    for r in rows["handshakes"]:
        if r["how"] not in ("good", "failed"):
            yield Finding("certificate", f"host {r['host']}: {r['how']}", index.evidence(r))
        elif r["how"] == "good" and not any(begin <= r["t"] and r["began"] <= end
                                            for begin, end in used[r["host"]].get(r["certificate"], ())):
            yield Finding("certificate", f"host {r['host']} has shown {r['certificate']}",
                          {**index.evidence(r), "its own": dict(used[r["host"]])})
        if r["t"] - r["began"] > HANDSHAKE_S:
            yield Finding("hung", f"a handshake at host {r['host']} took {r['t'] - r['began']:.1f} s",
                          index.evidence(r))


def certificates(rows):
    """host -> serial number -> [(from, to)] in which it may be shown to those who come then."""
    used, now = defaultdict(lambda: defaultdict(list)), defaultdict(list)
    for r in rows["run"]:
        if r["ev"] == "certificate":
            now[r["host"]].append((r["serial"], r["t"]))
        elif r["ev"] == "renewed":
            *old, last = now[r["host"]]
            for serial, begin in old:
                used[r["host"]][serial].append((begin, r["t"]))
            now[r["host"]] = [last]
    for host, list_ in now.items():
        for serial, begin in list_:
            used[host][serial].append((begin, float("inf")))
    return used


def check_rest(rows, index):
    for r in rows["connections"]:
        if r["ev"] == "resumed" and not r["recovered"]:
            yield Finding("unrecovered", f"{r['device']}, connection {r['conn']}", index.evidence(r))
    for r in rows["run"]:
        if r["ev"] in ("left", "error"):
            yield Finding(r["ev"], r["what"], index.evidence(r))


if __name__ == "__main__":
    for finding in check(records.load(sys.argv[1])):
        print(f"{finding.kind}: {finding.text}\n    {finding.evidence}")
