"""Clients that write, read and ask while hosts come and go, and that try again as clients should.

    rolling.py CERTIFICATE PAIRS

Each pair has a user who sends over a WebSocket, with a few messages under way, one who reads from the
cursor of what came last, and one who asks by HTTP on a connection that is kept. What was not
acknowledged is sent again under its id; a request without an answer, or with a temporary error, is
repeated. Anything else fails. Lines on standard input say what to wait for:

    more    until each of them has got so much more done; then it prints "more"
    end P   all stop; what is stored (in the database at P, PGHOST), acknowledged and received is
            compared; it prints what it took
"""
import collections
import ssl

from chat import *

MORE_MESSAGES, MORE_REQUESTS, UNDER_WAY = 40, 15, 4
AGAIN_S = 0.05
TRUST = ssl.create_default_context(cafile=sys.argv[1])
counted = collections.Counter()
lock = threading.Lock()


def count(what):
    with lock:
        counted[what] += 1


class Member(threading.Thread):
    """One user; done counts what went well. What goes wrong ends it, and then all."""

    def __init__(self):
        super().__init__(daemon=True)
        self.way = Way()
        self.user = User(self.way.register())
        self.done, self.stopping, self.trouble = 0, False, None

    def run(self):
        try:
            self.live()
        except BaseException as e:
            self.trouble = e

    def more(self, least):
        """Waits until so much more is done."""
        goal = self.done + least
        eventually(lambda: self.trouble or self.done >= goal, 60)
        if self.trouble:
            raise self.trouble

    def stop(self):
        self.stopping = True
        self.join(60)
        assert not self.is_alive() and not self.trouble, self.trouble

    def enter(self, path):
        while True:
            try:
                return connect(self.user.token, "haproxy", path=path, ssl=TRUST)
            except Refused as e:
                assert e.status == 503, e
            except (OSError, EOFError, wsclient.WebSocketException, asyncio.TimeoutError) as e:
                count(f"connect: {type(e).__name__}")
            time.sleep(AGAIN_S)


class Way:
    """Requests of one user on a connection that is made anew when it ends."""

    def __init__(self):
        self.connection = None

    def once(self, method, path, body, head):
        if not self.connection:
            self.connection = http.client.HTTPSConnection("127.0.0.1", port("haproxy"), timeout=WAIT, context=TRUST)
        self.connection.request(method, path, body and json.dumps(body), head)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def ask(self, method, path, body=None, token=None, key=None):
        head = {k: v for k, v in (("Authorization", token and f"Bearer {token}"), ("Idempotency-Key", key),
                                  ("Content-Type", body and "application/json")) if v}
        while True:
            try:
                status, answer = self.once(method, path, body, head)
                if status != 503:
                    assert status in (200, 201), (method, path, status, answer)
                    return answer
                count("request: 503")
            except (OSError, http.client.HTTPException) as e:
                count(f"request: {type(e).__name__}")
                self.connection.close()
                self.connection = None
            time.sleep(AGAIN_S)

    def register(self):
        name = f"u{random.randrange(16**12):012x}"
        return self.ask("POST", "/register", {"username": name, "password": password(), "email": f"{name}@example.com"})


class Sender(Member):
    def __init__(self, receiver):
        super().__init__()
        self.receiver, self.next, self.waiting, self.acked = receiver.user.id, 0, {}, {}

    def live(self):
        while not self.stopping or self.waiting:
            ws = self.enter("/ws")
            try:
                for id_ in self.waiting:
                    ws.message(self.receiver, id_, id_)
                self.talk(ws)
                ws.close()
            except wsclient.ConnectionClosed as e:
                count(f"sender closed: {e.rcvd.code if e.rcvd else None}")

    def talk(self, ws):
        while True:
            while not self.stopping and len(self.waiting) < UNDER_WAY:
                self.next += 1
                id_ = f"m-{self.next}"
                self.waiting[id_] = True
                ws.message(self.receiver, id_, id_)
            if not self.waiting:
                return
            self.take(ws, ws.recv())

    def take(self, ws, frame):
        if frame["type"] == "ack":
            del self.waiting[frame["id"]]
            self.acked[frame["id"]] = frame["data"]["message_id"]
            self.done += 1
        elif frame["type"] == "error":
            assert frame["data"]["temporary"], frame
            count("message: temporary")
            time.sleep(AGAIN_S)
            ws.message(self.receiver, frame["id"], frame["id"])


class Receiver(Member):
    def __init__(self):
        super().__init__()
        self.cursor, self.got, self.texts = "", [], []

    def live(self):
        while True:
            ws = self.enter(f"/ws?cursor={self.cursor}")
            try:
                while not self.stopping:
                    self.take(ws.recv(60))
                return
            except wsclient.ConnectionClosed as e:
                count(f"receiver closed: {e.rcvd.code if e.rcvd else None}")

    def take(self, frame):
        data = frame["data"]
        assert frame["type"] != "error" and data.get("recovered", True), frame
        self.cursor = data.get("cursor", self.cursor)
        if frame["type"] == "message":
            assert not self.got or data["message_id"] > self.got[-1], (frame, self.got[-1])
            self.got.append(data["message_id"])
            self.texts.append(frame["content"])
            self.done += 1


class Asker(Member):
    def __init__(self, receiver):
        super().__init__()
        self.receiver, self.acked = receiver.user.id, {}

    def live(self):
        while not self.stopping:
            key = f"h-{len(self.acked)}"
            answer = self.way.ask("POST", "/messages", {"receiver_id": self.receiver, "content": key}, self.user.token, key)
            self.acked[key] = answer["message_id"]
            self.way.ask("GET", "/users", token=self.user.token)
            last = self.way.ask("GET", f"/messages/{self.receiver}", token=self.user.token)[-1]
            assert last["id"] == answer["message_id"] and last["content"] == key, (last, answer)
            self.done += 3


def compare(receiver, senders):
    """All that was acknowledged is stored once and has come, in order; and nothing else."""
    acked = {i: text for s in senders for text, i in s.acked.items()}
    eventually(lambda: receiver.trouble or len(receiver.got) >= len(acked), 60)
    rows = sql(f"select id, client_id from messages where receiver_id = {receiver.user.id} order by id").splitlines()
    stored = {int(i): text for i, text in (r.split("|") for r in rows)}
    assert stored == acked, set(stored.items()) ^ set(acked.items())
    assert dict(zip(receiver.got, receiver.texts)) == acked and len(receiver.got) == len(acked)
    return len(acked)


def main():
    groups = []
    for _ in range(int(sys.argv[2])):
        receiver = Receiver()
        groups.append((receiver, [Sender(receiver), Asker(receiver)]))
    everybody = [m for receiver, senders in groups for m in (receiver, *senders)]
    for receiver, _ in groups:
        receiver.start()
    eventually(lambda: all(r.cursor or r.trouble for r, _ in groups))
    for member in everybody:
        if not member.is_alive():
            member.start()
    for line in sys.stdin:
        if line.startswith("end "):
            os.environ["PGHOST"] = line.split()[1]
            break
        for member in everybody:
            member.more(MORE_REQUESTS if isinstance(member, Asker) else MORE_MESSAGES)
        print("more", flush=True)
    for _, senders in groups:
        for sender in senders:
            sender.stop()
    stored = sum(compare(receiver, senders) for receiver, senders in groups)
    assert not any(m.trouble for m in everybody), [m.trouble for m in everybody]
    print(f"{stored} messages; {dict(sorted(counted.items()))}", flush=True)


main()
