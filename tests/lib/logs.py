"""The log as programs read it.

    read_lines("json", text)    # a dictionary for each line; anything that is not one fails
    journal = Journal()         # in the place of systemd-journald, at journal.path
    journal.lines()             # the same of what has arrived; journal.fields: as it came
    log_of(pid)                 # the descriptor that a session logs to
"""
import ctypes
import json
import re

from server import *

KEYS = ["time", "level", "process", "pid", "session", "user", "client", "msg"]
_PAIR = re.compile(r'([a-z]+)=([-A-Za-z0-9_.:@/+\[\]]+|"(?:[^"\\\x00-\x1f]|\\["\\nrt]|\\u[0-9a-f]{4})*")( |$)')


def _logfmt(line):
    pairs, at = [], 0
    while at < len(line):
        m = _PAIR.match(line, at)
        assert m, (line, at)
        value = json.loads(m[2]) if m[2].startswith('"') else m[2]
        pairs.append((m[1], int(value) if m[1] == "pid" else value))
        at = m.end()
    assert line[-1:] != " ", line
    return pairs


def read_lines(form, text):
    assert text == "" or text.endswith("\n"), text[-200:]
    read = []
    for line in text.split("\n")[:-1]:
        assert line.isprintable(), line
        pairs = json.loads(line, object_pairs_hook=list) if form == "json" else _logfmt(line)
        names = [name for name, _ in pairs]
        assert names == [k for k in KEYS if k in names], line
        line = dict(pairs)
        assert line.keys() >= {"time", "level", "pid", "msg"} and type(line["pid"]) is int, line
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ", line["time"]), line
        assert line["level"] in ("error", "warning", "info", "debug"), line
        read.append(line)
    return read


class Journal:
    def __init__(self):
        self.path = f"{T}/{some_name('j')}"
        self.fields, self.socket = [], None
        self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)

    def close(self):
        self.lines()
        self.socket.close()
        os.unlink(self.path)

    def lines(self):
        while True:
            try:
                entry = self.socket.recv(65536).decode()
            except OSError:
                break
            assert entry.endswith("\n"), entry
            pairs = [line.split("=", 1) for line in entry.split("\n")[:-1]]
            assert len({name for name, _ in pairs}) == len(pairs), entry
            self.fields.append(dict(pairs))
        levels = {"3": "error", "4": "warning", "6": "info", "7": "debug"}
        names = {"process": "CHATD_PROCESS", "session": "CHATD_SESSION", "user": "CHATD_USER",
                 "client": "CHATD_CLIENT", "msg": "MESSAGE"}
        return [{"level": levels[f["PRIORITY"]], "pid": int(f["CHATD_PID"]),
                 **{ours: f[theirs] for ours, theirs in names.items() if theirs in f}}
                for f in self.fields]


def log_of(session):
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(438, os.pidfd_open(session), 4, 0)    # pidfd_getfd
    assert fd >= 0, os.strerror(ctypes.get_errno())
    return fd
