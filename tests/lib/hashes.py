"""A chatd with one auth worker that can be held, and what it is asked for meanwhile.

    with Hashes("-o", "auth_queue=8") as h:
        alice = h.member("203.0.113.1", "alice")
        with h.held():
            c = h.register("192.0.2.1", "a")        # waits for the worker when this returns
            d = h.login("203.0.113.1", alice, "alice")
        answers(201, c)
        h.hashed()                                  # ["alice", "a", "alice"]

The label of a request is its password, so that it tells in which order they are hashed.
"""
from crypts import *
from impersonate import *
from proxied import *


def word(label):
    return label.ljust(12, "_")


class Hashes(Server):
    def __init__(self, *more):
        self.crypts = Crypts()
        self.labels = set()
        super().__init__("-o", "trusted_proxies=127.0.0.1", "-o", "proxy_protocol=on", "-o", "login_delay=0",
                         *more, env=self.crypts.environment)

    def hashed(self):
        return [p.rstrip("_") for p in self.crypts.phrases() if p.rstrip("_") in self.labels]

    def asked(self):
        return self.log().count(" wait for an auth worker")

    @contextlib.contextmanager
    def held(self):
        """The worker takes nothing. The next to ask is with it; those after that wait."""
        [auth] = self.children("auth")
        os.kill(auth, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(auth, signal.SIGCONT)

    @contextlib.contextmanager
    def waiting(self, count=1):
        """What is asked in the block, so many requests, waits for the worker at its end."""
        before = self.asked()
        yield
        eventually(lambda: self.asked() >= before + count)

    def send(self, address, path, body, label, token=None):
        self.labels.add(label)
        data = json.dumps(body)
        fields = {"Content-Type": "application/json", "Content-Length": len(data)}
        return via(address, self.name).send(head("POST", path, fields, token), data)

    def send_registration(self, address, label):
        name = some_name()
        body = {"username": name, "password": word(label), "email": f"{name}@example.com"}
        return self.send(address, "/register", body, label)

    def registrations(self, address, *labels):
        """Of all of them, in any order."""
        with self.waiting(len(labels)):
            return [self.send_registration(address, label) for label in labels]

    def register(self, address, label):
        return self.registrations(address, label)[0]

    def send_login(self, address, who, label):
        return self.send(address, "/login", {"username": who.name, "password": word(label)}, label)

    def login(self, address, who, label):
        with self.waiting():
            return self.send_login(address, who, label)

    def password(self, address, who, label, new):
        self.labels.add(new)
        body = {"password": word(label), "new_password": word(new)}
        with self.waiting():
            return self.send(address, "/password", body, label, who.token)

    def member(self, address, label):
        """A new user, who has this password and is known there."""
        c = self.register(address, label)
        r = c.answer("POST")
        c.close()
        assert r.status == 201, r.body
        return User(r.json())


def answers(status, *clients):
    for c in clients:
        r = c.answer("POST")
        assert r.status == status, (r.status, r.body)
        c.close()


def refused(client):
    """It gets 503, and when to come again."""
    r = client.answer("POST").error(503, "overloaded")
    assert int(r.headers["retry-after"]) > 0
    client.close()
