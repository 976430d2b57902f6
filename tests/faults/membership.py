"""Who was in a group when, and as what: by the log of changes that the surviving database has, which is
held against what devices asked for and were answered. Pure functions of the records, which yield
(kind, text, evidence); their kinds are explained in checker.py.

All changes have one order, so a request has its place in it. When that was taken nobody says; but what
somebody had been told of before a request began was before it, and a message that somebody began to
send after its answer came behind it. A request that was answered must have found a state between the
two that explains the answer; one that was not answered, or with a status that leaves it open, may have
been carried out at any later moment, once, or never.
"""
import bisect
from collections import defaultdict
from itertools import accumulate

FOREVER = float("inf")
MADE = {"add": 201, "remove": 204, "leave": 204}     # answers to what has changed something in any case


# --- a group ---

class Group:
    """founded: see "group" in records.py; log: rows of "groups", of this one or of all."""

    def __init__(self, founded, log):
        self.number, self.full = founded["group"], founded["full"]
        self.entries = sorted((e for e in log if e["group"] == self.number), key=lambda e: e["change"])
        self.spells = defaultdict(list)     # user -> [came, left], as places
        self.states = [(0, {})]             # (place, user -> role), by place
        self.joined, self.causes, self.odd = {}, {}, []
        for entry in self.entries:
            self.take(entry, founded)

    @property
    def state(self):
        return self.states[-1][1]

    def take(self, entry, founded):
        place, member, role, state = entry["change"], entry["member"], entry["role"], dict(self.state)
        if entry["made"]:
            state = {founded["owner"]: "owner", **dict.fromkeys(founded["members"], "member")}
            for user in state:
                self.come(user, place)
        elif member is not None and role is None:
            self.go(entry, state)
        elif member is not None:
            if member not in state:
                self.come(member, place)
            self.causes[place] = self.cause(entry, state)
            state[member] = role
        self.states.append((place, state))
        self.check_owner(entry)

    def come(self, user, place):
        self.spells[user].append([place, FOREVER])
        self.joined[user] = place

    def go(self, entry, state):
        if state.pop(entry["member"], None) is None:
            self.odd.append((entry, "is gone, and was not there"))
        else:
            self.spells[entry["member"]][-1][1] = entry["change"]

    def cause(self, entry, state):
        """Why a member has got a role: "add", "role", "left" (the owner), or "given" (by the owner)."""
        if entry["member"] not in state:
            return "add"
        if entry["role"] != "owner":
            return "role"
        gave = self.entries[self.entries.index(entry) - 1]["member"]
        return "given" if gave in state else "left"

    def heir(self, state):
        return min(state, key=lambda user: (state[user] != "admin", self.joined[user], user))

    def check_owner(self, entry):
        """One, but between the two changes that pass the group on."""
        owners = [user for user, role in self.state.items() if role == "owner"]
        before = [user for user, role in self.states[-2][1].items() if role == "owner"]
        passed = not before and not entry["made"] and bool(self.states[-2][1])
        if len(owners) > 1 or passed and not owners:
            self.odd.append((entry, f"leaves the group with the owners {owners}"))
        elif passed and self.causes.get(entry["change"]) == "left" and owners[0] != self.heir(self.states[-2][1]):
            self.odd.append((entry, f"is the owner, and {self.heir(self.states[-2][1])} should be"))

    # --- what a member may see ---

    def spell(self, user, place, subject):
        """The number of the time in which this was seen as it came, with its subject: the message that it
        is or changes, or itself. None: it was not."""
        for i, (came, left) in enumerate(self.spells.get(user, ())):
            if came <= place <= left and (self.full or came <= subject):
                return i
        return None

    def is_last(self, user, place, subject):
        """In the last one of these times."""
        number = self.spell(user, place, subject)
        return number is not None and number == len(self.spells[user]) - 1

    def may_see(self, user, place, subject):
        """Or afterwards: where whoever comes sees what was before."""
        return any(place <= left and (self.full or came <= place and came <= subject)
                   for came, left in self.spells.get(user, ()))

    def latest(self):
        """The last entry about each member, and about the group."""
        return {e["member"]: e for e in self.entries}.values()

    def state_at(self, place):
        return self.states[bisect.bisect_right(self.states, place, key=lambda s: s[0]) - 1][1]

    def states_within(self, begin, end):
        """At the place begin, and at each one behind it and before end."""
        yield self.state_at(begin)
        for place, state in self.states[bisect.bisect_right(self.states, begin, key=lambda s: s[0]):]:
            if place >= end:
                return
            yield state


# --- when ---

class Moments:
    """Which places were taken before a moment, and which only after it, as far as the devices know."""

    def __init__(self, rows):
        stored = {r["message_id"] for r in rows["stored"]}
        last = max([0, *stored, *(r["changed"] or 0 for r in rows["stored"]), *(r["change"] for r in rows["groups"])])
        told = [(r["t"], r["message_id"]) for topic in ("received", "acked") for r in rows[topic]]
        told += [(r["t"], r["place"]) for topic in ("changed", "told") for r in rows[topic]]
        told += [(r["t"], r["upto"]) for r in rows["made"] if r["upto"]]
        told = sorted((t, place) for t, place in told if place <= last)
        self.told = [t for t, _ in told], list(accumulate((place for _, place in told), max))
        first = {}
        for r in rows["sent"]:
            first.setdefault((r["user"], r["id"]), r["t"])
        sent = sorted((first[r["sender"], r["id"]], r["message_id"]) for r in rows["stored"]
                      if (r["sender"], r["id"]) in first)
        self.sent = [t for t, _ in sent], list(accumulate((place for _, place in reversed(sent)), min))[::-1]
        ids = sorted((place, t) for t, place in sent)
        self.ids = [place for place, _ in ids], list(accumulate((t for _, t in ids), max))

    def before(self, t):
        """The last place that somebody had been told of."""
        times, places = self.told
        at = bisect.bisect_left(times, t)
        return places[at - 1] if at else 0

    def behind(self, t):
        """The first place of what somebody began to send later."""
        times, places = self.sent
        at = bisect.bisect_right(times, t)
        return places[at] if at < len(places) else FOREVER

    def untaken(self, place):
        """A moment at which this place was not taken yet: the last that is known."""
        places, times = self.ids
        at = bisect.bisect_left(places, place)
        return times[at - 1] if at else 0


# --- the requests ---

def may(role, what, other=None, value=None):
    """The rules of the roles, as chatd-protocol(7) has them."""
    if role == "owner":
        return True
    return role == "admin" and (what in ("name", "delete") or what == "add" and value == "member"
                                or what == "remove" and other == "member")


def status_of(move, state):
    """What such a request is answered in this state of the group."""
    role, other = state.get(move["user"]), state.get(move["member"])
    what, value = move["what"], move["value"]
    if role is None:
        return 404
    if what == "leave":
        return 204
    if what == "role" and role == other == "owner":
        return 200 if value == "owner" else 409
    if what == "remove" and other is None:
        return 404
    if not may(role, what, other, value):
        return 403
    if what == "role" and other is None:
        return 404
    if what == "add":
        return 201 if other is None else 200
    return 204 if what == "remove" else 200


class Requests:
    """Attempts, each with the places between which it was carried out, and its answer."""

    def __init__(self, rows, moments):
        answers = {(r["device"], r["id"], r["attempt"]): r for r in rows["moved"]}
        self.all = []
        for r in rows["moves"]:
            answer = answers.pop((r["device"], r["id"], r["attempt"]), None)
            end = moments.behind(answer["t"]) if answer else FOREVER
            self.all.append({**r, "status": answer and answer["status"], "begin": moments.before(r["t"]), "end": end})
        self.unasked = list(answers.values())

    def of(self, group):
        return [r for r in self.all if r["group"] == group.number]


def fits(request, entry, group):
    """Whether this attempt may have made this entry of the log."""
    place, state = entry["change"], group.state_at(entry["change"] - 1)
    what, member, value = request["what"], request["member"], request["value"]
    if not request["begin"] < place < request["end"] or request["status"] not in (None, MADE.get(what, 200)):
        return False
    if entry["member"] is None:
        return what == "name" and may(state.get(request["user"]), "name")
    if member != entry["member"]:
        return False
    if entry["role"] is None:
        return what in ("remove", "leave") and status_of(request, state) == 204
    if value != entry["role"]:
        return False
    if group.causes[place] == "given":
        # The owner has become an admin by the entry before.
        gave = group.entries[group.entries.index(entry) - 1]
        return what == "role" and group.state_at(gave["change"] - 1).get(request["user"]) == "owner"
    return what == group.causes[place] and status_of(request, state) == MADE.get(what, 200)


def is_explained(request, group):
    """Whether an attempt may have been answered so though it has changed nothing."""
    for state in group.states_within(request["begin"], request["end"]):
        if status_of(request, state) == request["status"] != MADE.get(request["what"]):
            if request["status"] != 200 or state.get(request["member"]) == request["value"] or request["what"] == "add":
                return True
    return False


class Matching:
    """Attempts and entries, one for each other."""

    def __init__(self, fitting):
        self.fitting, self.entry_of, self.request_of = fitting, {}, {}

    def place(self, request, seen):
        """Gives an attempt an entry, if need be that of another one which gets another."""
        for entry in self.fitting[request]:
            if entry not in seen:
                seen.add(entry)
                if entry not in self.request_of or self.place(self.request_of[entry], seen):
                    self.request_of[entry], self.entry_of[request] = request, entry
                    return True
        return False


def matched(group, requests):
    """(attempts that have made nothing and should have, entries that nobody has asked for)."""
    entries = [e for e in group.entries if not e["made"] and not is_consequence(e, group)]
    fitting = {i: [e["change"] for e in entries if fits(r, e, group)] for i, r in enumerate(requests)}
    matching = Matching(fitting)
    # The name that a group has already is no change: an attempt before may have given it.
    again = {(r["device"], r["id"]) for r in requests if r["status"] is None}
    due = [i for i, r in enumerate(requests) if r["status"] in (200, 201, 204) and not is_explained(r, group)
           and not (r["what"] == "name" and (r["device"], r["id"]) in again)]
    failed = [i for i in due if not matching.place(i, set())]
    for i in sorted(set(fitting) - set(due)):
        matching.place(i, set())
    return [requests[i] for i in failed], [e for e in entries if e["change"] not in matching.request_of]


def is_consequence(entry, group):
    """What another entry brings with it: the heir, and the owner who gives the group away."""
    if group.causes.get(entry["change"]) == "left":
        return True
    at = group.entries.index(entry) + 1
    return entry["role"] == "admin" and at < len(group.entries) \
        and group.causes.get(group.entries[at]["change"]) == "given" \
        and group.state_at(entry["change"] - 1).get(entry["member"]) == "owner"


def check(rows, index):
    requests = Requests(rows, index.moments)
    for r in requests.unasked:
        yield "phantom", f"an answer to {r['id']}, which was not asked for", index.evidence(r)
    answered = {(r["device"], r["id"]) for r in rows["moved"]}
    for r in {(r["device"], r["id"]): r for r in rows["moves"]}.values():
        if (r["device"], r["id"]) not in answered:
            yield "unacknowledged", f"the request {r['id']} of group {r['group']}", index.evidence(r)
    for group in index.groups.values():
        yield from check_log(group, requests.of(group), index)
    for part in check_table, check_names, check_writers, check_refused, check_denied, check_doers, check_told:
        yield from part(rows, index)


def check_log(group, requests, index):
    for entry, what in group.odd:
        yield "membership", f"group {group.number}, change {entry['change']}: {entry['member']} {what}", entry
    if group.state and "owner" not in group.state.values():
        yield "membership", f"group {group.number} ends without an owner", group.state
    for r in requests:
        if r["status"] not in (None, 200, 201, 204) and not is_explained(r, group):
            yield "barred", f"{r['id']} was answered with {r['status']}, for which there was no reason", index.evidence(r)
    failed, unasked = matched(group, requests)
    for r in failed:
        yield "membership", f"{r['id']} was answered with {r['status']}, and has made nothing", index.evidence(r)
    for e in unasked:
        yield "membership", f"group {group.number}: nobody who might has asked for the change {e['change']}", e


def check_table(rows, index):
    """The table has what the log comes to."""
    due = {(g.number, user): [g.state.get(user, "member"), came, 0 if g.full else came, None if left == FOREVER else left]
           for g in index.groups.values() for user, spells in g.spells.items() for came, left in spells[-1:]}
    has = {(r["conversation"], r["user"]): [r["role"], r["joined"], r["since"], r["until"]]
           for r in rows["members"] if r["conversation"] in index.groups}
    for key in sorted(due.keys() | has.keys()):
        if due.get(key) != has.get(key):
            yield "membership", f"user {key[1]} of group {key[0]} is not stored as the log has it", \
                {"stored": has.get(key), "log": due.get(key)}


def check_names(rows, index):
    """The one that was asked for at the place of the last change of a group."""
    requests = Requests(rows, index.moments)
    for r in rows["names"]:
        group = index.groups.get(r["group"])
        changes = [e["change"] for e in group.entries if e["member"] is None and not e["made"]] if group else ()
        if changes and not any(q["what"] == "name" and q["value"] == r["name"] and q["begin"] < changes[-1] < q["end"]
                               for q in requests.of(group)):
            yield "membership", f"group {r['group']} is named {r['name']!r}, which nobody asked for last", r


# --- what members did, and what was refused ---

def check_writers(rows, index):
    for r in rows["stored"]:
        group = index.groups.get(r["conversation"])
        if group and r["sender"] not in group.state_at(r["message_id"]):
            yield "admitted", f"{r['message_id']} is stored, and user {r['sender']} was not in group {group.number}", r


def attempts(rows):
    """(device, id) -> [(when, connection, group or None, the row)]: of messages, changes and watermarks."""
    found = defaultdict(list)
    for r in rows["sent"]:
        found[r["device"], r["id"]].append((r["t"], r["conn"], r.get("group"), r))
    for topic in "asked", "said":
        for r in rows[topic]:
            found[r["device"], r["id"]].append((r["t"], r["conn"], r["conversation"], r))
    return found


def check_refused(rows, index):
    """Each refusal had a reason, at some moment between the attempt and the answer."""
    tried = attempts(rows)
    for r in rows["refused"]:
        mine = [a for a in tried[r["device"], r["id"]] if a[1] == r["conn"]]
        if not mine:
            yield "phantom", f"{r['id']} was refused, and not tried on that connection", index.evidence(r)
            continue
        t, _, number, attempt = min(mine, key=lambda a: a[0])
        group = index.groups.get(number)
        states = list(group.states_within(index.moments.before(t), index.moments.behind(r["t"]))) if group else ()
        if not any(reason(r, attempt, state, group, index) for state in states or [None]):
            yield "barred", f"{r['id']} was refused ({r['code']}), for which there was no reason", \
                {"attempt": attempt, "refused": index.evidence(r)}


def reason(refused, attempt, state, group, index):
    """Whether this state of its group (None: it is a direct conversation) explains the refusal."""
    code, user = refused["code"], refused["user"]
    if code == "deleted":
        return index.deletions.get(attempt["message_id"], FOREVER) < refused["t"]
    if state is None:
        return False
    if code == "not_sender":
        return state.get(user) == "member" and index.stored.get(attempt["message_id"], {}).get("sender") != user
    # One that came again sees nothing of before.
    came = [spell[0] for spell in group.spells.get(user, ())]
    hidden = code == "unknown_message" and not group.full and any(c > attempt["message_id"] for c in came)
    return user not in state or hidden


def check_denied(rows, index):
    for r in rows["denied"]:
        group = index.groups[r["group"]]
        spells = group.spells.get(r["user"])
        if spells and spells[0][0] <= index.moments.before(r["asked"]):
            yield "barred", f"{r['device']} was denied the history of group {r['group']}", index.evidence(r)


def check_doers(rows, index):
    """Changes of messages in groups that were acknowledged were made by those who might."""
    asked = {(r["device"], r["id"], r["attempt"]): r for r in rows["asked"]}
    for r in rows["made"]:
        q = asked.get((r["device"], r["id"], r["attempt"]))
        group = q and index.groups.get(q["conversation"])
        if not group or q["message_id"] not in index.stored:
            continue
        own = index.stored[q["message_id"]]["sender"] == r["user"]
        states = group.states_within(index.moments.before(q["t"]), index.moments.behind(r["t"]))
        if not any(r["user"] in state if own or q["what"] in ("react", "unreact")
                   else may(state.get(r["user"]), "delete") for state in states):
            yield "admitted", f"the change {q['id']} of {q['message_id']} was made by user {r['user']}, who might not", \
                {"asked": q, "made": index.evidence(r)}


# --- what devices were told ---

def check_told(rows, index):
    """Of each change of a group its members are told, as it was, and nobody else is."""
    has = defaultdict(set)
    for r in rows["told"]:
        group = index.groups.get(r["group"])
        entry = group and next((e for e in group.entries if e["change"] == r["place"]), None)
        has[r["device"]].add(r["place"])
        if not entry or group.spell(index.devices[r["device"]]["user"], r["place"], r["place"]) is None:
            yield "phantom", f"{r['device']} was told of the change {r['place']} of group {r['group']}, which is not " \
                             f"there, or does not concern it", index.evidence(r)
        elif (r["member"], r["role"]) != (entry["member"], entry["role"]):
            yield "changed", f"{r['device']} was told of another change {r['place']} than there is", \
                {"told": index.evidence(r), "log": entry}
    for group in index.groups.values():
        for entry in group.latest():
            for device in sorted(index.devices):
                user, resume = index.devices[device]["user"], index.devices[device]["resume"]
                if resume != "history" and entry["change"] not in has[device] \
                        and index.is_due(device, group, entry["change"], entry["change"]):
                    yield "missing", f"{device} was never told of the change {entry['change']} of group {group.number}", \
                        {"user": user, "log": entry}
