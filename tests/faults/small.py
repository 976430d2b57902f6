"""A small good record, which has something for each of the changes that mutations.py makes."""
import conversations
import membership
import records
from index import Index

def small():
    """Four devices of three users, one of each way to resume, ten messages, some of which are changed, a
    group (see add_group), and a user who leaves; two hosts, one of which gets another certificate."""
    rows = {topic: [] for topic in records.TOPICS}
    devices = [(1, "1.0", "query"), (2, "2.0", "frame"), (2, "2.1", "history"), (3, "3.0", "events")]
    rows["run"].append({"ev": "constants", "lease": 10, "allowance": 2, "t": 0})
    frames = {}

    def connect(user, device, conn, t):
        rows["connections"].extend({"ev": ev, "user": user, "device": device, "conn": conn, "host": 0, "t": t + i / 10}
                                   for i, ev in enumerate(("begin", "open")))
        frames[device] = [conn, 0]

    def count(device):
        frames[device][1] += 1
        return {"device": device, "conn": frames[device][0], "n": frames[device][1]}

    for user, device, resume in devices:
        rows["run"].append({"ev": "device", "user": user, "device": device, "kind": resume, "resume": resume, "t": 0})
        connect(user, device, 1, 1)
    rows["connections"].append({"ev": "resumed", "user": 2, "device": "2.0", "conn": 1, "n": 0, "recovered": True, "t": 1})
    rows["run"].append({"ev": "fault", "number": 0, "host": 0, "kind": "a fault", "what": "a fault, host 0", "t": 5})
    for number in range(1, 11):
        t = 10 + number
        if number == 5:
            rows["connections"].append({"ev": "close", "user": 1, "device": "1.0", "conn": 1, "host": 0, "t": t - 0.5})
            connect(1, "1.0", 2, t - 0.4)
        sender, device, to = [(1, "1.0", 2), (2, "2.0", 1), (3, "3.0", 2), (1, "1.0", 3)][number % 4]
        message = {"sender": sender, "to": to, "md5": f"{number:032x}"}
        rows["sent"].append({"user": sender, "device": device, "conn": 1, "id": f"{device}-{number}", "to": to,
                             "md5": message["md5"], "t": t})
        rows["acked"].append({"user": sender, **count(device), "id": f"{device}-{number}", "message_id": number,
                              "duplicate": False, "t": t + 0.1})
        rows["stored"].append({"message_id": number, "id": f"{device}-{number}", **message, **UNCHANGED,
                               "conversation": CONVERSATIONS[frozenset((sender, to))], "t": 70})
        for user, receiver, resume in devices:
            if user in (sender, to) and (receiver != device or resume == "events"):
                rows["received"].append({"user": user, **count(receiver), "message_id": number, **message,
                                         "conversation": CONVERSATIONS[frozenset((sender, to))], "edited": None,
                                         "deleted": False, "reactions": None, "cursor": f"x-{number}", "via": "frame",
                                         "asked": None, "t": t + 0.1})
    add_changes(rows, devices, count)
    add_group(rows, devices, count)
    add_marks(rows)
    add_views(rows)
    rows["connections"].append({"ev": "close", "user": 3, "device": "3.0", "conn": 1, "host": 0, "t": 40})
    rows["seen"] = [{"ev": "watch", "observer": 0, "on": True, "t": 0.1},
                    {"ev": "view", "observer": 0, "online": [], "t": 0.2}]
    rows["seen"] += [{"ev": "status", "observer": 0, "user": u, "online": True, "t": 1.2} for u in (1, 2, 3)]
    rows["seen"] += [{"ev": "users", "observer": 0, "asked": t, "t": t + 0.1,
                      "online": [1, 2, 3] if t < 41 else [1, 2]} for t in range(2, 61)]
    rows["seen"].append({"ev": "status", "observer": 0, "user": 3, "online": False, "t": 40.6})
    rows["seen"].sort(key=lambda r: r["t"])
    rows["run"] += [{"ev": "settled", "online": [1, 2], "out": [], "t": 58}, {"ev": "end", "t": 61}]
    add_tls(rows)
    return rows


CONVERSATIONS = {frozenset((1, 2)): 1, frozenset((2, 3)): 2, frozenset((1, 3)): 3}
UNCHANGED = {"changed": None, "edited": None, "deleted": False}


def add_changes(rows, devices, count):
    """Three texts and a deletion; the stream's own way to ask, HTTP, tells no place."""
    stored = {r["message_id"]: r for r in rows["stored"]}
    for place, (number, device, what) in enumerate(((4, "1.0", "edit"), (7, "1.0", "edit"), (6, "3.0", "edit"),
                                                    (5, "2.0", "delete")), 11):
        t, r = 20 + place, stored[number]
        change = {"message_id": number, "conversation": r["conversation"]}
        new = {"md5": f"{place:032x}" if what == "edit" else records.EMPTY, "edited": f"at {t}",
               "deleted": what == "delete"}
        asked = {"user": r["sender"], "device": device, "id": f"{device}-e{place}", "attempt": 1, **change}
        rows["asked"].append({**asked, "conn": 1, "what": what, "md5": new["md5"], "emoji": None, "t": t})
        rows["made"].append({**asked, **count(device), "upto": None if device == "3.0" else place, "t": t + 0.1})
        rows["changed"] += [{"user": user, **count(receiver), **change, "place": place, **new, "reactions": None, "t": t + 0.1}
                            for user, receiver, _ in devices if user in (r["sender"], r["to"])]
        r.update(new, changed=place)


class Team:
    """A group while it is written down: what happens there takes one place after the other."""

    def __init__(self, rows, devices, count):
        self.rows, self.devices, self.count, self.place, self.here = rows, devices, count, 14, set()

    def next(self):
        self.place += 1
        self.t = self.moment(0)
        return self.place

    def moment(self, later):
        return 36 + later + (self.place - 15) * 0.2

    def members(self, but=None):
        return [(user, device) for user, device, _ in self.devices if user in self.here and device != but]

    def log(self, member, role, made=False):
        """A change of the group, of which who can resume is told."""
        place = self.next()
        self.rows["groups"].append({"change": place, "group": GROUP, "member": member, "role": role, "made": made, "t": 70})
        if role:
            self.here.add(member)
        self.rows["told"] += [{"user": user, **self.count(device), "place": place, "group": GROUP,
                               "ev": "member" if member else "conversation", "member": member, "role": role,
                               "name": None if member else "Team", "t": self.t + 0.1} for user, device in self.members()]
        if member and not role:
            self.here.discard(member)

    def ask(self, user, what, member=None, value=None, status=None):
        """A request, which is answered behind what it does."""
        asked = {"user": user, "device": f"{user}.0", "id": f"{user}.0-g{self.place}", "attempt": 1, "group": GROUP}
        self.rows["moves"].append({**asked, "what": what, "member": member, "value": value, "t": self.moment(0.05)})
        if status is None:
            self.log(member, value if what in ("add", "role") else None)
        made = {"add": 201, "remove": 204, "leave": 204}.get(what, 200)
        self.rows["moved"].append({**asked, "status": status or made, "t": self.moment(0.15)})

    def say(self, user, device):
        """A stream, as that of three is, brings what its user has sent."""
        number = self.next()
        id_, message = f"{device}-{number}", {"sender": user, "to": None, "md5": f"{number:032x}"}
        sent = {"user": user, "device": device, "id": id_}
        self.rows["sent"].append({**sent, "conn": 2 if user == 1 else 1, "to": None, "group": GROUP, "md5": message["md5"], "t": self.t})
        self.rows["acked"].append({**sent, **self.count(device), "message_id": number, "duplicate": False, "t": self.t + 0.1})
        self.rows["stored"].append({"message_id": number, "id": id_, **message, **UNCHANGED, "conversation": GROUP, "t": 70})
        self.rows["received"] += [{"user": to, **self.count(other), "message_id": number, **message, "conversation": GROUP,
                                   "edited": None, "deleted": False, "reactions": None, "cursor": f"x-{number}",
                                   "via": "frame", "asked": None, "t": self.t + 0.1}
                                  for to, other in self.members(None if device == "3.0" else device)]
        return number

    def change(self, user, device, number, what, emoji=None):
        place, stored = self.next(), next(r for r in self.rows["stored"] if r["message_id"] == number)
        asked = {"user": user, "device": device, "id": f"{device}-e{place}", "attempt": 1, "message_id": number, "conversation": GROUP}
        md5 = {"delete": records.EMPTY, "edit": f"{place:032x}"}.get(what)
        self.rows["asked"].append({**asked, "conn": 2 if user == 1 else 1, "what": what, "md5": md5, "emoji": emoji, "t": self.t})
        if md5:
            stored.update(md5=md5, edited=f"at {self.t}", deleted=what == "delete")
        else:
            self.rows["reacted"].append({"message_id": number, "user": user, "emoji": emoji, "t": 70})
        stored["changed"] = place
        new = {k: stored[k] for k in ("md5", "edited", "deleted")}
        self.rows["changed"] += [{"user": to, **self.count(other), "message_id": number, "conversation": GROUP, "place": place,
                                  **new, "reactions": [[emoji, 1]] if emoji else None, "t": self.t + 0.1}
                                 for to, other in self.members()]
        self.rows["made"].append({**asked, **self.count(device), "upto": place, "t": self.t + 0.1})


GROUP = 4


def add_group(rows, devices, count):
    """One founds it with two, and adds three, who becomes admin, is removed and comes again; one leaves, and two has it
    then. They write, edit, react and delete, and are refused what they may not do."""
    rows["run"].append({"ev": "group", "group": GROUP, "owner": 1, "members": [2], "full": False, "t": 35.9})
    team = Team(rows, devices, count)
    team.here = {1, 2}
    team.log(None, None, made=True)
    first = team.say(1, "1.0")
    rows["denied"].append({"user": 3, "device": "3.0", "group": GROUP, "asked": team.t, "t": team.t})
    team.ask(1, "add", 3, "member")
    second = team.say(1, "1.0")
    team.ask(1, "role", 3, "admin")
    team.ask(2, "add", 3, "member", status=403)
    team.ask(1, "remove", 3)
    third = team.say(2, "2.0")
    team.change(1, "1.0", second, "edit")
    team.change(2, "2.0", first, "react", "+1")
    team.change(1, "1.0", third, "delete")
    team.ask(1, "name", value="Team")
    refused = {"user": 3, "device": "3.0", "conn": 1, "id": "3.0-99"}
    rows["sent"].append({**refused, "to": None, "group": GROUP, "md5": "9" * 32, "t": team.t + 0.1})
    rows["refused"].append({**refused, **count("3.0"), "code": "unknown_conversation", "t": team.t + 0.2})
    rows["names"].append({"group": GROUP, "name": "Team", "t": 70})
    team.ask(1, "add", 3, "member")
    last = team.say(2, "2.0")
    team.ask(1, "leave", 1)
    team.log(2, "owner")
    team.change(2, "2.0", last, "edit")
    team.say(2, "2.0")
    team.say(3, "3.0")


def add_marks(rows):
    """One has got all and read some, the other only got it."""
    for user, device, number, reads in (1, "1.0", 9, False), (2, "2.0", 8, True):
        rows["said"].append({"user": user, "device": device, "conversation": 1, "reads": reads, "message_id": number,
                             "conn": 1, "id": f"{device}-m1", "t": 45})
    marks = [{"conversation": 1, "member": 1, "read": 0, "delivered": 9},
             {"conversation": 1, "member": 2, "read": 8, "delivered": 8}]
    for user, device in (1, "1.0"), (2, "2.0"):
        rows["shown"] += [{"user": user, "device": device, "conn": 1, **m, "via": via, "asked": asked, "t": t}
                          for m in marks for via, asked, t in (("receipt", None, 46), ("list", 49, 50))]
    for users, conversation in CONVERSATIONS.items():
        for user in sorted(users):
            mark = next((m for m in marks if (m["conversation"], m["member"]) == (conversation, user)), {})
            rows["members"].append({"conversation": conversation, "user": user, "role": None, "joined": 0, "since": 0,
                                    "until": None, "read": mark.get("read", 0), "delivered": mark.get("delivered", 0),
                                    "t": 70})
    team = Index(rows).groups[GROUP]
    for user, spells in team.spells.items():
        came, left = spells[-1]
        rows["members"].append({"conversation": GROUP, "user": user, "role": team.state.get(user, "member"),
                                "joined": came, "since": came, "until": None if left == membership.FOREVER else left,
                                "read": came, "delivered": came, "t": 70})
    for r in rows["members"]:
        here = [m for m in rows["stored"] if m["conversation"] == r["conversation"]]
        since = max([r["read"], *(m["message_id"] for m in here if m["sender"] == r["user"])])
        r["unread"] = sum(m["message_id"] > since and not m["deleted"] for m in here)


def add_views(rows):
    """As the checker has them, of which "the small record has no finding" alone would prove nothing: the mutations do."""
    due = conversations.Due(rows, Index(rows))
    unread = {(r["user"], r["conversation"]): r["unread"] for r in rows["members"]}
    for (user, conversation), (last, role, count, name) in due.conversations():
        rows["views"].append({"ev": "conversation", "user": user, "conversation": conversation, "last": last, "role": role,
                              "count": count, "name": name, "unread": unread[user, conversation], "t": 57})
    for ev, found, keys, values in (
            ("member", due.shown_members(), ["member"], ["role", "read", "delivered"]),
            ("message", due.messages(), ["message_id"], ["md5", "edited", "deleted", "reactions"]),
            ("outside", due.outside({1, 2, 3}), [], ["show", "members", "history"])):
        rows["views"] += [{"ev": ev, "user": key[0], "conversation": key[1], **dict(zip(keys, key[2:])), **dict(zip(values, value)),
                           "t": 57} for key, value in found]


def add_tls(rows):
    certificates = [{"ev": "certificate", "host": host, "serial": serial, "t": t}
                    for host, serial, t in ((0, "0A", 0.1), (1, "0B", 0.1), (0, "0C", 30))]
    rows["run"] += [*certificates, {"ev": "renewed", "host": 0, "t": 31},
                    {"ev": "signer", "host": 0, "took": 0.1, "t": 32},
                    *({"ev": "entry", "host": 0, "tls": tls, "took": 0.2, "t": 50} for tls in (False, True))]
    rows["run"].sort(key=lambda r: r["t"])
    rows["handshakes"] = [{"host": host, "how": "good", "certificate": serial, "began": t, "t": t + 0.5}
                          for host, serial, t in ((0, "0A", 20), (1, "0B", 20), (0, "0A", 30.4), (0, "0C", 30.4),
                                                  (0, "0C", 40), (0, "0C", 41))]
