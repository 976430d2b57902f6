"""What was promised of changed messages, watermarks and unread counts, against what the records say:
pure functions, which yield (kind, text, evidence). Their kinds are explained in checker.py.

A change counts from some moment between its attempt and its answer. An attempt that was never
answered, or with a temporary error, may count at any later moment: its bytes may wait in a session or
a connection that nobody reads for a while. So a change that was acknowledged may be superseded only by
one of which an attempt was still open when it began. A deletion is the end of all.

What a failover to a synchronous standby may lose: nothing that is looked at here. A change or a
watermark that somebody was told of, by an acknowledgement, a frame, a receipt, a list or a history,
has been committed, and PostgreSQL shows a commit only when the standby has it. Where it does not wait
for that to the end (its backend was terminated, or all of PostgreSQL crashed meanwhile) the commit is
shown though the standby may lack it. A repeat is acknowledged only when the standby has the change. A
read may show it moments earlier: the standby streams on or connects again, and a failover begins
seconds after such a fault is over. An attempt that was not answered may be lost, or may not.
Receipts on their way are lost as with any lost connection: they are not promised, only what the lists
say. Unread counts are not stored at all, so they cannot be lost apart from what they count.
"""
import bisect
from collections import defaultdict
from itertools import accumulate

import emojis
from records import EMPTY

NEVER = float("inf")


def check(rows, index):
    changes = Changes(rows, index)
    for part in check_answers, check_order_of_changes, check_superseded, check_last_states:
        yield from part(rows, index, changes)
    for part in check_watermarks, check_lists, check_unread, check_views:
        yield from part(rows, index)


def attempt(r):
    return r["device"], r["id"], r["attempt"]


def places_of(rows):
    """message -> md5 -> all places at which some device was told of this text of it."""
    places = defaultdict(lambda: defaultdict(set))
    for r in rows["changed"]:
        places[r["message_id"]][r["md5"]].add(r["place"])
    return places


def acknowledged_places(rows):
    """place -> when it was acknowledged, of those texts that have one, as far as anybody knows."""
    asked, places = {attempt(r): r for r in rows["asked"]}, places_of(rows)
    known = {}
    for r in rows["made"]:
        at = places[r["message_id"]][asked[attempt(r)]["md5"]] if attempt(r) in asked else ()
        if len(at) == 1:
            known.setdefault(*at, r["t"])
    return known


class Changes:
    """Who asked for what, and what became of it."""

    def __init__(self, rows, index):
        self.asked = {attempt(r): r for r in rows["asked"]}
        self.over = {attempt(r): r["t"] for r in rows["made"]}
        refused = {(r["device"], r["id"], r["conn"]): r["t"] for r in rows["refused"]}
        for key in {(r["device"], r["id"], r["conn"]): attempt(r) for r in rows["asked"]}.items():
            if key[0] in refused:
                self.over.setdefault(key[1], refused[key[0]])
        answered = [(self.asked[attempt(r)], r) for r in rows["made"] if attempt(r) in self.asked]
        # Of texts; emojis.py has the others.
        self.made = [(q, r) for q, r in answered if q["md5"]]
        self.reacted = [(q, r) for q, r in answered if not q["md5"]]
        # message -> md5 -> until when an attempt to give it this text may count
        self.until = defaultdict(lambda: defaultdict(float))
        for key, r in self.asked.items():
            if not r["md5"]:
                continue
            until = self.until[r["message_id"]]
            until[r["md5"]] = max(until[r["md5"]], self.over.get(key, NEVER))
        self.begins = {(r["device"], r["conn"]): r["t"] for r in rows["connections"] if r["ev"] == "begin"}
        self.find_places(rows)

    def find_places(self, rows):
        """What was known of each message, and from when on."""
        self.places = places_of(rows)
        self.deleted = defaultdict(lambda: NEVER)
        known = defaultdict(list)
        told = [(r["t"], r["message_id"], r["place"], r["md5"]) for r in rows["changed"]]
        told += [(r["t"], q["message_id"], self.first_place(q), q["md5"]) for q, r in self.made]
        for t, message, place, md5 in told:
            if md5 == EMPTY:
                self.deleted[message] = min(self.deleted[message], t)
            known[message].append((t, place))
        # message -> (moments, the last place that was known at each)
        self.known = {}
        for message, list_ in known.items():
            list_.sort()
            self.known[message] = [t for t, _ in list_], list(accumulate((p for _, p in list_), max))

    def first_place(self, asked):
        """Of this change, once it was made; 0: nobody was told."""
        return min(self.places[asked["message_id"]][asked["md5"]], default=0)

    def last_place(self, message, md5):
        """Of this text; that which was sent has the message's own."""
        return max(self.places[message][md5], default=message)

    def place_known(self, message, t):
        """The place of the last change that somebody knew of before this moment."""
        times, places = self.known.get(message, ((), ()))
        at = bisect.bisect_left(times, t)
        return places[at - 1] if at else 0

    def began(self, r):
        """When what this row came with was asked for."""
        return r.get("asked") or self.begins.get((r["device"], r["conn"]), 0)


def check_answers(rows, index, changes):
    answered = {(r["device"], r["id"]) for r in rows["made"]}
    for r in {(r["device"], r["id"]): r for r in rows["asked"]}.values():
        if (r["device"], r["id"]) not in answered and (r["user"], r["id"]) not in index.refused:
            yield "unacknowledged", f"the change {r['id']} of {r['message_id']}", index.evidence(r)
    for r in rows["made"]:
        if attempt(r) not in changes.asked:
            yield "phantom", f"an acknowledgement of the change {r['id']}, which was not asked for", index.evidence(r)


def check_order_of_changes(rows, index, changes):
    """What was acknowledged is stored, or something that may have come after it."""
    for q, r in changes.made:
        stored = index.stored.get(q["message_id"])
        if stored is None or stored["deleted"]:
            continue        # the one is lost, which is said elsewhere; the other is the end of all
        until = changes.until[q["message_id"]][stored["md5"]]
        if q["md5"] == stored["md5"]:
            continue
        if q["md5"] == EMPTY or until <= q["t"] or (stored["changed"] or 0) < changes.first_place(q):
            yield "undone", f"the change {q['id']} of {q['message_id']} is not stored, and by none superseded", \
                {"asked": q, "acknowledged": index.evidence(r), "stored": stored}


def check_superseded(rows, index, changes):
    """Whoever asks after a change gets what there is then, or something later."""
    for r in [*rows["received"], *rows["changed"]]:
        message, began = r["message_id"], changes.began(r)
        if r["md5"] == EMPTY:
            continue
        if changes.deleted[message] < began:
            yield "leaked", f"{message} was deleted, and {r['device']} got a text of it by connection {r['conn']}", \
                {"received": index.evidence(r), "deleted": changes.deleted[message], "began": began}
        floor = changes.place_known(message, began)
        place = changes.last_place(message, r["md5"])
        if place < floor and changes.until[message][r["md5"]] != NEVER:
            yield "stale", f"{message} was changed as {floor}, and {r['device']} got the text of {place} by " \
                           f"connection {r['conn']}", {"received": index.evidence(r), "began": began}


ANY = "any"


def last_states(rows, index, changes):
    """(device, message) -> (place, md5, edited, reactions): where each device is in the end that resumes.
    The connection that changed it has the acknowledgement, as well as the frame, which says all: ANY is
    what the acknowledgement does not."""
    last = {}
    resumes = {name for name, d in index.devices.items() if d["resume"] != "history"}

    def keep(r, place, md5, edited, reactions):
        key = r["device"], r["message_id"]
        if r["device"] in resumes and (key not in last or (place, edited != ANY) >= (last[key][0], last[key][2] != ANY)):
            last[key] = place, md5, edited, reactions
    for r in rows["received"]:
        keep(r, r["message_id"], r["md5"], r["edited"], r["reactions"])
    for r in rows["changed"]:
        keep(r, r["place"], r["md5"], r["edited"], r["reactions"])
    for q, r in changes.made:
        if r["upto"]:
            keep(r, changes.first_place(q) or r["upto"], q["md5"], ANY, ANY)
    for q, r in changes.reacted:
        if r["upto"]:
            keep(r, r["upto"], ANY, ANY, ANY)
    return resumes, last


def check_last_states(rows, index, changes):
    (resumes, last), reacted = last_states(rows, index, changes), emojis.stored(rows)
    for number, stored in index.stored.items():
        if not stored["changed"]:
            continue
        due = stored["md5"], stored["edited"], emojis.counted(reacted[number])
        for device in sorted(resumes & index.due_devices(stored, stored["changed"])):
            place, *has = last.get((device, number), (0, None, None, None))
            if any(a not in (b, ANY) for a, b in zip(has, due)):
                yield "stale", f"{device} ({index.devices[device]['kind']}) ended with {number} as of {place}, " \
                               f"which is stored as of {stored['changed']}", {"stored": due, "has": has}


# --- watermarks ---

WHICH = "read", "delivered"


def greatest_said(rows):
    """(conversation, user) -> [read, delivered]; what is read has arrived."""
    said = defaultdict(lambda: [0, 0])
    for r in rows["said"]:
        mark = said[r["conversation"], r["user"]]
        mark[1] = max(mark[1], r["message_id"])
        if r["reads"]:
            mark[0] = max(mark[0], r["message_id"])
    return said


def check_watermarks(rows, index):
    """Clients go on until each is acknowledged: then the greatest that was said is the greatest that
    was acknowledged, and is there in the end. It is nobody's but its member's to move; those of whoever
    joins a group begin there, and what was said about the time of leaving it may count or not."""
    said, stored = greatest_said(rows), {}
    for r in rows["members"]:
        stored[r["conversation"], r["user"]] = [r["read"], r["delivered"]]
        for which, has, was in zip(WHICH, stored[r["conversation"], r["user"]], said[r["conversation"], r["user"]]):
            most = max(was, r["joined"])
            if has != most and not (r["until"] and r["joined"] <= has <= most):
                yield "behind", f"user {r['user']} has {which} conversation {r['conversation']} up to {has}, " \
                                f"and said {was}", r
    for r in rows["shown"]:
        for which, has in zip(WHICH, stored.get((r["conversation"], r["member"]), (0, 0))):
            if r[which] > has:
                yield "backward", f"user {r['member']} was shown to have {which} conversation {r['conversation']} " \
                                  f"up to {r[which]}, and in the end it is {has}", index.evidence(r)


def check_lists(rows, index):
    """What a list says is not below what any device had been told before it was asked for. (Receipts
    may overtake each other, from one host to another: a client takes the highest.)"""
    told = defaultdict(list)
    for r in rows["shown"]:
        for which in WHICH:
            told[r["conversation"], r["member"], which].append((r["t"], r[which]))
    for key, list_ in told.items():
        list_.sort()
        told[key] = [t for t, _ in list_], list(accumulate((value for _, value in list_), max))
    for r in rows["shown"]:
        for which in WHICH if r["via"] == "list" else ():
            times, values = told[r["conversation"], r["member"], which]
            at = bisect.bisect_left(times, r["asked"])
            if at and values[at - 1] > r[which]:
                yield "backward", f"user {r['member']} had {which} conversation {r['conversation']} up to " \
                                  f"{values[at - 1]}, and {r['device']} was shown {r[which]}", index.evidence(r)


# --- what each member is shown in the end ---

def views_of(rows, ev, *key):
    return {tuple(r[k] for k in key): r for r in rows["views"] if r["ev"] == ev}


def check_unread(rows, index):
    shown = views_of(rows, "conversation", "conversation", "user")
    for r in rows["members"]:
        view = shown.get((r["conversation"], r["user"]))
        if view and not r["until"] and view["unread"] != r["unread"]:
            yield "miscounted", f"user {r['user']} is shown {view['unread']} unread in conversation " \
                                f"{r['conversation']}, and has {r['unread']}", {"shown": view, "stored": r}


class Due:
    """What each user has to be shown, by the tables."""

    def __init__(self, rows, index):
        self.members = {(r["conversation"], r["user"]): r for r in rows["members"]}
        self.of = defaultdict(dict)         # conversation -> user -> row, of those who are in it
        for (conversation, user), r in self.members.items():
            if not r["until"]:
                self.of[conversation][user] = r
        self.names = {r["group"]: r["name"] for r in rows["names"]}
        self.last, self.stored, self.reacted = {}, defaultdict(list), emojis.stored(rows)
        for number, r in sorted(index.stored.items()):
            self.last[r["conversation"]] = number
            self.stored[r["conversation"]].append(r)
        self.groups = set(index.groups)

    def is_listed(self, conversation):
        """A direct one that has no message is not."""
        return conversation in self.groups or conversation in self.last

    def conversations(self):
        for (conversation, user), r in self.members.items():
            if r["until"] or not self.is_listed(conversation):
                continue
            last, is_group = self.last.get(conversation, 0), conversation in self.groups
            yield (user, conversation), [last if last > r["since"] else None, r["role"],
                                         len(self.of[conversation]) if is_group else None, self.names.get(conversation)]

    def shown_members(self):
        for conversation, here in self.of.items():
            for user in here if self.is_listed(conversation) else ():
                for other, r in here.items():
                    yield (user, conversation, other), [r["role"] or "member", r["read"], r["delivered"]]

    def messages(self):
        """Of what was changed after one left, only that there is a message is shown: its text too if
        nobody has ever changed that."""
        for (conversation, user), r in self.members.items():
            for m in self.stored[conversation]:
                number, later = m["message_id"], r["until"] and (m["changed"] or 0) > r["until"]
                if number <= r["since"] or r["until"] and number > r["until"]:
                    continue
                state = [m["md5"], m["edited"], m["deleted"], emojis.counted(self.reacted[number], user)]
                if later:
                    state = [EMPTY, None, True, None] if m["edited"] else [*state[:3], None]
                yield (user, conversation, number), state

    def outside(self, users):
        for group in self.groups:
            for user in users:
                if user not in self.of[group]:
                    yield (user, group), [404, 404, 200 if (group, user) in self.members else 404]


def check_views(rows, index):
    """Each conversation, member and message that there is for a user is shown, as it is, and no other."""
    if not rows["views"]:
        return
    due = Due(rows, index)
    for ev, key, values, wanted in (
            ("conversation", ("user", "conversation"), ("last", "role", "count", "name"), due.conversations()),
            ("member", ("user", "conversation", "member"), ("role", *WHICH), due.shown_members()),
            ("message", ("user", "conversation", "message_id"), ("md5", "edited", "deleted", "reactions"), due.messages()),
            ("outside", ("user", "conversation"), ("show", "members", "history"), due.outside(index.of_user))):
        shown = {k: [r[v] for v in values] for k, r in views_of(rows, ev, *key).items()}
        wanted = dict(wanted)
        for k in sorted(shown.keys() | wanted.keys()):
            if shown.get(k) != wanted.get(k):
                yield "differs", f"the {ev} {k[-1]}, as user {k[0]} is shown it in conversation {k[1]}", \
                    {"shown": shown.get(k), "stored": wanted.get(k)}
