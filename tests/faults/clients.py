"""The users and their devices: what a careful client does, and everything it sees written down.

A device sends numbered messages, to users and groups, under ids, and again under the same id after a
temporary error or a lost connection until they are acknowledged. It connects to some host, always
over TLS or never, with back-off, and makes up for what it missed in the way of its kind:

  query     WebSocket, GET /ws?cursor=…
  frame     WebSocket, a resume frame first
  events    GET /events?cursor=…, and POST /messages to send
  history   WebSocket without resume: GET /messages/:id?after=… of every conversation; what is changed
            meanwhile in what it has read it does not learn
  slow      as query (or history, where that is not among the chosen kinds), with a small buffer, and
            now and then it reads nothing for some seconds

Meanwhile it changes what it has sent and reacts to what it has got (changes.py), says how far it has
read (marks.py), and changes groups (moves.py).
"""
import asyncio
import contextlib
import json
import math
import socket

import wsclient
from changes import Changes
from lost import LOST, Away
from marks import Marks
from moves import Moves
from records import counts, digest

GIVE_UP = 8.0        # an attempt to connect, or a request
LONGEST_WAIT = 2.0   # until the next attempt, unless the host asks for more
IN_FLIGHT = 20       # messages of a device that wait for their acknowledgement
TO_GROUPS = 0.3      # of the messages of those who are in any
TO_OTHERS = 0.05     # of these: to a group that the user does not seem to be in

# Over HTTP: what a status says of a message, and of a change of one, that is refused for good.
MESSAGE_REFUSED = {404: "unknown_conversation"}
CHANGE_REFUSED = {403: "not_sender", 404: "unknown_message", 409: "deleted"}
REFUSALS = {*MESSAGE_REFUSED.values(), *CHANGE_REFUSED.values()}


async def read_head(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    return int(head[0].split()[1]), fields


async def read_chunk(reader):
    size = int(await reader.readline() or b"0", 16)
    data = await reader.readexactly(size + 2)
    return data[:-2]


async def request(door, method, path, token=None, body=None, fields=()):
    """One HTTP request on a connection of its own: (status, JSON). Raises Away on 503."""
    async def go():
        reader, writer = await door.open()
        try:
            data = json.dumps(body).encode() if body is not None else b""
            lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *fields]
            lines += [f"Authorization: Bearer {token}"] if token else []
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"] if body is not None else []
            writer.write("\r\n".join([*lines, "", ""]).encode() + data)
            status, head = await read_head(reader)
            if status == 503:
                raise Away(head)
            if status == 204:
                return status, None
            if "content-length" in head:
                text = await reader.readexactly(int(head["content-length"]))
            else:
                text = b""
                while part := await read_chunk(reader):
                    text += part
            return status, json.loads(text) if text else None
        finally:
            writer.transport.abort()
    return await asyncio.wait_for(go(), GIVE_UP)


def state_of(message):
    """What a history or a frame says of the changes of a message."""
    return {"edited": message.get("edited_at"), "deleted": message.get("deleted", False),
            "reactions": counts(message.get("reactions"))}


class User:
    """present: whether his devices are to be connected."""

    def __init__(self, scene, answer):
        self.scene = scene
        self.id, self.token, self.name = answer["user"]["id"], answer["token"], answer["user"]["username"]
        self.to = self.key = self.id
        self.names = {"receiver_id": self.id}
        self.history = f"/messages/{self.id}"
        self.posts = "/messages", self.names
        self.devices = []
        self.present = asyncio.Event()
        self.present.set()
        self.away_until = self.stays_until = 0

    async def leave(self):
        self.present.clear()
        await asyncio.gather(*(d.hang_up() for d in self.devices))

    async def stay_away(self, seconds):
        """Goes, and does not come back for so long, whatever his habits are."""
        self.away_until = self.scene.records.now() + seconds
        await self.leave()
        await asyncio.sleep(seconds)
        if not self.scene.quiet:
            self.present.set()

    async def live(self, rng):
        """Comes and goes, all devices together, so that presence has something to say."""
        while True:
            await asyncio.sleep(rng.uniform(8, 30))
            while self.scene.records.now() < self.stays_until:
                await asyncio.sleep(0.5)
            await self.leave()
            await asyncio.sleep(rng.uniform(0.2, 3) if rng.random() < 0.5 else rng.uniform(3, 20))
            if self.scene.records.now() >= self.away_until:
                self.present.set()


class Device:
    resume = "history"
    can_send_frames = True

    def __init__(self, user, kind, rng, tls):
        self.user, self.kind, self.rng, self.scene, self.tls = user, kind, rng, user.scene, tls
        self.name = f"{user.id}.{len(user.devices)}"
        user.devices.append(self)
        self.conn = 0
        self.n = 0                  # frames on this connection
        self.cursor = None
        self.pending = {}           # id -> (user or group, content), until acknowledged
        self.count = 0
        self.over = 0               # the last connection that is known to have ended
        self.link = None            # what the open connection is, None while there is none
        self.host = None
        self.duplicates = 0
        self.received = set()
        self.conversations = {}     # key of an addressee -> number
        self.latest = {}            # message -> the place in the order of its state, as this device has it
        self.deleted = set()        # messages, as far as it knows
        self.told = set()           # places of the changes of groups that it was told of
        self.changes, self.marks, self.moves = Changes(self), Marks(self), Moves(self)
        self.record("run", ev="device", kind=kind, resume=self.resume, tls=tls)

    # --- what it writes down ---

    def record(self, topic, **row):
        self.scene.records.add(topic, user=self.user.id, device=self.name, **row)

    def event(self, ev, **row):
        self.record("connections", ev=ev, conn=self.conn, host=self.host.number, **row)

    def error(self, what):
        self.record("run", ev="error", what=f"{self.name} ({self.kind}): {what}")

    def counted(self):
        self.n += 1
        return self.n

    def is_waiting(self):
        """For any answer."""
        return bool(self.pending or self.changes.pending or self.marks.due or self.moves.pending)

    # --- its life ---

    def door(self, host):
        return host.tls if self.tls else host.plain

    async def call(self, method, path, body=None):
        """Some host, as this user."""
        door = self.door(self.rng.choice(self.scene.hosts))
        return await request(door, method, path, self.user.token, body)

    async def run(self):
        wait = 0.1
        while True:
            await self.user.present.wait()
            living = [h for h in self.scene.hosts if h.plain.port]
            if living:
                # At first a few on each, so that whatever host is hit has somebody.
                self.host = self.rng.choice(living) if self.conn else living[self.user.id % len(living)]
                self.conn, self.n = self.conn + 1, 0
                self.event("begin")
                try:
                    await self.connect()
                    wait = 0.1
                except Away as e:
                    wait = max(wait, e.seconds)
                except LOST:
                    pass
            await asyncio.sleep(self.rng.uniform(1, 1.5) * wait)
            wait = min(LONGEST_WAIT, wait * 2)

    async def connect(self):
        raise NotImplementedError

    async def hang_up(self):
        raise NotImplementedError

    def opened(self, link):
        self.link = link
        self.event("open")
        if not self.user.present.is_set():
            raise Away

    def closed(self, **how):
        """The first who knows says it: the one who hung up, or the one who reads."""
        if self.over < self.conn:
            self.over = self.conn
            self.event("close" if self.link else "failed", **how)
        self.link = None

    # --- sending ---

    async def talk(self):
        """Writes to somebody now and then, while the user is there."""
        while True:
            await asyncio.sleep(self.rng.expovariate(self.scene.rate))
            if self.user.present.is_set() and self.scene.talking and len(self.pending) < IN_FLIGHT:
                await self.write(self.somebody(), self.some_text())

    def somebody(self):
        groups = self.scene.groups_of(self.user)
        if groups and self.rng.random() < TO_GROUPS:
            return self.rng.choice(groups if self.rng.random() >= TO_OTHERS else self.scene.groups)
        return self.rng.choice([u for u in self.scene.users if u is not self.user])

    def some_text(self):
        r = self.rng.random()
        if r < 0.02:
            return "long \u2026 " + "0123456789abcdef" * self.rng.randrange(200, 700)
        return "short \"\\ \u00e4\U0001f600 "[: self.rng.randrange(6, 14)] + "x" * self.rng.randrange(0, 60)

    async def write(self, to, text):
        self.count += 1
        id_ = f"{self.name}-{self.count}"
        self.pending[id_] = to, f"{id_} {text}"
        await self.send(id_)

    async def send(self, id_):
        raise NotImplementedError

    async def send_again(self):
        """On a new connection: all that waits, in its order, and beside reading."""
        conn = self.conn
        for id_ in list(self.pending):
            if id_ in self.pending and conn == self.conn:
                await self.send(id_)
        await self.changes.send_again(conn)

    async def send_change(self, id_):
        raise NotImplementedError

    def sending(self, id_):
        to, content = self.pending[id_]
        group = None if to.to else to.number
        self.record("sent", conn=self.conn, id=id_, to=to.to, group=group, md5=digest(content))
        return to, content

    def acked(self, id_, data):
        self.record("acked", conn=self.conn, n=self.counted(), id=id_, message_id=data["message_id"],
                    duplicate=data["duplicate"], cursor=data.get("cursor"))
        if id_ in self.pending:
            self.changes.mine[data["message_id"]] = self.pending.pop(id_)[0].key

    async def later(self, id_):
        """After a temporary error."""
        await asyncio.sleep(self.rng.uniform(0.3, 1.3))
        if id_ in self.pending:
            with contextlib.suppress(*LOST):
                await self.send(id_)

    def refused(self, id_, code, conn=None):
        """For good, by the rules of groups."""
        self.record("refused", conn=conn or self.conn, n=self.counted(), id=id_, code=code)
        if not self.marks.refused(id_):
            self.pending.pop(id_, None)
            self.changes.refused(id_)

    # --- receiving ---

    def keep(self, message_id, place, is_deleted=False):
        self.latest[message_id] = max(self.latest.get(message_id, 0), place)
        if is_deleted:
            self.deleted.add(message_id)

    def take(self, message, via, cursor=None, asked=None):
        """A message as a history shows it."""
        number, sender, to = message["id"], message["sender_id"], message.get("receiver_id")
        if number in self.received:
            self.duplicates += 1
        self.received.add(number)
        self.conversations[self.where(message)] = message["conversation_id"]
        if sender != self.user.id:
            self.marks.has_arrived(message["conversation_id"], number)
        md5 = digest(message["content"])
        self.keep(number, number, message.get("deleted", False))
        self.record("received", conn=self.conn, n=self.counted(), message_id=number, sender=sender, to=to,
                    conversation=message["conversation_id"], md5=md5, via=via, cursor=cursor, asked=asked,
                    **state_of(message))

    def take_change(self, content, data):
        place, md5 = int(data["cursor"].split("-")[1]), digest(content)
        self.keep(data["message_id"], place, data["deleted"])
        self.record("changed", conn=self.conn, n=self.counted(), message_id=data["message_id"], place=place,
                    conversation=data["conversation_id"], md5=md5, **state_of(data))
        self.handled(data["cursor"])

    def take_group(self, kind, data):
        place = int(data["cursor"].split("-")[1])
        self.told.add(place)
        self.record("told", conn=self.conn, n=self.counted(), place=place, group=data["conversation_id"], ev=kind,
                    member=data.get("user_id"), role=data.get("role"), name=data.get("name"))
        self.handled(data["cursor"])

    def where(self, message):
        """The key of whom this user writes to there."""
        sender, to = message["sender_id"], message.get("receiver_id")
        return -message["conversation_id"] if not to else to if sender == self.user.id else sender

    def frame(self, frame):
        """Any frame from the server."""
        kind, data = frame.get("type"), frame.get("data", {})
        if kind == "message":
            self.take({**data, "id": data["message_id"], "content": frame["content"]}, "frame", data["cursor"])
            self.handled(data["cursor"])
        elif kind == "message_changed":
            self.take_change(frame["content"], data)
        elif kind == "ack":
            if "duplicate" in data:
                self.acked(frame["id"], data)
            else:
                self.changes.made(frame["id"], data["cursor"])
            self.handled(data["cursor"])
        elif kind == "receipt":
            self.marks.receipt(data)
        elif kind == "resumed":
            self.event("resumed", n=self.n + 1, recovered=data["recovered"], cursor=data["cursor"])
            self.resumed(data["cursor"])
        elif kind == "error":
            self.failed(frame, frame.get("id"), data)
        elif kind in ("conversation", "member"):
            self.take_group(kind, data)
        elif kind not in ("user_status", "ping", "pong"):
            self.error(f"what is this: {json.dumps(frame)[:200]}")

    def failed(self, frame, id_, data):
        if data.get("temporary") and id_ == "resume":
            self.scene.spawn(self.ask_again(self.conn))
        elif data.get("temporary") and id_ in self.changes.pending:
            self.scene.spawn(self.changes.later(id_))
        elif data.get("temporary") and id_:
            self.scene.spawn(self.later(id_))
        elif id_ and data.get("code") in REFUSALS:
            self.refused(id_, data["code"])
        else:
            self.changes.refused(id_)
            self.error(json.dumps(frame))

    def handled(self, cursor):
        self.cursor = cursor

    def resumed(self, cursor):
        self.cursor = cursor


class WebSocket(Device):
    path = "/ws"

    async def connect(self):
        plain, door = socket.socket(), self.door(self.host)
        uri, secure = door.websocket(f"{self.path}{self.query()}")
        ws, owned = None, False
        how = {"how": "server"}
        try:
            if self.kind == "slow":
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.setblocking(False)
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_connect(plain, ("127.0.0.1", door.port or 1)), GIVE_UP)
            owned = True
            slow = wsclient.READS_LITTLE if self.kind == "slow" else {"max_queue": 1000}
            with door.handshake() as done:
                ws = await wsclient.connect(
                    uri, sock=plain, open_timeout=GIVE_UP, ping_interval=None, max_size=None, close_timeout=1,
                    compression=None, headers={"Authorization": f"Bearer {self.user.token}"}, **secure, **slow)
                done(ws.transport)
            self.opened(ws)
            await self.first(ws)
            self.scene.spawn(self.send_again())
            while True:
                self.frame(json.loads(await ws.recv()))
                if self.kind == "slow" and self.rng.random() < 0.01:
                    await self.read_nothing()
        except wsclient.Refused as e:
            how = {"how": f"status {e.status}"}
            if e.status != 503:
                self.error(f"the handshake was answered with {e.status}")
            raise Away((k.lower(), v) for k, v in e.headers.items()) from None
        except wsclient.ConnectionClosed as e:
            how = {"how": f"code {e.rcvd.code if e.rcvd else 1006}"}
            if e.rcvd and e.rcvd.code not in (1000, 1001, 1012, 1013):
                self.error(f"closed with {e.rcvd}")
            raise
        finally:
            if ws:
                ws.transport.abort()
            elif owned:
                # A handshake that was given up leaves a transport that still watches the socket, and
                # closes it at its end. Closed here, its number would be another connection's next.
                with contextlib.suppress(OSError):
                    plain.shutdown(socket.SHUT_RDWR)
            else:
                plain.close()
            self.closed(**how)

    def query(self):
        return ""

    async def first(self, ws):
        pass

    async def read_nothing(self):
        """Somebody sends a lot meanwhile, so that it has to wait at the server."""
        others = [u for u in self.scene.users if u is not self.user and u.present.is_set()]
        if others and self.scene.talking:
            sender = self.rng.choice(others).devices[0]
            for _ in range(self.rng.choice((0, 0, 15, 30))):
                await sender.write(self.user, "much " + "0123456789abcdef" * 400)
        await asyncio.sleep(self.rng.uniform(1, 5))

    async def send(self, id_):
        to, content = self.sending(id_)
        if self.link:
            with contextlib.suppress(*LOST):
                await self.link.send(json.dumps({"type": "message", "id": id_, "content": content,
                                                 "data": to.names}))

    async def send_change(self, id_):
        if self.link:
            with contextlib.suppress(*LOST):
                await self.link.send(self.changes.asking(id_).frame(id_))

    async def hang_up(self):
        """Politely, or by vanishing."""
        ws = self.link
        if ws:
            if self.rng.random() < 0.7:
                with contextlib.suppress(*LOST):
                    await asyncio.wait_for(ws.close(), 1)
            ws.transport.abort()
            self.closed(how="client")


class QueryDevice(WebSocket):
    resume = "query"

    def query(self):
        return f"?cursor={self.cursor}" if self.cursor else ""


class FrameDevice(WebSocket):
    """What came before "resumed" was perhaps not all before it: the old cursor counts until then."""
    resume = "frame"
    waits = False

    async def first(self, ws):
        self.waits = self.cursor is not None
        if self.waits:
            await self.ask(ws)
        else:
            self.event("resumed", n=0, recovered=True)

    async def ask(self, ws):
        await ws.send(json.dumps({"type": "resume", "id": "resume", "data": {"cursor": self.cursor}}))

    async def ask_again(self, conn):
        """After a temporary error: the cursor has not moved."""
        await asyncio.sleep(self.rng.uniform(0.3, 1.2))
        if self.link and conn == self.conn:
            with contextlib.suppress(*LOST):
                await self.ask(self.link)

    def handled(self, cursor):
        if not self.waits:
            self.cursor = cursor

    def resumed(self, cursor):
        self.waits = False
        self.cursor = cursor


class HistoryDevice(WebSocket):
    """Per conversation it knows up to where it has everything; a live frame moves that only after the
    history of this connection was read."""

    def __init__(self, *how):
        super().__init__(*how)
        self.known = {}
        self.caught_up = set()
        self.live = {}
        self.acknowledged = set()
        self.reading = None

    async def first(self, ws):
        self.caught_up, self.live = set(), {}
        if self.reading:
            self.reading.cancel()
        self.reading = self.scene.spawn(self.catch_up(self.conn))

    def take(self, message, via, cursor=None, asked=None):
        super().take(message, via, cursor, asked)
        where, number = self.where(message), message["id"]
        self.live[where] = max(self.live.get(where, 0), number)
        if where in self.caught_up:
            self.known[where] = max(self.known.get(where, 0), number)

    def acked(self, id_, data):
        super().acked(id_, data)
        self.acknowledged.add(data["message_id"])

    async def catch_up(self, conn):
        for where in [*(u for u in self.scene.users if u is not self.user), *self.scene.groups]:
            more = True
            while more:
                if conn != self.conn or not self.link:
                    return
                try:
                    more = await self.read_page(where)
                except Away as e:
                    await asyncio.sleep(e.seconds + self.rng.uniform(0, 1))
                except LOST:
                    await asyncio.sleep(self.rng.uniform(0.2, 0.6))

    async def read_page(self, where):
        """Whether there may be another one."""
        door = self.door(self.rng.choice(self.scene.hosts))
        # 0 is refused. Message 1 was the first of all, and everybody was connected then.
        after, conn, asked = max(1, self.known.get(where.key, 0)), self.conn, self.scene.records.now()
        status, page = await request(door, "GET", f"{where.history}?after={after}&limit=100", self.user.token)
        if status == 404 and not where.to:
            self.record("denied", group=where.number, asked=asked)
            return False
        if status != 200:
            self.error(f"GET {where.history} answered {status} {page}")
            raise Away
        if conn != self.conn:
            raise Away
        for m in page:
            # What this device sent itself it knows from the acknowledgement.
            if m["id"] not in self.acknowledged:
                self.take(m, "history", asked=asked)
            self.known[where.key] = max(self.known.get(where.key, 0), m["id"])
        if len(page) < 100:
            self.caught_up.add(where.key)
            self.known[where.key] = max(self.known.get(where.key, 0), self.live.get(where.key, 0))
        return len(page) == 100


class EventsDevice(Device):
    """Without WebSocket: a stream to read, requests to write."""
    resume = "events"
    can_send_frames = False

    def __init__(self, *how):
        super().__init__(*how)
        self.posting = set()        # ids
        self.failing = False        # the last request was not served
        self.asking = asyncio.Lock()

    async def connect(self):
        writer = None
        how = {"how": "server"}
        try:
            path = f"/events?cursor={self.cursor}" if self.cursor else "/events"
            reader, writer = await asyncio.wait_for(self.door(self.host).open(limit=2**20), GIVE_UP)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                         f"Authorization: Bearer {self.user.token}\r\n\r\n".encode())
            status, fields = await asyncio.wait_for(read_head(reader), GIVE_UP)
            if status != 200:
                how = {"how": f"status {status}"}
                if status != 503:
                    self.error(f"GET /events answered {status}")
                raise Away(fields)
            self.opened(writer)
            await self.send_again()
            rest = b""
            while part := await read_chunk(reader):
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    if line.strip():
                        self.frame(json.loads(line))
            how = {"how": "end"}
        finally:
            if writer:
                writer.transport.abort()
            self.closed(**how)

    async def send(self, id_):
        if id_ not in self.posting:
            self.posting.add(id_)
            self.scene.spawn(self.post(id_, self.pending, self.try_to_post))

    async def send_change(self, id_):
        if id_ not in self.posting:
            self.posting.add(id_)
            self.scene.spawn(self.post(id_, self.changes.pending, self.try_to_change))

    async def post(self, id_, pending, attempt):
        """Until it is acknowledged, whatever becomes of the stream. After a failure one request at a
        time asks whether it works again."""
        while id_ in pending:
            if self.failing:
                async with self.asking:
                    if id_ in pending:
                        await asyncio.sleep(await attempt(id_))
            else:
                await asyncio.sleep(await attempt(id_))
        self.posting.discard(id_)

    async def try_to_post(self, id_):
        """Returns for how long to wait before the next attempt."""
        (to, content), conn = self.sending(id_), self.conn
        try:
            door = self.door(self.rng.choice(self.scene.hosts))
            path, body = to.posts
            status, answer = await request(door, "POST", path, self.user.token, {**body, "content": content},
                                           [f"Idempotency-Key: {id_}"])
        except (*LOST, Away) as e:
            self.failing = True
            return getattr(e, "seconds", 0.3) + self.rng.uniform(0, 1)
        self.failing = False
        if not to.to and status in MESSAGE_REFUSED:
            self.refused(id_, MESSAGE_REFUSED[status], conn)
            return 0
        if status not in (200, 201):
            self.error(f"POST /messages answered {status} {answer}")
            return self.rng.uniform(0.3, 1.3) if status in (401, 500) else math.inf
        if answer["duplicate"] != (status == 200):
            self.error(f"POST /messages: {status} with {answer}")
        self.acked(id_, answer)
        return 0

    async def try_to_change(self, id_):
        change = self.changes.asking(id_)
        try:
            status, answer = await self.call(*change.request())
        except (*LOST, Away) as e:
            self.failing = True
            return getattr(e, "seconds", 0.3) + self.rng.uniform(0, 1)
        self.failing = False
        if status in (200, 204):
            self.changes.made(id_)
            return 0
        if status in CHANGE_REFUSED:
            self.refused(id_, CHANGE_REFUSED[status], change.conn)
            return 0
        self.error(f"a change of a message was answered with {status} {answer}")
        self.changes.refused(id_)
        return 0

    async def hang_up(self):
        if self.link:
            self.link.transport.abort()
            self.closed(how="client")


def make_device(user, kind, kinds, rng, tls):
    classes = {"query": QueryDevice, "frame": FrameDevice, "events": EventsDevice, "history": HistoryDevice,
               "slow": QueryDevice if "query" in kinds else HistoryDevice}
    return classes[kind](user, kind, rng, tls)
