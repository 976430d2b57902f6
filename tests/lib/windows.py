"""The window of chat(1) in a real terminal, tmux.

    with Window(bob.token, alice.name, columns=40) as w:    # chat alice
        w.shows(r"alice.*online")                           # waits until the screen has this
        w.press("Tab", "Enter")
        w.type("Hello!")
        w.enter("Hello!")                                   # the same, and Enter
        w.resize(80, 24)
        assert w.ended() == 0                               # waits; the exit status
"""
import re
import shlex

from server import *

CHAT = sys.argv[1]


class Window:
    def __init__(self, token, *args, columns=80, rows=20, server=None, env=None, command=None):
        self.place = f"{T}/{some_name('w')}"
        os.mkdir(self.place)
        self.server = server or f"http://127.0.0.1:{port()}"
        settings = {"CHATD_TOKEN": token, "CHATD_SERVER": self.server, "XDG_STATE_HOME": self.place,
                    "TZ": "UTC", **(env or {})}
        self.prepare(settings, command or shlex.join([CHAT, *args]))
        self.tmux("new-session", "-d", "-s", "w", "-x", str(columns), "-y", str(rows), "sh", f"{self.place}/run")
        # All that the program writes, from its beginning.
        self.tmux("pipe-pane", "-t", "w", f"cat >{self.place}/raw")
        self.tmux("wait-for", "-S", "go")

    def prepare(self, settings, command):
        with open(f"{self.place}/run", "w") as f:
            f.write("unset NO_COLOR\n")
            f.writelines(f"export {k}={shlex.quote(v)}\n" for k, v in settings.items())
            f.write(f"cd {self.place}; trap : INT QUIT; tmux wait-for go; echo before; stty -a >modes\n"
                    f"sh -c {shlex.quote('echo $$ >pid; exec ' + command)}; echo $? >status.new; mv status.new status\n"
                    "stty -a >modes.after; echo after; exec sleep 1000\n")
        os.chmod(f"{self.place}/run", 0o600)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            sys.stderr.write(f"the screen is:\n{self.screen()}\n")
        if not self.has("status"):
            self.kill(signal.SIGKILL)
        self.tmux("kill-server")

    def tmux(self, *args):
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        env.pop("TMUX", None)
        return subprocess.run(["tmux", "-u", "-S", f"{self.place}/tmux", "-f", "/dev/null", *args],
                              check=True, capture_output=True, text=True, env=env, timeout=WAIT).stdout

    def has(self, name):
        return os.path.exists(f"{self.place}/{name}")

    def read(self, name):
        with open(f"{self.place}/{name}", errors="replace") as f:
            return f.read()

    def screen(self):
        return self.tmux("capture-pane", "-p", "-t", "w")

    def shows(self, pattern):
        """Waits until the screen has it; gives the match."""
        found = []
        eventually(lambda: found.append(re.search(pattern, self.screen())) or found[-1])
        return found[-1]

    def hides(self, pattern):
        eventually(lambda: not re.search(pattern, self.screen()))

    def press(self, *keys):
        self.tmux("send-keys", "-t", "w", *keys)

    def type(self, text):
        self.tmux("send-keys", "-t", "w", "-l", text)

    def enter(self, text):
        self.type(text)
        self.press("Enter")

    def paste(self, text):
        """As a terminal does that marks what is pasted, for a program that asks for that."""
        path = f"{self.place}/pasted"
        with open(path, "w") as f:
            f.write(text)
        self.tmux("load-buffer", path)
        self.tmux("paste-buffer", "-p", "-r", "-t", "w")

    def resize(self, columns, rows):
        self.tmux("resize-window", "-t", "w", "-x", str(columns), "-y", str(rows))

    def cursor(self):
        return int(self.tmux("display-message", "-p", "-t", "w", "#{cursor_x}"))

    def cursor_at(self, column):
        eventually(lambda: self.cursor() == column)

    def pid(self):
        eventually(lambda: self.has("pid") and self.read("pid").strip())
        return int(self.read("pid"))

    def kill(self, number):
        os.kill(self.pid(), number)

    def ended(self):
        eventually(lambda: self.has("status"))
        return int(self.read("status"))

    def is_as_before(self):
        """The terminal has its modes again, and shows what was there before the window."""
        eventually(lambda: re.search("^after$", self.screen(), re.M))
        assert self.read("modes") == self.read("modes.after"), self.read("modes.after")
        assert re.match("before\n", self.screen()), self.screen()
        state = self.tmux("display-message", "-p", "-t", "w", "#{alternate_on} #{cursor_flag} #{keypad_flag}")
        assert state.split() == ["0", "1", "0"], state


def people(*names):
    """Users whose names begin so, and are nobody else's."""
    return [user(f"{n}{random.randrange(16**6):06x}") for n in names]


def direct(one, other):
    """The path of their conversation."""
    status, answer = api("POST", "/conversations", {"user_id": other.id}, one.token)
    assert status in (200, 201), answer
    return f"/conversations/{answer['id']}"


def say(sender, place, text, **more):
    """Stores a message; its id."""
    status, answer = api("POST", f"{place}/messages", {"content": text, **more}, sender.token)
    assert status == 201, answer
    return answer["message_id"]


def stored(place, by):
    """The last messages of a conversation, oldest first."""
    return api("GET", f"{place}/messages?limit=100", token=by.token)[1]
