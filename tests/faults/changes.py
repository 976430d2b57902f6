"""What a device does to the messages that it has sent: it edits and deletes them, one change of a
message at a time, and asks for each again until it is answered.

A new text begins with an id, as a message does, so that every text tells by whom and when it was
asked for. Only the device that sent a message changes it: the order in which it has its changes
acknowledged is then the order in which they count, unless an attempt that was never answered, from a
connection that is gone, comes to life late; see conversations.py.
"""
import asyncio
import json

from records import EMPTY, digest

RATE = 0.7           # per second and device
DELETES = 0.15       # of them
IN_FLIGHT = 5
RECENT = 40          # messages, of which one is chosen


class Change:
    def __init__(self, conversation, message, content):
        self.conversation, self.message, self.content = conversation, message, content
        self.attempts, self.conn = 0, None      # how many, and the connection of the last one

    @property
    def what(self):
        return "delete" if self.content is None else "edit"

    @property
    def md5(self):
        return EMPTY if self.content is None else digest(self.content)

    def frame(self, id_):
        frame = {"type": self.what, "id": id_,
                 "data": {"conversation_id": self.conversation, "message_id": self.message}}
        return json.dumps(frame if self.content is None else {**frame, "content": self.content})

    def request(self):
        """Method, path and body."""
        path = f"/conversations/{self.conversation}/messages/{self.message}"
        return ("DELETE", path, None) if self.content is None else ("PATCH", path, {"content": self.content})


class Changes:
    def __init__(self, device):
        self.device = device
        self.pending = {}           # id -> Change, until acknowledged
        self.mine = {}              # message -> key of its addressee; acknowledged and not deleted
        self.count = 0

    async def live(self):
        device, scene = self.device, self.device.scene
        while True:
            await asyncio.sleep(device.rng.expovariate(RATE))
            if device.user.present.is_set() and scene.talking and len(self.pending) < IN_FLIGHT:
                await self.make()

    async def make(self):
        device, busy = self.device, {c.message for c in self.pending.values()}
        known = [m for m in list(self.mine)[-RECENT:] if m not in busy and self.mine[m] in device.conversations]
        if not known:
            return
        self.count += 1
        id_, message = f"{device.name}-e{self.count}", device.rng.choice(known)
        conversation = device.conversations[self.mine[message]]
        deletes = device.rng.random() < DELETES
        if deletes:
            del self.mine[message]
        self.pending[id_] = Change(conversation, message, None if deletes else f"{id_} {device.some_text()}")
        await device.send_change(id_)

    def asking(self, id_):
        """The change, whose next attempt begins now."""
        change = self.pending[id_]
        change.attempts, change.conn = change.attempts + 1, self.device.conn
        self.device.record("asked", conn=self.device.conn, id=id_, attempt=change.attempts, message_id=change.message,
                           conversation=change.conversation, what=change.what, md5=change.md5)
        return change

    def made(self, id_, cursor=None):
        """Acknowledged: the last attempt, since there is one at a time on a connection."""
        change = self.pending.pop(id_, None)
        if change is None:
            self.device.error(f"an acknowledgement of the change {id_}, which waits for none")
            return
        upto = cursor and int(cursor.split("-")[1])
        self.device.record("made", conn=self.device.conn, n=self.device.counted(), id=id_, attempt=change.attempts,
                           message_id=change.message, upto=upto)
        if upto:
            self.device.keep(change.message, upto, change.md5)

    async def later(self, id_):
        """After a temporary error, unless it was asked for again meanwhile, on another connection."""
        change = self.pending.get(id_)
        attempts = change and change.attempts
        await asyncio.sleep(self.device.rng.uniform(0.3, 1.3))
        if id_ in self.pending and change.attempts == attempts:
            await self.device.send_change(id_)

    def refused(self, id_):
        """For good, which nothing here should be."""
        self.pending.pop(id_, None)

    async def send_again(self, conn):
        """On a new connection: what was asked for on an earlier one."""
        for id_, change in list(self.pending.items()):
            if id_ in self.pending and change.conn != conn and conn == self.device.conn:
                await self.device.send_change(id_)
