"""How far a device says that its user has got and read the conversations, and what it is told.

Watermarks are said by frames, which nothing answers but a receipt, and by PUT. What is not seen to be
stored after a while is said again: first the list of conversations is asked for, since there is no
receipt where nothing moves, and since receipts are the first to be dropped. A device keeps what is
highest, as the protocol asks. Now and then it says an older one, as if that had been on its way for
long.
"""
import asyncio
import json

from lost import LOST, Away

AGAIN_S = 3.0        # so long after a watermark was said it should be there
LATE = 0.2           # of what is said
READS = 0.5          # of what is said; the rest only arrived
PUTS = 0.2           # of what is read


class Marks:
    def __init__(self, device):
        self.device = device
        self.arrived = {}           # conversation -> messages of somebody else, the last one at the end
        self.known = {}             # (conversation, user) -> [read, delivered]
        self.due = {}               # (conversation, read or not) -> [value, when it was said]
        self.listed = 0             # the connection on which the list was last asked for
        self.named = {}             # id of a frame -> conversation
        self.count = 0

    @property
    def user(self):
        return self.device.user.id

    # --- what is seen ---

    def see(self, conversation, member, read, delivered, via, asked=None):
        device = self.device
        device.record("shown", conn=device.conn, conversation=conversation, member=member, read=read,
                      delivered=delivered, via=via, asked=asked)
        known = self.known.setdefault((conversation, member), [0, 0])
        known[:] = max(known[0], read), max(known[1], delivered)

    def receipt(self, data):
        self.see(data["conversation_id"], data["user_id"], data["read_upto"], data["delivered_upto"], "receipt")

    def has_arrived(self, conversation, message):
        arrived = self.arrived.setdefault(conversation, [message])
        if message > arrived[-1]:
            arrived.append(message)

    async def list(self):
        """Which a client asks for whenever it has come back."""
        device, asked = self.device, self.device.scene.records.now()
        status, answer = await device.call("GET", "/conversations?limit=100")
        if status != 200:
            device.error(f"GET /conversations answered {status} {answer}")
            return
        for c in answer["conversations"]:
            self.see(c["id"], self.user, c["read_upto"], c["delivered_upto"], "list", asked)
            if c["kind"] == "group":
                continue
            peer = c["peer"]
            device.conversations[peer["id"]] = c["id"]
            self.see(c["id"], peer["id"], peer["read_upto"], peer["delivered_upto"], "list", asked)

    def refused(self, id_):
        """Whether that was a watermark: of a group which the user has left."""
        conversation = self.named.pop(id_, None)
        self.forget(conversation)
        return conversation is not None

    def forget(self, conversation):
        self.arrived.pop(conversation, None)
        self.due = {key: due for key, due in self.due.items() if key[0] != conversation}

    # --- what is said ---

    async def live(self):
        device = self.device
        while True:
            await asyncio.sleep(device.rng.uniform(0.3, 1.2))
            try:
                if device.link:
                    await self.go_on()
            except Away as e:
                await asyncio.sleep(e.seconds)
            except LOST:
                pass

    async def go_on(self):
        conn = self.device.conn
        if self.listed != conn:
            await self.list()
            self.listed = conn
        if self.device.scene.talking:
            await self.say_something()
        await self.say_again()

    def stored(self, conversation, reads, value):
        return self.known.get((conversation, self.user), (0, 0))[0 if reads else 1] >= value

    async def say_something(self):
        rng = self.device.rng
        reads = not self.device.can_send_frames or rng.random() < READS
        put = reads and rng.random() < PUTS
        if self.arrived and rng.random() < LATE:
            conversation = rng.choice(list(self.arrived))
            await self.say(conversation, reads, rng.choice(self.arrived[conversation]), put)
        elif news := [c for c, arrived in self.arrived.items() if not self.stored(c, reads, arrived[-1])]:
            conversation = rng.choice(news)
            await self.say(conversation, reads, self.arrived[conversation][-1], put)

    def drop_stored(self):
        self.due = {key: due for key, due in self.due.items() if not self.stored(*key, due[0])}

    async def say_again(self):
        self.drop_stored()
        now = self.device.scene.records.now()
        if any(said + AGAIN_S < now for _, said in self.due.values()):
            await self.list()
            self.drop_stored()
        for (conversation, reads), (value, said) in list(self.due.items()):
            if said + AGAIN_S < now:
                await self.say(conversation, reads, value, reads)

    async def say(self, conversation, reads, value, put):
        self.count += 1
        now = self.device.scene.records.now()
        if value >= self.due.get((conversation, reads), [0])[0]:
            self.due[conversation, reads] = [value, now]
        id_ = f"{self.device.name}-m{self.count}"
        self.device.record("said", conn=self.device.conn, id=id_, conversation=conversation, reads=reads,
                           message_id=value)
        if put or not self.device.can_send_frames:
            await self.put(id_, conversation, value, now)
        elif self.device.link:
            self.named[id_] = conversation
            await self.device.link.send(json.dumps({
                "type": "read" if reads else "delivered", "id": id_,
                "data": {"conversation_id": conversation, "message_id": value}}))

    async def put(self, id_, conversation, value, asked):
        conn = self.device.conn
        status, answer = await self.device.call("PUT", f"/conversations/{conversation}/read", {"message_id": value})
        if status == 204:
            self.see(conversation, self.user, value, value, "put", asked)
        elif status == 404:
            self.named[id_] = conversation
            self.device.refused(id_, "unknown_conversation", conn)
        else:
            self.device.error(f"PUT /conversations/{conversation}/read answered {status} {answer}")
