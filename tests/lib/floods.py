"""What floods leave in the log.

    log = Log(server)           # from here on; Log(server, path): of a log_file
    log.told("token refused")   # how many events the lines with these words stand for
"""
import re

from rawhttp import *
from server import *


def request(path, token, more=""):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{more}\r\n".encode()


def bad(count):
    """So many requests with a token that is none, in one go; the last one ends the connection."""
    return request("/users", "x.y.z") * (count - 1) + request("/users", "x.y.z", "Connection: close\r\n")


class Log:
    def __init__(self, server, path=None):
        self.path = path or server.logfile
        self.start = len(self.text())
        self.begun = time.monotonic()

    def text(self):
        with open(self.path, errors="replace") as f:
            return f.read()

    def new(self):
        """Without what says nothing of clients: hosts of earlier tests, which this one removes."""
        lines = self.text()[self.start:].splitlines()
        return [line for line in lines if not re.search(r": removed \d+ dead hosts$", line)]

    def lines(self, *words):
        return [line for line in self.new() if all(w in line for w in words)]

    def told(self, words):
        numbers = [re.search(r"[,;] and (\d+) more", line) for line in self.lines(words)]
        return sum(int(n[1]) if n else 1 for n in numbers) if words else len(self.new())

    def seconds(self):
        return int(time.monotonic() - self.begun) + 1

    def most(self):
        """Lines of one kind and address since the beginning: some at once, then two a second."""
        return 5 + 2 * self.seconds()
