"""Whether a server does what all of them have to do: who does less is not measured. Each promise that
the table's figures rest on is tried once, as a client sees it."""
import asyncio
import json
import sys

from scene import ROOT, Failed, read_users

sys.path.insert(0, f"{ROOT}/tests/lib")
import wsclient  # noqa: E402

SECONDS = 20


def expect(what, *conditions):
    if not all(conditions):
        raise Failed(f"it does not do the same: {what}")


class Client:
    """A user's WebSocket. What is not asked for stays in "seen"."""

    def __init__(self, server, user):
        self.server, (self.id, self.name, _, self.token) = server, user
        self.seen = []

    async def open(self):
        self.ws = await wsclient.connect(f"ws://127.0.0.1:{self.server.port}/ws",
                                         headers={"Authorization": f"Bearer {self.token}"})
        return self

    async def send(self, content, id=None, **data):
        await self.ws.send(json.dumps({"type": "message", "content": content, "data": data}
                                      | ({"id": id} if id else {})))

    async def next(self, kind, where=lambda frame: True):
        """The next frame of that kind; those before it of another kind stay for later."""
        for frame in self.seen:
            if frame["type"] == kind and where(frame):
                self.seen.remove(frame)
                return frame
        while True:
            try:
                frame = json.loads(await asyncio.wait_for(self.ws.recv(), SECONDS))
            except asyncio.TimeoutError:
                raise Failed(f"no {kind} came to {self.id}; before it came {self.seen}") from None
            if frame["type"] == kind and where(frame):
                return frame
            self.seen.append(frame)

    def get(self, path):
        status, answer = self.server.request("GET", path, self.token)
        expect(f"GET {path}: {status} {answer}", status == 200)
        return answer


async def presence(a, b):
    await a.open()
    await b.open()
    arrived = await a.next("user_status", lambda f: f["data"]["user_id"] == b.id)
    expect(f"presence is announced: {arrived}", arrived["data"]["online"] is True)
    online = {u["id"] for u in a.get("/users") if u["online"]}
    expect(f"who is online: {online}", online == {a.id, b.id})


async def messages(a, b):
    """Acknowledged, delivered, in order, and once for each id."""
    await a.send("one", "id-1", receiver_id=b.id)
    ack, came = await a.next("ack"), await b.next("message")
    expect(f"an ack: {ack}", ack["id"] == "id-1", ack["data"]["duplicate"] is False)
    expect(f"a message: {came}", came["content"] == "one", came["data"]["sender_id"] == a.id,
           came["data"]["sender"] == a.name, came["data"]["receiver_id"] == b.id,
           came["data"]["message_id"] == ack["data"]["message_id"])
    await a.send("one", "id-1", receiver_id=b.id)
    again = await a.next("ack")
    expect(f"a repeated id: {again}", again["data"]["duplicate"] is True,
           again["data"]["message_id"] == ack["data"]["message_id"])
    await a.send("other", "id-1", receiver_id=b.id)
    error = await a.next("error")
    expect(f"an id for another message: {error}", error["data"]["code"] == "conflict")
    await a.send("to nobody", "id-2", receiver_id=2**40)
    error = await a.next("error")
    expect(f"an unknown receiver: {error}", error["data"]["code"] == "unknown_receiver", error["id"] == "id-2")
    for n in range(60):
        await a.send(f"number {n}", f"n-{n}", receiver_id=b.id)
    for _ in range(60):
        await a.next("ack")
    numbers = [(await b.next("message"))["content"] for _ in range(60)]
    expect(f"order: {numbers}", sorted(numbers) == sorted(f"number {n}" for n in range(60)),
           not a.server.in_order or numbers == [f"number {n}" for n in range(60)])


def stored(a, b):
    """History, list and what is unread."""
    history = a.get(f"/messages/{b.id}")
    ids = [m["id"] for m in history]
    expect(f"history: {ids}", len(ids) == 50, ids == sorted(ids),
           {"id", "sender_id", "receiver_id", "content", "created_at"} <= history[0].keys())
    [one] = b.get("/conversations")["conversations"]
    expect(f"the list: {one}", one["unread"] == 61, one["last_message"]["id"] == ids[-1], one["peer"]["id"] == a.id)
    status, answer = b.server.request("PUT", f"/conversations/{one['id']}/read", b.token, {"message_id": ids[-1]})
    expect(f"PUT read: {status} {answer}", status == 204)
    [one] = b.get("/conversations")["conversations"]
    expect(f"what was read: {one}", one["unread"] == 0, one["read_upto"] == ids[-1])
    expect("rows in the table", a.server.rows() == 61)


async def group(a, b, stranger):
    status, made = a.server.request("POST", "/conversations", a.token, {"name": "Team", "members": [b.id]})
    expect(f"a group: {status} {made}", status == 201, made["kind"] == "group", made["name"] == "Team")
    await a.send("all", "g-1", conversation_id=made["id"])
    came = await b.next("message")
    expect(f"a message to a group: {came}", came["content"] == "all", came["data"]["conversation_id"] == made["id"])
    expect("its ack", (await a.next("ack"))["id"] == "g-1")
    await stranger.open()
    await stranger.send("let me in", "s-1", conversation_id=made["id"])
    error = await stranger.next("error")
    expect(f"a stranger: {error}", error["data"]["code"] == "unknown_conversation")
    await stranger.ws.close()
    members = {m["user_id"] for m in a.get(f"/conversations/{made['id']}/members")}
    expect(f"members: {members}", members == {a.id, b.id})
    listed = {c["id"]: c for c in b.get("/conversations")["conversations"]}
    expect(f"a group in the list: {listed}", listed[made["id"]]["unread"] == 1)


async def check(server):
    a, b, stranger = (Client(server, user) for user in read_users(server.register(3)))
    expect("a token is needed", server.request("GET", "/users")[0] == 401)
    status, answer = server.request("POST", "/login", body={"username": a.name, "password": "wrong"})
    expect(f"a wrong password: {status} {answer}", status == 401)
    await presence(a, b)
    await messages(a, b)
    stored(a, b)
    await group(a, b, stranger)
    await b.ws.close()
    left = await a.next("user_status", lambda f: f["data"]["user_id"] == b.id)
    expect(f"presence at the end: {left}", left["data"]["online"] is False)
    await a.ws.close()


def same(bench):
    """No figures: it fails, or not."""
    with bench.started() as systems:
        for name, server in systems.items():
            try:
                asyncio.run(check(server))
            except (Failed, wsclient.ConnectionClosed) as e:
                raise Failed(f"{name}: {type(e).__name__}: {e}") from None
