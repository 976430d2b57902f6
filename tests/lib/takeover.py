"""A server that is updated while it runs: its executables are copies in a folder of its own.

    with Service("-o", "min_spare=1") as s:
        s.update()                  # other files with the names of the executables
        new = s.take_over()         # SIGUSR2; the new master's pid, which s.children() are then of
        s.first.ended()             # the one that began
"""
import shutil

from server import *

PROGRAMS = "chatd", "chatd-broker", "chatd-auth", "chatd-signer", "chatd-exporter"


def left_by(*masters):
    """What is in a run_dir of these masters."""
    return sorted(["lock", *(f"{kind}.{pid}" for pid in masters for kind in ("control", "tree"))])


class Service(Server):
    def __init__(self, *more, relative=False, **how):
        """relative: started by a path from the working directory."""
        self.folder = f"{T}/{some_name('installed')}"
        os.mkdir(self.folder)
        self.update()
        self.master = None
        self.successors = []
        path = f"{self.folder}/chatd"
        super().__init__(*more, chatd=os.path.relpath(path, how["cwd"]) if relative else path, **how)
        self.master = self.pid

    def update(self):
        """As install does it: what runs keeps the old file."""
        for name in PROGRAMS:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.folder}/{name}")
            shutil.copy(f"{BUILD}/{name}", f"{self.folder}/{name}")

    def replace(self, text):
        """By a shell script."""
        os.unlink(f"{self.folder}/chatd")
        with open(f"{self.folder}/chatd", "w") as f:
            os.fchmod(f.fileno(), 0o755)
            f.write(f"#!/bin/sh\n{text}\n")

    def started(self):
        """The pids of those that were started to take over."""
        return [int(line.split("chatd[")[1].split("]")[0]) for line in self.log().splitlines()
                if " to take over" in line]

    def ask(self):
        """SIGUSR2, and the pid of the process that is started then."""
        before = len(self.started())
        os.kill(self.master, signal.SIGUSR2)
        eventually(lambda: len(self.started()) > before)
        self.successors.append(self.started()[-1])
        return self.successors[-1]

    def take_over(self):
        pid = self.ask()
        self.logged(f"chatd[{pid}] has taken over; ", 40)
        self.master = pid
        with open(f"{T}/{self.name}.next.pid", "w") as f:
            f.write(f"{pid}\n")
        os.rename(f"{T}/{self.name}.next.pid", f"{T}/{self.name}.pid")
        return pid

    def stays(self, pid):
        """Waits until a takeover by this process has failed."""
        self.logged(f"chatd[{pid}] ", 40)
        eventually(lambda: any(f"chatd[{pid}] {word}" in self.log() and "before it took over" in self.log()
                               for word in ("exited", "was killed")), 40)
        all_gone([pid])
        assert alive(self.master) and parents()[self.master][1] == "chatd: master"

    def run_dir(self):
        return sorted(os.listdir(f"{T}/{self.name}.run"))

    def tree(self):
        found = super().tree()
        for pid in self.successors:
            found.update({pid: "", **tree(pid)} if alive(pid) else {})
        self.known |= set(found)
        return found

    def __exit__(self, *how):
        self.tree()
        for pid in self.successors:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        super().__exit__(*how)
        shutil.rmtree(self.folder)


class Visitors:
    """Somebody comes all the time, over TCP, and is served; any refusal or reset is an error."""

    def __init__(self, service, token):
        self.request = f"GET /users HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        self.port = port(service.name)
        self.served, self.leave, self.error = 0, False, None
        self.thread = threading.Thread(target=self.visit)

    def visit(self):
        try:
            while not self.leave:
                with socket.create_connection(("127.0.0.1", self.port), WAIT) as s:
                    s.sendall(self.request)
                    answer = b""
                    while part := s.recv(65536):
                        answer += part
                assert answer.startswith(b"HTTP/1.1 200 "), answer
                self.served += 1
        except Exception as e:
            self.error = e

    def __enter__(self):
        self.thread.start()
        self.more()
        return self

    def more(self):
        """Waits until a few more have come."""
        enough = self.served + 5
        eventually(lambda: self.error or self.served >= enough)
        assert not self.error, self.error

    def __exit__(self, *_):
        self.leave = True
        self.thread.join(WAIT)
        assert not self.error, self.error


def belongs(pid, master):
    return parents()[pid][0] == master


def says(a, b, receiver, text):
    """a's message reaches b."""
    a.message(receiver.id, text, "c-" + text)
    got = b.until("message")
    assert got["content"] == text, got
    assert a.until("ack")["id"] == "c-" + text
