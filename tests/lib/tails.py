"""chat(1) as it follows a user, and a way to the server that loses answers.

    with Tail(bob.token, "--json") as t:        # chat tail --json, with a folder of its own for its state
        t.frame("message")                      # the next frame of this type
        t.until(r".*: Hello!")                  # the next line that this matches as a whole
        t.noted("trying again")                 # it has said so on standard error
        t.stop()                                # by SIGTERM, which it must end well on

    way = Way(port)                             # way.url leads to that port
    way.lose_next()                             # the next answer to a message does not come through
"""
import hashlib
import re
import selectors

from server import *

CHAT = sys.argv[1]


class Tail:
    def __init__(self, token, *args, server=None, out=None):
        """out: where its lines go, if nobody reads them."""
        self.state = f"{T}/tail.{hashlib.sha256(token.encode()).hexdigest()[:12]}"
        self.raw = b""
        self.errors = f"{self.state}.log"
        self.left = b""
        environment = {**os.environ, "XDG_STATE_HOME": self.state, "CHATD_TOKEN": token}
        with open(self.errors, "wb") as log:
            self.process = subprocess.Popen(
                [CHAT, *(["-s", server] if server else []), "tail", *args], env=environment,
                stdout=out or subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            sys.stderr.write(self.said())
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def said(self):
        with open(self.errors, errors="replace") as f:
            return f.read()

    def noted(self, text):
        eventually(lambda: text in self.said())

    def next(self):
        """The next line, without its end."""
        while b"\n" not in self.left:
            assert select.select([self.process.stdout], [], [], WAIT)[0], "no line came"
            part = os.read(self.process.stdout.fileno(), 65536)
            assert part, f"it has ended: {self.said()}"
            self.raw += part
            self.left += part
        line, self.left = self.left.split(b"\n", 1)
        return line.decode()

    def until(self, pattern):
        seen = []
        while not seen or not re.fullmatch(pattern, seen[-1]):
            try:
                seen.append(self.next())
            except AssertionError as e:
                raise AssertionError(f"{pattern!r} is not among {seen}") from e
        return seen[-1]

    def frame(self, type_):
        while True:
            frame = json.loads(self.next())
            if frame["type"] == type_:
                return frame

    def cursor_file(self):
        names = [n for n in os.listdir(f"{self.state}/chatd") if n.startswith("cursor-")]
        # Beside one that was killed while it wrote lies what it had not renamed yet.
        [name] = [n for n in names if not any(n.startswith(f"{other}.") for other in names)]
        return f"{self.state}/chatd/{name}"

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        assert self.process.wait(WAIT) == 0, self.said()

    def kill(self):
        self.process.kill()
        self.process.wait()


class Way:
    """Carries bytes between whoever connects and the port."""

    def __init__(self, number):
        self.number = number
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.lost = 0
        self.losing = threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def lose_next(self):
        self.losing.set()

    def serve(self):
        while True:
            threading.Thread(target=self.lead, args=self.listener.accept()[:1], daemon=True).start()

    def lead(self, client):
        with contextlib.suppress(OSError), client:
            with socket.create_connection(("127.0.0.1", self.number)) as server:
                self.carry(client, server)

    def carry(self, client, server):
        """Until either side closes, or the answer to a message is lost."""
        asked = b""
        with selectors.DefaultSelector() as both:
            both.register(client, selectors.EVENT_READ, server)
            both.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in both.select():
                    part = key.fileobj.recv(65536)
                    if key.fileobj is client and re.match(rb"[A-Z]+ /", part):
                        asked = part
                    is_answer = key.fileobj is server and re.match(rb"POST /\S*messages ", asked)
                    if is_answer and part and self.losing.is_set():
                        self.losing.clear()
                        self.lost += 1
                        return
                    if not part:
                        return
                    key.data.sendall(part)
