"""What several checks ask of the records: who has sent what, whom it concerns, and which fault was on."""
import bisect
from collections import defaultdict
from itertools import accumulate

import membership


def placed(rows):
    """Frames and acknowledgements, each by its place in the order of all changes, which is the id of
    a message. The acknowledgement of a change that had been made before tells a later place, up to which
    everything has been sent as well. subject: the message that it is or changes, or itself."""
    messages = [{**r, "subject": r["message_id"]} for r in rows["received"]]
    changes = [{**r, "subject": r["message_id"], "message_id": r["place"]} for r in rows["changed"]]
    told = [{**r, "subject": r["place"], "message_id": r["place"], "conversation": r["group"]} for r in rows["told"]]
    acks = [{**r, "message_id": r["upto"], "duplicate": False} for r in rows["made"] if r["upto"]]
    return messages + changes + told, rows["acked"] + acks


def faults_of(rows):
    """The faults in their order, each with the time at which it was over."""
    over = {r["number"]: r["t"] for r in rows["run"] if r["ev"] == "fault_over"}
    return [{**r, "over": over.get(r["number"], r["t"])} for r in rows["run"] if r["ev"] == "fault"]


def reached(rows, devices):
    """(device, None, or without resume the conversation) -> (times, places): up to where it had everything."""
    resumed = {(r["device"], r["conn"]): r["n"] for r in rows["connections"] if r["ev"] == "resumed"}
    found = defaultdict(list)
    for r in placed(rows)[0]:
        device = devices[r["device"]]
        if device["resume"] == "history":
            if r.get("via") == "history":
                found[r["device"], r["conversation"]].append((r["t"], r["message_id"]))
        elif device["resume"] != "frame" or r["n"] >= resumed.get((r["device"], r["conn"]), float("inf")):
            found[r["device"], None].append((r["t"], r["message_id"]))
    return {key: ([t for t, _ in list_], list(accumulate((place for _, place in list_), max)))
            for key, list_ in ((key, sorted(list_)) for key, list_ in found.items())}


class Index:
    def __init__(self, rows):
        self.devices = {r["device"]: r for r in rows["run"] if r["ev"] == "device"}
        self.of_user = defaultdict(set)
        for name, device in self.devices.items():
            self.of_user[device["user"]].add(name)
        self.sent = {}
        self.senders = defaultdict(set)
        for r in rows["sent"]:
            self.sent.setdefault((r["user"], r["id"]), r)
            self.senders[r["user"], r["id"]].add(r["device"])
        self.stored = {r["message_id"]: r for r in rows["stored"]}
        self.refused = {(r["user"], r["id"]) for r in rows["refused"]}
        self.groups = {r["group"]: membership.Group(r, rows["groups"]) for r in rows["run"] if r["ev"] == "group"}
        self.moments = membership.Moments(rows)
        self.texts, self.deletions = defaultdict(set), {}
        for r in rows["asked"]:
            self.texts[r["message_id"]].add(r["md5"])
            if r["what"] == "delete":
                self.deletions.setdefault(r["message_id"], r["t"])
        self.reached = reached(rows, self.devices)
        self.faults = faults_of(rows)

    def concerns(self, user, stored, place):
        """Whether a user may have got this: a stored message, or a change of it, at its place."""
        if stored["to"]:
            return user in (stored["sender"], stored["to"])
        group = self.groups.get(stored["conversation"])
        return group is not None and group.may_see(user, place, stored["message_id"])

    def due_devices(self, stored, place):
        """Those that must have got it."""
        if stored["to"]:
            return self.of_user[stored["sender"]] | self.of_user[stored["to"]]
        group = self.groups.get(stored["conversation"])
        return {d for d in self.devices if self.is_due(d, group, place, stored["message_id"])} if group else set()

    def is_due(self, device, group, place, subject):
        """Whether a device must have got what has this place in a group. What it missed before its user
        left it does not get if the user has come again meanwhile: it must then have been past that
        place before."""
        user = self.devices[device]["user"]
        number = group.spell(user, place, subject)
        if number is None or group.is_last(user, place, subject):
            return number is not None
        key = group.number if self.devices[device]["resume"] == "history" else None
        times, places = self.reached.get((device, key), ((), ()))
        at = bisect.bisect_left(times, self.moments.untaken(group.spells[user][number + 1][0]))
        return at > 0 and places[at - 1] > place

    def is_hidden(self, user, stored):
        """Whether a text was changed when the user had left, who then sees that of a deleted message."""
        group = self.groups.get(stored["conversation"])
        return group is not None and any(left < (stored["changed"] or 0) for _, left in group.spells.get(user, ()))

    def is_text(self, number, md5):
        """Whether the message was sent with this text, or somebody asked for it."""
        stored = self.stored[number]
        sent = self.sent.get((stored["sender"], stored["id"]))
        return md5 in self.texts[number] or sent is not None and sent["md5"] == md5

    def fault_at(self, t):
        """What was on, or was the last one before."""
        on = [f for f in self.faults if f["t"] <= t <= f["over"]]
        on = on or [f for f in self.faults if f["t"] <= t][-1:]
        return "; ".join(f"{f['what']} (from {f['t']} to {f['over']})" for f in on) or "none yet"

    def evidence(self, row):
        return {**row, "fault": self.fault_at(row["t"])}
