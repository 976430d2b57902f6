"""What a device does to groups: it adds and removes members, leaves, and gives roles and names, one
request at a time, and asks for each again until it is answered.

It knows of a group only what the answers to all devices say, and not in which order they came about.
So many a request is refused. Whether rightly, the checker says.
"""
import asyncio

from lost import LOST, Away

RATE = 0.5           # per second and device
WEIGHTS = {"add": 40, "role": 22, "remove": 16, "leave": 10, "name": 12}
ROLES = {"member": 35, "admin": 50, "owner": 15}
# How often somebody asks, by the role, as far as it is known: many know that they may not.
EAGERNESS = {"owner": 1, "admin": 1, "member": 0.15, None: 0.03}
FEWEST = 3           # members where one leaves: nobody comes back into an empty group


class Group:
    """founded: how (see "group" in records.py). believed: user -> role, by the answers that there were."""
    to = None

    def __init__(self, founded):
        self.founded = founded
        self.number = number = founded["group"]
        self.believed = {founded["owner"]: "owner", **dict.fromkeys(founded["members"], "member")}
        self.key = -number              # among all to whom somebody writes
        self.names = {"conversation_id": number}
        self.history = f"/conversations/{number}/messages"
        self.posts = self.history, {}   # path, and what the body needs beside the content

    def believe(self, move, status):
        if status not in (200, 201, 204) or move.what == "name":
            return
        if move.what in ("remove", "leave"):
            self.believed.pop(move.member, None)
            return
        if move.value == "owner":
            self.believed = {user: "admin" if role == "owner" else role for user, role in self.believed.items()}
        self.believed[move.member] = move.value


class Move:
    def __init__(self, group, what, member, value):
        self.group, self.what, self.member, self.value = group, what, member, value

    def request(self):
        """Method, path and body."""
        path = f"/conversations/{self.group.number}"
        if self.what == "name":
            return "PATCH", path, {"name": self.value}
        if self.what == "add":
            return "POST", f"{path}/members", {"user_id": self.member, "role": self.value}
        path += f"/members/{self.member}"
        return ("PATCH", path, {"role": self.value}) if self.what == "role" else ("DELETE", path, None)


class Moves:
    def __init__(self, device):
        self.device = device
        self.pending = None         # the Move that waits for its answer
        self.count = 0

    async def live(self):
        device, scene = self.device, self.device.scene
        while True:
            await asyncio.sleep(device.rng.expovariate(RATE))
            eager = [EAGERNESS[g.believed.get(device.user.id)] for g in scene.groups]
            if device.user.present.is_set() and scene.talking and device.rng.random() < max(eager):
                self.count += 1
                self.pending = self.choose(*device.rng.choices(scene.groups, eager))
                await self.ask()
                self.pending = None

    def choose(self, group):
        rng, me, scene = self.device.rng, self.device.user.id, self.device.scene
        others = [user for user in group.believed if user != me]
        outside = [u.id for u in scene.users if u.id not in group.believed and u.id != me]
        what = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if what == "leave" and len(others) + 1 < FEWEST or what in ("role", "remove") and not others:
            what = "add"
        if what == "name" or what == "add" and not outside:
            return Move(group, "name", None, f"{self.device.name} {self.count}")
        member = me if what == "leave" else rng.choice(outside if what == "add" else others)
        value = {"add": lambda: rng.choice(("member", "member", "admin")),
                 "role": lambda: rng.choices(list(ROLES), list(ROLES.values()))[0]}.get(what, lambda: None)()
        return Move(group, what, member, value)

    async def ask(self):
        device, move, attempt, status = self.device, self.pending, 0, None
        known = {"id": f"{device.name}-g{self.count}", "group": move.group.number}
        while status is None:
            attempt += 1
            device.record("moves", **known, attempt=attempt, what=move.what, member=move.member, value=move.value)
            try:
                status, _ = await device.call(*move.request())
            except (*LOST, Away) as e:
                await asyncio.sleep(getattr(e, "seconds", 0.3) + device.rng.uniform(0, 1))
        device.record("moved", **known, attempt=attempt, status=status)
        move.group.believe(move, status)
