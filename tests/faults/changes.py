"""What a device does to messages: it edits and deletes those that it has sent, reacts to those of
others, and deletes these in groups, where only owner and admins may, one change of a message at a time,
and asks for each again until it is answered.

A new text begins with an id, as a message does, so that every text tells by whom and when it was
asked for. Only the device that sent a message edits it, and each device of a user has emojis of its own:
the order in which it has its changes acknowledged is then the order in which they count, unless an
attempt that was never answered, from a connection that is gone, comes to life late; see
conversations.py. A deletion, whoever asks for it, is the end of all.
"""
import asyncio
import json
from urllib.parse import quote

from records import EMPTY, digest

RATE = 1.0           # per second and device
OTHERS = 0.45        # of them: of messages of others
OTHERS_DELETED = 0.1  # of these, in groups
DELETES = 0.15       # of the rest
TAKEN_BACK = 0.4     # of the reactions to messages that have one of this device
EMOJIS = ("+1", "\U0001f389"), ("\u2764\ufe0f", "100%?/#")
IN_FLIGHT = 5
RECENT = 40          # messages, of which one is chosen


class Change:
    """what: edit (with the content), delete, react or unreact (with the emoji)."""

    def __init__(self, conversation, message, what, content=None, emoji=None):
        self.conversation, self.message, self.what = conversation, message, what
        self.content, self.emoji = content, emoji
        self.attempts, self.conn = 0, None      # how many, and the connection of the last one

    @property
    def md5(self):
        return {"edit": lambda: digest(self.content), "delete": lambda: EMPTY}.get(self.what, lambda: None)()

    def frame(self, id_):
        data = {"conversation_id": self.conversation, "message_id": self.message}
        if self.emoji:
            data.update(emoji=self.emoji, remove=self.what == "unreact")
        frame = {"type": "react" if self.emoji else self.what, "id": id_, "data": data}
        return json.dumps(frame if self.content is None else {**frame, "content": self.content})

    def request(self):
        """Method, path and body."""
        path = f"/conversations/{self.conversation}/messages/{self.message}"
        if self.emoji:
            return "PUT" if self.what == "react" else "DELETE", f"{path}/reactions/{quote(self.emoji, safe='')}", None
        return ("DELETE", path, None) if self.what == "delete" else ("PATCH", path, {"content": self.content})


class Changes:
    def __init__(self, device):
        self.device = device
        self.pending = {}           # id -> Change, until acknowledged
        self.mine = {}              # message -> key of its addressee; acknowledged and not deleted
        self.reacted = set()        # (message, emoji)
        self.emojis = EMOJIS[(len(device.user.devices) - 1) % len(EMOJIS)]
        self.count = 0

    async def live(self):
        device, scene = self.device, self.device.scene
        while True:
            await asyncio.sleep(device.rng.expovariate(RATE))
            if device.user.present.is_set() and scene.talking and len(self.pending) < IN_FLIGHT:
                await self.make()

    async def make(self):
        device = self.device
        id_ = f"{device.name}-e{self.count + 1}"
        change = self.of_anothers() if device.rng.random() < OTHERS else self.of_mine(id_)
        if change:
            self.count += 1
            self.pending[id_] = change
            await device.send_change(id_)

    def one_of(self, messages):
        """The recent ones that are not known to be deleted, and of which no change is under way."""
        busy = {c.message for c in self.pending.values()}
        known = [m for m in messages[-RECENT:] if m not in busy and m not in self.device.deleted]
        return self.device.rng.choice(known) if known else None

    def of_mine(self, id_):
        device = self.device
        message = self.one_of([m for m in self.mine if self.mine[m] in device.conversations])
        if message is None:
            return None
        conversation = device.conversations[self.mine[message]]
        if device.rng.random() >= DELETES:
            return Change(conversation, message, "edit", f"{id_} {device.some_text()}")
        del self.mine[message]
        return Change(conversation, message, "delete")

    def of_anothers(self):
        rng, arrived = self.device.rng, self.device.marks.arrived
        if not arrived:
            return None
        conversation = rng.choice(list(arrived))
        message = self.one_of(arrived[conversation])
        if message is None:
            return None
        if conversation in {g.number for g in self.device.scene.groups} and rng.random() < OTHERS_DELETED:
            return Change(conversation, message, "delete")
        emoji = rng.choice(self.emojis)
        again = (message, emoji) in self.reacted and rng.random() < TAKEN_BACK
        self.reacted.add((message, emoji))
        return Change(conversation, message, "unreact" if again else "react", emoji=emoji)

    def asking(self, id_):
        """The change, whose next attempt begins now."""
        change = self.pending[id_]
        change.attempts, change.conn = change.attempts + 1, self.device.conn
        self.device.record("asked", conn=self.device.conn, id=id_, attempt=change.attempts, message_id=change.message,
                           conversation=change.conversation, what=change.what, md5=change.md5, emoji=change.emoji)
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
            self.device.keep(change.message, upto, change.what == "delete")

    async def later(self, id_):
        """After a temporary error, unless it was asked for again meanwhile, on another connection."""
        change = self.pending.get(id_)
        attempts = change and change.attempts
        await asyncio.sleep(self.device.rng.uniform(0.3, 1.3))
        if id_ in self.pending and change.attempts == attempts:
            await self.device.send_change(id_)

    def refused(self, id_):
        """For good."""
        self.pending.pop(id_, None)

    async def send_again(self, conn):
        """On a new connection: what was asked for on an earlier one."""
        for id_, change in list(self.pending.items()):
            if id_ in self.pending and change.conn != conn and conn == self.device.conn:
                await self.device.send_change(id_)
