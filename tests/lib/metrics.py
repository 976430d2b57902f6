"""What a server counts, as whoever watches it sees that.

    status, text = get("/readyz", "main")     # of an instance that has admin_listen
    n = scrape("main")                        # its numbers
    n["chatd_requests_total", "send"]         # a sample by the values of its labels, in their order
    n.families                                # name -> type
"""
import re

from server import *

ADMIN = ["-o", "admin_listen=127.0.0.1:0"]


def admin_address(name="main"):
    """Where the exporter of this instance listens now, as the log says."""
    with open(f"{T}/{name}.log", errors="replace") as f:
        return re.findall(r"metrics and health: (\S+)", f.read())[-1]


def visit(name="main"):
    """A connection to the exporter."""
    address = admin_address(name)
    if address.startswith("unix:"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(WAIT)
        s.connect(address.removeprefix("unix:"))
        return s
    host, number = address.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(number)), WAIT)


def said(data, name="main"):
    """All that is answered to these bytes."""
    with visit(name) as s:
        s.sendall(data)
        return read_all(s)


def split(answer):
    head, body = answer.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert len(fields) == len(lines) - 1, lines
    return int(lines[0].split()[1]), fields, body.decode()


def ask(path, name="main", method="GET"):
    status, fields, body = split(said(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), name))
    assert fields["connection"] == "close" and fields["cache-control"] == "no-store", fields
    assert method == "HEAD" or int(fields["content-length"]) == len(body), fields
    return status, fields, body


def get(path, name="main"):
    status, _, body = ask(path, name)
    return status, body


def links(pid, kind=""):
    """Its descriptors, and what they are."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return {fd: what for fd, what in found.items() if what.startswith(kind)}


def prlimit(pid, *words):
    """prlimit(1) as the user that this process is, who may always change its limits."""
    with open(f"/proc/{pid}/status") as f:
        ids = {k: int(v.split()[0]) for k, v in re.findall(r"^([UG]id):\s+(.*)", f.read(), re.M)}
    other = {"user": ids["Uid"], "group": ids["Gid"], "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.run(["prlimit", f"--pid={pid}", *words], capture_output=True, text=True, check=True, **other).stdout


@contextlib.contextmanager
def no_descriptor(pid):
    """While this lasts, it gets no more of them; those that it has, it keeps."""
    before = int(prlimit(pid, "--nofile", "--output=SOFT", "--noheadings", "--raw"))
    lowest = min(set(range(before)) - set(links(pid)))
    prlimit(pid, f"--nofile={lowest}:")
    try:
        yield
    finally:
        prlimit(pid, f"--nofile={before}:")


class Numbers:
    def __init__(self, text):
        self.text, self.families, self.samples = text, {}, {}
        name = None
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name = line.split()[2]
                assert name not in self.families and line.endswith("."), line
            elif line.startswith("# TYPE "):
                assert line.split()[2] == name, line
                self.families[name] = line.split()[3]
            else:
                found = re.fullmatch(r'(\w+)(?:\{((?:\w+="[^"\\]*",?)*)\})? (\d+(?:\.\d+)?)', line)
                assert found and re.fullmatch(rf"{name}(_bucket|_sum|_count)?", found[1]), line
                key = (found[1], *re.findall(r'"([^"]*)"', found[2] or ""))
                assert key not in self.samples, line
                self.samples[key] = float(found[3])

    def __getitem__(self, key):
        return self.samples[key if isinstance(key, tuple) else (key,)]

    def minus(self, before):
        """What has changed, but for how long things took: (name, labels...) -> by how much."""
        changed = {k: v - before.samples.get(k, 0) for k, v in self.samples.items()}
        return {k: v for k, v in changed.items() if v and not k[0].endswith(("_seconds_sum", "_seconds_bucket"))}

    def ranges(self):
        """Of each histogram, by name and labels, the samples of its buckets in their order."""
        found = {}
        for (name, *labels), value in self.samples.items():
            if name.endswith("_bucket"):
                found.setdefault((name.removesuffix("_bucket"), *labels[:-1]), []).append((labels[-1], value))
        return found


class Watcher:
    """Somebody looks all the time whether the server is healthy; anything but yes is an error."""

    def __init__(self, name):
        self.name, self.seen, self.leave, self.error = name, 0, False, None
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        try:
            while not self.leave:
                assert get("/healthz", self.name) == (200, "ok\n")
                self.seen += 1
        except Exception as e:
            self.error = e

    def more(self):
        enough = self.seen + 5
        eventually(lambda: self.error or self.seen >= enough)
        assert not self.error, self.error

    def __enter__(self):
        self.thread.start()
        self.more()
        return self

    def __exit__(self, *_):
        self.leave = True
        self.thread.join(WAIT)
        assert not self.error, self.error


def scrape(name="main"):
    status, fields, body = ask("/metrics", name)
    assert status == 200 and fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8", (status, fields, body)
    return Numbers(body)
