"""What changes to good records are made of; see mutations.py."""
import conversations
from index import Index

ALL = {}


class Nothing(Exception):
    """These records have nothing that could be changed so."""


def causes(kind):
    def register(function):
        ALL[function.__name__] = kind, function
        return function
    return register


def resumes(rows):
    return {r["device"]: r for r in rows["run"] if r["ev"] == "device" and r["resume"] != "history"}


def constant(rows, name):
    return next(r for r in rows["run"] if r["ev"] == "constants")[name]


def middle(list_):
    if not list_:
        raise Nothing
    return list_[len(list_) // 2]


def stranger(rows, conversation):
    """A device of somebody who has never been in it."""
    of = {m["user"] for m in rows["members"] if m["conversation"] == conversation}
    return next(d["device"] for d in rows["run"] if d["ev"] == "device" and d["user"] not in of)


def in_order(rows, device, topic="received"):
    """Its rows of this topic, as the connection brought them, after "resumed" where it has to wait."""
    begin = {r["conn"]: r["n"] for r in rows["connections"] if r["ev"] == "resumed" and r["device"] == device["device"]}
    mine = [r for r in rows[topic] if r["device"] == device["device"]]
    if device["resume"] == "frame":
        mine = [r for r in mine if r["n"] >= begin.get(r["conn"], 1e9)]
    return sorted(mine, key=lambda r: (r["conn"], r["n"]))


def direct(rows, topic):
    """Those of conversations of two."""
    of_groups = {r["group"] for r in rows["run"] if r["ev"] == "group"}
    return [r for r in rows[topic] if r["conversation"] not in of_groups]


def due(rows, topic):
    """Those frames that the device must have got."""
    index = Index(rows)
    return [r for r in rows[topic] if r["message_id"] in index.stored
            and r["device"] in index.due_devices(index.stored[r["message_id"]], r.get("place", r["message_id"]))]


def answered(rows):
    """[(attempt, its acknowledgement)], in the order of the acknowledgements."""
    asked = {conversations.attempt(r): r for r in rows["asked"]}
    return [(asked[conversations.attempt(r)], r) for r in rows["made"]]


def text_sent(rows, stored):
    return next(r["md5"] for r in rows["sent"] if (r["user"], r["id"]) == (stored["sender"], stored["id"]))
