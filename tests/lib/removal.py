"""A host "held" with alice and dave, and "judge", which removes it, with bob and carol."""
from chat import *
import contextlib
import signal

LIB = os.path.dirname(os.path.abspath(__file__))


def host_of(who):
    return int(sql(f"select max(host_id) from sessions where user_id = {who.id}") or 0)


def server_start(name, *options):
    """As in server.bash. It does not get the pipes of this program."""
    subprocess.run(["bash", "-c", "BATS_TEST_DIRNAME=$0; . \"$0/lib/server.bash\"; server_start \"$@\"", os.path.dirname(LIB), name,
                    *options], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class Scene:
    def __init__(self, lease):
        options = ["-o", "presence=contacts", "-o"]
        server_start("held", *options, f"presence_lease={lease}")
        self.alice, self.bob, self.carol, self.dave = (user(instance="held") for _ in range(4))
        self.a, self.d = connect(self.alice.token, "held"), connect(self.dave.token, "held")
        # Contacts, and a position that all of this host are at.
        sql(f"insert into messages (sender_id, receiver_id, content) select u, {self.alice.id}, 'first' from "
            f"unnest(array[{self.bob.id}, {self.carol.id}, {self.dave.id}]::bigint[]) u")
        assert [self.a.until("message")["content"] for _ in range(3)] == ["first"] * 3
        self.d.until("message")
        self.host = host_of(self.alice)
        self.pid = int(sql(f"select backend from hosts where id = {self.host}"))
        self.options = options

    @contextlib.contextmanager
    def stopped(self):
        """The server process behind the listening connection of "held"."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)

    def missed(self):
        """The others remove "held", carol comes, bob writes. And the one who has removed it hangs, so that
        it does not do so again."""
        server_start("judge", *self.options, "presence_lease=2s")
        c = connect(self.carol.token, "judge")
        eventually(lambda: sql(f"select count(*) from hosts where id = {self.host}") == "0")
        assert host_of(self.alice) == 0
        b = connect(self.bob.token, "judge")
        for n in range(5):
            b.message(self.alice.id, f"missed {n}", f"m-{n}")
            b.until("ack")
        [self.judge] = children("broker", "judge")
        os.kill(self.judge, signal.SIGSTOP)
        self.others = b, c

    def write(self, client, to, text):
        """As a careful client does: again after a temporary error."""
        while True:
            client.message(to.id, text, text)
            while (f := client.recv()).get("id") != text:
                pass
            if f["type"] == "ack":
                assert f["data"]["duplicate"] is False, f
                return
            assert f["type"] == "error" and f["data"]["temporary"], f

    def made_up_for(self, first):
        """Alice gets all of it. It was found out by one of these statements."""
        texts, online = [], set()
        while len(texts) < 5 or len(online) < 2:
            f = self.a.recv()
            if f["type"] == "message":
                texts.append(f["content"])
            elif f["type"] == "user_status" and f["data"]["online"]:
                online.add(f["data"]["user_id"])
        assert texts == [f"missed {n}" for n in range(5)], texts
        assert online == {self.bob.id, self.carol.id}
        self.write(self.d, self.alice, "after")
        assert self.a.until("message")["content"] == "after"
        assert host_of(self.alice) > self.host and host_of(self.dave) > self.host
        with open(f"{T}/held.log") as log:
            [found, *_] = [line for line in log if f"host {self.host} is not attached" in line]
        assert any(f"{name}: " in found for name in first), found

    def end(self):
        os.kill(self.judge, signal.SIGCONT)
