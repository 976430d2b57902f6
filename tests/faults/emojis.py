"""Reactions, as they were asked for and as they are in the end: pure functions of the records, which
yield (kind, text, evidence).

Of a message, a user and an emoji one device asks, and for one thing after the other. So the last
acknowledgement says what there is, unless an attempt that was never answered comes to life late. A
deleted message has none.
"""
from collections import defaultdict


def stored(rows):
    """message -> emoji -> users."""
    found = defaultdict(lambda: defaultdict(set))
    for r in rows["reacted"]:
        found[r["message_id"]][r["emoji"]].add(r["user"])
    return found


def counted(of_message, user=None):
    """As a frame says it, or a history to this user; see counts() of records.py."""
    more = lambda users: [] if user is None else [user in users]
    return sorted([emoji, len(users), *more(users)] for emoji, users in of_message.items()) or None


def answers(rows):
    """(device, id, attempt) -> whether it was made; of a refusal it is the last attempt on its connection."""
    over = {(r["device"], r["id"], r["attempt"]): True for r in rows["made"]}
    last = {(r["device"], r["id"], r["conn"]): r["attempt"] for r in rows["asked"]}
    for r in rows["refused"]:
        attempt = last.get((r["device"], r["id"], r["conn"]))
        if attempt:
            over.setdefault((r["device"], r["id"], attempt), False)
    return over


def wanted(rows):
    """(message, user, emoji) -> (whether it may be there, one of the two or both; the last row about it)."""
    over, asked = answers(rows), defaultdict(list)
    for r in rows["asked"]:
        if r["emoji"]:
            asked[r["message_id"], r["user"], r["emoji"]].append(r)
    for key, attempts in asked.items():
        kept, open_ = False, set()
        for r in attempts:
            made = over.get((r["device"], r["id"], r["attempt"]))
            if made is None:
                open_.add(r["what"] == "react")
            elif made:
                kept = r["what"] == "react"
        yield key, open_ | {kept}, attempts[-1]


def check(rows, index):
    has, known = stored(rows), set()
    for (message, user, emoji), may, r in wanted(rows):
        known.add((message, user, emoji))
        is_there = user in has[message][emoji]
        deleted = message in index.stored and index.stored[message]["deleted"]
        if is_there not in ({False} if deleted else may):
            yield "undone", f"user {user} has {'' if is_there else 'not '}reacted to {message} with {emoji}, which is not " \
                            f"what was acknowledged", {"last": index.evidence(r), "deleted": deleted}
    for r in rows["reacted"]:
        if (r["message_id"], r["user"], r["emoji"]) not in known:
            yield "changed", f"user {r['user']} has reacted to {r['message_id']} with {r['emoji']}, and never asked for it", r
